"""Makes MusicGen's codes step by step, fast: transformers' weights, our own loop.

`generate` of transformers copies growing caches, and launches several hundred kernels a step from Python; on a graphics
card the launching takes longer than the arithmetic. Here a step works on buffers of fixed places and sizes and waits
for nothing, so that it can be recorded once (a CUDA graph) and replayed. Guidance is a batch of two; several prompts
make a larger one. Taken greedily, the codes are those of `generate`, which a test compares.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.music.picking import Pick, guided

SPAN = 256
"""Columns: attention reads the cache up to the next multiple of it; a recording is made for each."""
TEXT = 16
"""Tokens: prompts are padded to a multiple of it, so that buffers and recordings serve many of them."""
TRIAL = SPAN // 8
"""Columns of the trial that compares a recorded step with a plain one."""

Step = Callable[[], None]
Record = Callable[[Step], Step]
"""Does a step once, and returns what does it again on the same buffers."""
Watch = Callable[[int, int], None]
"""Told after each column how many of how many are made; ends the work by raising."""

log = logging.getLogger(__name__)


def cuda_graph(step: Step) -> Step:
    """Do a step, then record it as a CUDA graph (PyTorch's notes on CUDA semantics, "CUDA Graphs")."""
    step()
    graph = torch.cuda.CUDAGraph()
    # thread_local: another job's thread may allocate on the card meanwhile, which a global capture would not survive.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        step()
    replay: Step = graph.replay
    return replay


@dataclass(eq=False)
class _Buffers:
    """What a step reads and writes: R rows (twice the prompts with guidance), L columns, in places that stay."""

    keys: list[Tensor]
    values: list[Tensor]
    """Of each layer [R, heads, L, size]."""
    text_keys: list[Tensor]
    text_values: list[Tensor]
    """Of each layer [R, heads, T, size]."""
    text_mask: Tensor
    """[R, 1, 1, T]; True where there is text."""
    codes: Tensor
    """[B, K, L], each codebook delayed as the pattern asks."""
    wanted: Tensor
    """[B, K, L]: the code that must stand there, or -1 where one is to be made."""
    seeds: Tensor
    at: Tensor
    """[1]: the last column that is known."""
    recorded: dict[int, Step] = field(default_factory=dict)
    """Steps by their span."""


class Decoder:
    """Generates with the weights of a `MusicgenForCausalLM`, which it rearranges in place (it stays usable).

    Not thread-safe. Keeps the buffers of its last shape: two numbers per layer, row, column and feature.
    """

    def __init__(self, lm: Any, pick: Pick, guidance: float, record: Record | None = None) -> None:
        self._lm = lm
        self._pick = pick
        self._guidance = guidance
        self._record = record
        self._layers = list(lm.model.decoder.layers)
        config = lm.config
        self._books = int(config.num_codebooks)
        self._heads = int(config.num_attention_heads)
        self._size = int(config.hidden_size) // self._heads
        self._start = int(config.pad_token_id)
        self._channels = int(config.audio_channels)
        self._shape: tuple[int, int, int] | None = None
        self._buffers: _Buffers | None = None
        self._projections = [
            _joined([layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj]) for layer in self._layers
        ]
        self._out = _joined(lm.lm_heads)
        self._table = _joined(lm.model.decoder.embed_tokens)
        rows = self._table.shape[0] // self._books
        self._offsets = torch.arange(self._books, device=lm.device)[None, :, None] * rows

    @torch.inference_mode()
    def check_recording(self) -> None:
        """Record on trial, and go on without recording, with a line in the log, if it fails or gives other codes."""
        if self._record is None:
            return
        lm, record = self._lm, self._record
        text = torch.ones((1, 1, lm.config.hidden_size), device=lm.device, dtype=lm.dtype)
        ask = (text, torch.ones((1, 1), device=lm.device), torch.zeros((1, self._books, 0), dtype=torch.int64), TRIAL)
        seeds = torch.zeros(1, dtype=torch.int64, device=lm.device)
        try:
            recorded: Tensor | None = self.codes(*ask, seeds, _nobody)
            reason = "the codes differ"
        except RuntimeError as error:
            recorded, reason = None, str(error).splitlines()[0]
        self._record, self._shape, self._buffers = None, None, None
        if recorded is not None and torch.equal(recorded, self.codes(*ask, seeds, _nobody)):
            self._record = record
        else:
            log.warning("MusicGen's step cannot be recorded here, so each is launched anew: %s", reason)

    @torch.inference_mode()
    def codes(
        self, text: Tensor, text_mask: Tensor, prompt: Tensor, frames: int, seeds: Tensor, watch: Watch
    ) -> Tensor:
        """Return codes [B, K, P + frames] that continue the codes `prompt` [B, K, P].

        `text` [B, T, features] holds the prompts' encoded tokens where `text_mask` [B, T] is not 0; `seeds` [B] are
        from `picking.seed_states`. Raises what `watch` raises.
        """
        delay = self._books // self._channels - 1
        length = 1 + prompt.shape[-1] + frames + delay
        buffers = self._prepared(text, text_mask, length)
        buffers.seeds.copy_(seeds)
        first = self._lay_out(buffers, prompt, length)
        total = length - first
        self._step(buffers, _span(first), first)
        watch(1, total)
        for made in range(1, total):
            span = _span(first + made)
            again = buffers.recorded.get(span)
            if again is not None:
                again()
            elif self._record is not None:
                buffers.recorded[span] = self._record(lambda span=span: self._step(buffers, span, 1))  # type: ignore[misc]
            else:
                self._step(buffers, span, 1)
            watch(made + 1, total)
        whole = length - 1 - delay
        starts = [1 + book // self._channels for book in range(self._books)]
        return torch.stack([buffers.codes[:, book, at : at + whole] for book, at in enumerate(starts)], dim=1)

    def _prepared(self, text: Tensor, text_mask: Tensor, length: int) -> _Buffers:
        """Return buffers that know the text."""
        batch, tokens, _ = text.shape
        rows = batch * (2 if self._guidance > 1 else 1)
        columns, padded = _span(length), math.ceil(tokens / TEXT) * TEXT
        if self._buffers is None or self._shape != (batch, padded, columns):
            self._shape, self._buffers = None, None  # first, so that the memory is free again
            self._buffers = self._new_buffers(batch, rows, padded, columns)
            self._shape = (batch, padded, columns)
        buffers = self._buffers
        buffers.text_mask.fill_(True)  # without a prompt, keys and values are 0 and so is what attention gives
        buffers.text_mask[:batch].zero_()
        buffers.text_mask[:batch, 0, 0, :tokens] = text_mask != 0
        for i, layer in enumerate(self._layers):
            for buffer, project in (
                (buffers.text_keys[i], layer.encoder_attn.k_proj),
                (buffers.text_values[i], layer.encoder_attn.v_proj),
            ):
                buffer.zero_()
                buffer[:batch, :, :tokens] = self._by_head(project(text))
        return buffers

    def _new_buffers(self, batch: int, rows: int, tokens: int, columns: int) -> _Buffers:
        device, dtype = self._lm.device, self._lm.dtype

        def caches(length: int) -> list[Tensor]:
            shape = (rows, self._heads, length, self._size)
            return [torch.zeros(shape, device=device, dtype=dtype) for _ in self._layers]

        def integers(*shape: int) -> Tensor:
            return torch.zeros(shape, device=device, dtype=torch.int64)

        positions = self._lm.model.decoder.embed_positions
        if columns > len(positions.weights):
            positions.make_weights(columns, positions.embedding_dim)
        mask = torch.zeros((rows, 1, 1, tokens), device=device, dtype=torch.bool)
        grid = (batch, self._books, columns)
        return _Buffers(
            *(caches(columns), caches(columns), caches(tokens), caches(tokens), mask),
            *(integers(*grid), integers(*grid), integers(batch), integers(1)),
        )

    def _lay_out(self, buffers: _Buffers, prompt: Tensor, length: int) -> int:
        """Write the delay pattern and what is known of it; return how many columns are known."""
        batch = prompt.shape[0]
        known = functional.pad(prompt.to(self._lm.device), (1, 0), value=self._start)
        given, pattern = self._lm.build_delay_pattern_mask(
            known.reshape(batch * self._books, -1), pad_token_id=self._start, max_length=length
        )
        first = int(given.shape[-1])
        buffers.wanted[..., :length] = pattern.view(batch, self._books, length)
        buffers.codes[..., :first] = given.view(batch, self._books, first)
        buffers.at.fill_(first - 1)
        return first

    def _step(self, buffers: _Buffers, span: int, columns: int) -> None:
        """Read the last known `columns` columns and make the next one."""
        places = buffers.at + torch.arange(1 - columns, 1, device=buffers.at.device)
        scores = self._scores(buffers, buffers.codes.index_select(2, places), places, span)
        scores = guided(scores, self._guidance) if self._guidance > 1 else scores.float()
        buffers.at.add_(1)
        made = self._pick(scores, buffers.seeds, buffers.at)[..., None]
        wanted = buffers.wanted.index_select(2, buffers.at)
        buffers.codes.index_copy_(2, buffers.at, torch.where(wanted == -1, made, wanted))

    def _scores(self, buffers: _Buffers, codes: Tensor, places: Tensor, span: int) -> Tensor:
        """Return [R, K, V] for the column after the last of `codes` [B, K, columns]; fills the cache."""
        decoder = self._lm.model.decoder
        x = functional.embedding(codes + self._offsets, self._table).sum(dim=1)
        x = x.repeat(len(buffers.text_mask) // len(codes), 1, 1)
        x = x + decoder.embed_positions.weights.index_select(0, places)
        mask = torch.arange(span, device=places.device) <= places[:, None]
        for i, layer in enumerate(self._layers):
            query, keys, values = functional.linear(layer.self_attn_layer_norm(x), self._projections[i]).chunk(
                3, dim=-1
            )
            buffers.keys[i].index_copy_(2, places, self._by_head(keys))
            buffers.values[i].index_copy_(2, places, self._by_head(values))
            heard = self._attend(query, buffers.keys[i][:, :, :span], buffers.values[i][:, :, :span], mask)
            x = x + layer.self_attn.out_proj(heard)
            query = layer.encoder_attn.q_proj(layer.encoder_attn_layer_norm(x))
            read = self._attend(query, buffers.text_keys[i], buffers.text_values[i], buffers.text_mask)
            x = x + layer.encoder_attn.out_proj(read)
            x = x + layer.fc2(layer.activation_fn(layer.fc1(layer.final_layer_norm(x))))
        scores = functional.linear(decoder.layer_norm(x[:, -1]), self._out)
        return scores.view(len(scores), self._books, -1)

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        heard = functional.scaled_dot_product_attention(self._by_head(query), keys, values, attn_mask=mask)
        return heard.transpose(1, 2).flatten(2)

    def _by_head(self, x: Tensor) -> Tensor:
        """Return [R, heads, n, size] of [R, n, features]."""
        return x.view(*x.shape[:2], self._heads, self._size).transpose(1, 2)


def _span(columns: int) -> int:
    return math.ceil(columns / SPAN) * SPAN


def _joined(modules: Sequence[Any]) -> Tensor:
    """Return the modules' weights below each other, and let each module use its part of it: one product, one copy."""
    weight = torch.cat([module.weight.detach() for module in modules])
    for module, part in zip(modules, weight.chunk(len(modules)), strict=True):
        module.weight = torch.nn.Parameter(part, requires_grad=False)
    return weight


def _nobody(made: int, total: int) -> None:
    """A watch that watches nothing."""
