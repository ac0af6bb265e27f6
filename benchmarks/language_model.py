"""Tokens a second of concurrent stories, in windows and continuously: `python -m benchmarks language_model`.

A Llama with random weights stands for the model (its shape decides the speed); 500 tokens of prompt, 100 new ones
each. On a graphics card, if there is one, otherwise on the processor with one thread.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import LlamaConfig, LlamaForCausalLM

from engine.settings import WritingSettings
from engine.story.continuous import Continuous
from engine.story.generation import Runner, Task, Windowed, greedy

PROMPT, NEW = 500, 100
TEXTS = (1, 4, 16)


def llama() -> Any:
    """Return a Llama of 11 million parameters."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=16_000,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=4_096,
    )
    model: Any = LlamaForCausalLM(config)
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def tokens_per_s(runner: Runner, texts: int) -> float:
    """Write so many texts at once."""
    tasks = [Task(list(range(3, 3 + PROMPT)), seed, NEW) for seed in range(texts)]
    begin = time.perf_counter()
    for task in tasks:
        runner.start(task)
    written = sum(len(task.done.result()) for task in tasks)
    return written / (time.perf_counter() - begin)


def main() -> None:
    """Print one table."""
    torch.set_num_threads(1)
    model, config, writing = llama(), greedy([2], 0), WritingSettings()
    table = Table("texts at once", "windowed, tokens/s", "continuous, tokens/s", title=f"on {model.device}")
    speeds: dict[tuple[str, int], float] = {}
    for make in (
        lambda: Windowed(model, config, writing, max(TEXTS), 0.05),
        lambda: Continuous(model, config, writing, max(TEXTS)),
    ):
        runner: Runner = make()
        for texts in TEXTS:
            speeds[runner.kind, texts] = tokens_per_s(runner, texts)
        runner.close()
    for texts in TEXTS:
        table.add_row(str(texts), f"{speeds['windowed', texts]:.0f}", f"{speeds['continuous', texts]:.0f}")
    Console().print(table)
