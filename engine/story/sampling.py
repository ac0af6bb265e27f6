"""Drawing tokens with a seed for each story, in every kind of batch. Knows scores and seeds; knows no model.

A story draws the same tokens alone and among others, up to the rounding of matrix products of another shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)

from engine.noise import gumbel, key
from engine.settings import WritingSettings


class _RowNoise(LogitsProcessor):
    """Noise for `generate`: row i draws with `seeds[i]`; `padding[i]` tokens stand before its text."""

    def __init__(self, seeds: Sequence[int], padding: Sequence[int]) -> None:
        self._seeds = seeds
        self._padding = padding

    def __call__(self, input_ids: torch.LongTensor, scores: torch.Tensor) -> torch.Tensor:
        length = input_ids.shape[1]
        keys = [key(seed, length - skipped) for seed, skipped in zip(self._seeds, self._padding, strict=True)]
        return scores + gumbel(torch.tensor(keys, device=scores.device), scores.shape[-1])


class _RequestNoise(ContinuousBatchingLogitsProcessor):
    """Noise for continuous batching: each request brings its `seed`."""

    supported_kwargs: dict[str, type] = {"seed": int}  # noqa: RUF012 - as the base class has it
    ignored_kwargs: tuple[str, ...] = ()

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.fill_(0)

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
        states = [request.state for request in requests_with_new_token]
        # A request that had to leave the cache comes back with its own tokens as prompt: only the sum counts.
        keys = [
            key(state.logit_processor_kwargs["seed"], len(state.initial_tokens) + state.generated_len())
            for state in states
        ]
        return torch.tensor(keys, dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        return scores + gumbel(tensor_arg[: scores.shape[0]], scores.shape[-1])


def for_rows(writing: WritingSettings, seeds: Sequence[int], padding: Sequence[int]) -> LogitsProcessorList:
    """Return what makes the greedy choice of `generate` a seeded draw."""
    noise = [_RowNoise(seeds, padding)] if writing.temperature > 0 else []
    return LogitsProcessorList([*_warpers(writing), *noise])


def for_requests(writing: WritingSettings) -> ContinuousBatchingLogitsProcessorList:
    """Return what makes the greedy choice of continuous batching a draw, seeded by each request."""
    noise = [_RequestNoise()] if writing.temperature > 0 else []
    processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([*_warpers(writing), *noise]))
    processors.tensors_required = len(noise)
    return processors


def _warpers(writing: WritingSettings) -> list[LogitsProcessor]:
    if writing.temperature == 0:
        return []
    warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(writing.temperature)]
    if writing.top_p < 1:
        warpers.append(TopPLogitsWarper(writing.top_p))
    return warpers
