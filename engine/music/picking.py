"""How the next codes of a piece are chosen from scores: one way for every library that runs MusicGen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.noise import GOLDEN, MASK, gumbel, mix, state

Pick = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(scores [B, K, V], seeds [B] from `seed_states`, place [1] of the column) -> codes [B, K]. Never waits for a device,
and takes everything that changes from column to column as a tensor, so that it can be recorded and replayed."""


def seed_states(seeds: Sequence[int], device: torch.device) -> Tensor:
    """Return [B] numbers that stand for seeds below 2**63."""
    return torch.tensor([mix(state(seed)) for seed in seeds], dtype=torch.int64, device=device)


def guided(scores: Tensor, guidance: float) -> Tensor:
    """Return [B, …] float32 from [2B, …], with the prompt before without it: classifier-free guidance (Ho 2022)."""
    with_prompt, without = scores.float().chunk(2)
    return without + guidance * (with_prompt - without)


def greedy(scores: Tensor, seeds: Tensor, place: Tensor) -> Tensor:
    """Take the likeliest codes, whatever the seeds."""
    return scores.argmax(dim=-1)


def sampling(temperature: float, top_k: int) -> Pick:
    """Return a pick that draws among the `top_k` likeliest codes (0: all), a stream of noise for each seed."""

    def pick(scores: Tensor, seeds: Tensor, place: Tensor) -> Tensor:
        books, codes = scores.shape[1:]
        scores = scores / temperature
        if 0 < top_k < codes:
            scores = scores.masked_fill(scores < scores.topk(top_k, dim=-1).values[..., -1:], -torch.inf)
        book = mix(torch.arange(1, books + 1, device=scores.device) * GOLDEN & MASK)
        keys = mix((seeds[:, None] + place * GOLDEN ^ book[None, :]) & MASK)
        return (scores + gumbel(keys.reshape(-1), codes).view_as(scores)).argmax(dim=-1)

    return pick
