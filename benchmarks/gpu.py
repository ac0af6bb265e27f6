"""MusicGen and Llama of the real sizes on a graphics card: `python -m benchmarks.gpu [--sizes small 1b …]`.

Weights are random (their shape decides the speed), so nothing is downloaded. Beside each speed stands the floor: the
time in which the card can read the weights and half of the cache once a step, by its measured copy bandwidth. Speeds
are taken in bfloat16; before that, in float32, the first codes or tokens must be those of the library's own `generate`.
Without a card only the tiny sizes run, which show that the script works and say nothing of speed.
"""

from __future__ import annotations

import argparse
import copy
import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import (
    EncodecConfig,
    EncodecModel,
    LlamaConfig,
    LlamaForCausalLM,
    MusicgenConfig,
    MusicgenForConditionalGeneration,
    T5Config,
    T5EncoderModel,
)
from transformers.models.musicgen import MusicgenDecoderConfig, MusicgenForCausalLM

from engine.music.decoding import Decoder, cuda_graph
from engine.music.musicgen import encoded
from engine.music.picking import greedy
from engine.settings import WritingSettings
from engine.story.continuous import Continuous
from engine.story.generation import Task
from engine.story.generation import greedy as greedy_config

FRAME_HZ, GUIDANCE = 50, 3.0


@dataclass(frozen=True)
class MusicSize:
    """Shape of a MusicGen's decoder."""

    hidden: int
    layers: int
    heads: int


@dataclass(frozen=True)
class TextSize:
    """Shape of a Llama."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    tied: bool
    words: int = 128_256


@dataclass(frozen=True)
class Plan:
    """How much is made: prompts at once, seconds of music, tokens of text, and columns or tokens that are compared."""

    prompts: tuple[int, ...]
    seconds: float
    tokens: int
    compared: int


MUSIC = {
    "small": MusicSize(1024, 24, 16),
    "medium": MusicSize(1536, 48, 24),
    "large": MusicSize(2048, 48, 32),
    "tiny-music": MusicSize(32, 2, 2),
}
TEXT = {
    "1b": TextSize(2048, 16, 32, 8, 8192, True),
    "3b": TextSize(3072, 28, 24, 8, 8192, True),
    "8b": TextSize(4096, 32, 32, 8, 14336, False),
    "tiny-text": TextSize(64, 2, 4, 2, 128, False, 320),
}
TINY = ("tiny-music", "tiny-text")
REAL = tuple(name for name in (*MUSIC, *TEXT) if name not in TINY)
FULL, QUICK = Plan((1, 8), 30.0, 256, 64), Plan((1, 2), 0.5, 8, 8)
PROMPT_TOKENS = 512


def musicgen(size: MusicSize, device: str, dtype: torch.dtype) -> Any:
    """Return a MusicGen with random weights: T5-base and EnCodec at 32 kHz around the decoder (tiny ones for tiny)."""
    small = size.hidden < 1024
    torch.manual_seed(0)
    shape: Any = {"num_layers": 1, "num_heads": 2, "d_model": 16, "d_kv": 8, "d_ff": 16} if small else {}
    base: Any = {"num_layers": 12, "num_heads": 12, "d_model": 768, "d_kv": 64, "d_ff": 3072} | shape
    codec: Any = {"num_filters": 4, "hidden_size": 8} if small else {"num_filters": 64, "hidden_size": 128}
    audio = EncodecConfig(
        sampling_rate=32_000,
        upsampling_ratios=[8, 5, 4, 4],
        target_bandwidths=[2.2],
        codebook_size=2048,
        normalize=False,
        use_causal_conv=False,
        **codec,
    )
    shaped: Any = MusicgenDecoderConfig  # the keyword for attention is its base class's
    decoder = shaped(
        hidden_size=size.hidden,
        ffn_dim=4 * size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        attn_implementation="sdpa",
    )
    with torch.device(device):
        parts: Any = {
            "text_encoder": T5EncoderModel(T5Config(vocab_size=32_128, **base)),
            "audio_encoder": EncodecModel(audio),
            "decoder": MusicgenForCausalLM(decoder),
        }
        config = MusicgenConfig(**{name: part.config for name, part in parts.items()})
        model: Any = MusicgenForConditionalGeneration(config=config, **parts)
    for head in model.decoder.lm_heads:
        torch.nn.init.normal_(head.weight, std=0.2)  # far from equal, so that rounding does not decide
    generation = model.generation_config
    generation.pad_token_id = generation.bos_token_id = generation.decoder_start_token_id = decoder.pad_token_id
    return model.to(device, dtype).eval()


def llama(size: TextSize, device: str, dtype: torch.dtype) -> Any:
    """Return a Llama with random weights."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size.words,
        hidden_size=size.hidden,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.kv_heads,
        max_position_embeddings=8_192,
        tie_word_embeddings=size.tied,
    )
    with torch.device(device):
        model: Any = LlamaForCausalLM(config)
    return model.to(device, dtype).eval()


def asked_of(model: Any, prompts: int) -> dict[str, torch.Tensor]:
    """Return prompts of unequal length, tokenized."""
    mask = torch.ones((prompts, 12), dtype=torch.int64, device=model.device)
    for row in range(1, prompts):
        mask[row, 12 - row % 8 :] = 0
    ids = torch.arange(3, 15, device=model.device).repeat(prompts, 1) * mask
    return {"input_ids": ids, "attention_mask": mask}


def eager_codes(model: Any, asked: dict[str, torch.Tensor], frames: int, **more: Any) -> torch.Tensor:
    """Return the codes [B, K, frames] that the library's own `generate` makes, greedily."""
    heard: list[torch.Tensor] = []
    decode = model.audio_encoder.decode

    def listening(codes: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        heard.append(codes[0])
        return decode(codes, *args, **kwargs)

    model.audio_encoder.decode = listening
    try:
        new = frames + model.decoder.num_codebooks // model.decoder.config.audio_channels - 1
        model.generate(**asked, max_new_tokens=new, do_sample=False, guidance_scale=GUIDANCE, **more)
    finally:
        del model.audio_encoder.decode
    if len(heard) == 2:  # left and right
        return torch.stack(heard, dim=2).flatten(1, 2)
    return heard[0]


def our_codes(model: Any, decoder: Decoder, asked: dict[str, torch.Tensor], frames: int) -> torch.Tensor:
    """Return the codes [B, K, frames] that TuneTale makes, greedily."""
    prompts = len(asked["input_ids"])
    empty = torch.zeros((prompts, model.decoder.num_codebooks, 0), dtype=torch.int64, device=model.device)
    seeds = torch.zeros(prompts, dtype=torch.int64, device=model.device)
    text, mask = encoded(model, asked), asked["attention_mask"]
    return decoder.codes(text, mask, empty, frames, seeds, lambda made, total: None)


def seconds_for(work: Callable[[], object], device: str) -> float:
    """Return how long the second of two runs takes."""
    work()
    _settle(device)
    begin = time.perf_counter()
    work()
    _settle(device)
    return time.perf_counter() - begin


def bandwidth(device: str) -> float:
    """Return the bytes a second that copying moves, read and written."""
    size = 2**30 if device == "cuda" else 2**24
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / seconds_for(lambda: target.copy_(source), device)


def music_rows(name: str, device: str, plan: Plan, bytes_s: float) -> Iterator[tuple[str, ...]]:
    """Yield a row for each number of prompts: times real time, and steps a second, by `generate` and by ours."""
    size, frames = MUSIC[name], round(plan.seconds * FRAME_HZ)
    record = cuda_graph if device == "cuda" else None
    with torch.inference_mode():
        model = musicgen(size, device, torch.float32)
        asked = asked_of(model, max(plan.prompts))
        expected = eager_codes(model, asked, plan.compared)
        exact = torch.equal(
            our_codes(model, Decoder(model.decoder, greedy, GUIDANCE, record), asked, plan.compared), expected
        )
        model = model.to(torch.bfloat16)
        decoder = Decoder(model.decoder, greedy, GUIDANCE, record)
        blocks = sum(p.numel() for layer in model.decoder.model.decoder.layers for p in layer.parameters())
        step_weights = 2 * (blocks + sum(head.weight.numel() for head in model.decoder.lm_heads))
        for prompts in plan.prompts:
            asked = asked_of(model, prompts)
            eager_s = seconds_for(lambda: eager_codes(model, asked, frames), device)  # noqa: B023 - run at once
            ours_s = seconds_for(lambda: our_codes(model, decoder, asked, frames), device)  # noqa: B023
            cache = 2 * 2 * 2 * prompts * size.layers * size.hidden * frames / 2
            floor_s = frames * (step_weights + cache) / bytes_s
            times = [f"{prompts * plan.seconds / taken:.1f} ×" for taken in (eager_s, ours_s, floor_s)]
            yield name, str(prompts), times[0], "–", times[1], times[2], f"{floor_s / ours_s:.0%}", _yes(exact)


def text_rows(name: str, device: str, plan: Plan, bytes_s: float) -> Iterator[tuple[str, ...]]:
    """Yield a row for each number of prompts: tokens a second by `generate`, plain and compiled, and by ours."""
    size = TEXT[name]
    config = greedy_config([size.words], 0)  # a token that never comes ends it, so that all texts are equally long
    with torch.inference_mode():
        model = llama(size, device, torch.float32)
        with _continuous(model, config, 1) as ours:
            exact = ours(plan.compared) == _eager_texts(model, config, 1, plan.compared)
        model = model.to(torch.bfloat16)
        weights = sum(p.numel() for p in model.parameters())
        read = weights if size.tied else weights - model.get_input_embeddings().weight.numel()
        for prompts in plan.prompts:
            made = prompts * plan.tokens
            eager_s = seconds_for(lambda: _eager_texts(model, config, prompts, plan.tokens), device)  # noqa: B023
            static = "–"
            if device == "cuda":
                static_s = seconds_for(lambda: _eager_texts(model, config, prompts, plan.tokens, "static"), device)  # noqa: B023
                static = f"{made / static_s:.0f}"
            with _continuous(model, config, prompts) as ours:
                ours_s = seconds_for(lambda: ours(plan.tokens), device)
            line = 2 * 2 * size.layers * size.kv_heads * (size.hidden // size.heads)
            floor_s = plan.tokens * (2 * read + prompts * line * (PROMPT_TOKENS + plan.tokens / 2)) / bytes_s
            speeds = [f"{made / taken:.0f}" for taken in (eager_s, ours_s, floor_s)]
            yield name, str(prompts), speeds[0], static, speeds[1], speeds[2], f"{floor_s / ours_s:.0%}", _yes(exact)


def _texts(model: Any, prompts: int) -> list[list[int]]:
    words = model.config.vocab_size
    return [[(row + 7 * i) % (words - 3) + 3 for i in range(min(PROMPT_TOKENS, words))] for row in range(prompts)]


def _eager_texts(model: Any, config: Any, prompts: int, tokens: int, cache: str | None = None) -> list[list[int]]:
    ids = torch.tensor(_texts(model, prompts), device=model.device)
    config = copy.copy(config)
    config.max_new_tokens, config.cache_implementation = tokens, cache
    made = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)
    rows: list[list[int]] = made[:, ids.shape[1] :].tolist()
    return rows


@contextmanager
def _continuous(model: Any, config: Any, prompts: int) -> Iterator[Callable[[int], list[list[int]]]]:
    """Run the product's continuous batches; call what is given with the number of tokens."""
    runner = Continuous(model, config, WritingSettings(temperature=0.0), prompts)

    def write(tokens: int) -> list[list[int]]:
        tasks = [Task(text, 0, tokens) for text in _texts(model, prompts)]
        for task in tasks:
            runner.start(task)
        return [task.done.result() for task in tasks]

    try:
        yield write
    finally:
        runner.close()


def run(sizes: Sequence[str], plan: Plan, screen: Console) -> None:
    """Print a table for the sizes; one that does not fit into memory has a row that says so."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)
    bytes_s = bandwidth(device)
    where = torch.cuda.get_device_name() if device == "cuda" else "a processor, which says nothing of a card"
    table = Table(title=f"{where}; {bytes_s / 1e9:.0f} GB/s copied; music in times real time, text in tokens/s")
    for head in ("size", "prompts", "generate", "static, compiled", "ours", "floor", "of floor", "exact"):
        table.add_column(head)
    with _exact_products():
        for name in sizes:
            try:
                for row in (music_rows if name in MUSIC else text_rows)(name, device, plan, bytes_s):
                    table.add_row(*row)
            except torch.OutOfMemoryError:
                table.add_row(name, "does not fit")
            gc.collect()
    screen.print(table)


@contextmanager
def _exact_products() -> Iterator[None]:
    """Keep TF32 out of float32 products, where codes are compared."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _settle(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _yes(exact: bool) -> str:
    return "yes" if exact else "NO"


def main() -> None:
    """Run the real sizes on a graphics card, the tiny ones elsewhere."""
    card = torch.cuda.is_available()
    run(REAL if card else TINY, FULL if card else QUICK, Console())


def command_line(arguments: Sequence[str]) -> int:
    """Run the sizes that are named; 2 when they want a card and there is none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu")
    parser.add_argument("--sizes", nargs="+", choices=[*MUSIC, *TEXT], default=[*REAL], metavar="SIZE")
    sizes = parser.parse_args(arguments).sizes
    real = [name for name in sizes if name not in TINY]
    if real and not torch.cuda.is_available():
        message = (
            f"{', '.join(real)} want a graphics card, and torch sees none here; --sizes {' '.join(TINY)} run anywhere."
        )
        print(message, file=sys.stderr)
        return 2
    run(sizes, FULL if real else QUICK, Console())
    return 0


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
