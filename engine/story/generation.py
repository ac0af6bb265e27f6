"""Runs a causal language model for several jobs at once: continuous batches, or windowed ones where a model cannot.

Knows token ids, seeds and memory; knows no text and no story. A runner owns the model: all its work is done in one
thread, whatever thread asks.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from engine.batching import Batcher
from engine.errors import Transient
from engine.settings import WritingSettings
from engine.story.sampling import for_rows

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Task:
    """A text to be continued by at most `max_tokens` tokens; `done` gives the new ones, without the end token."""

    ids: list[int]
    seed: int
    max_tokens: int
    done: Future[list[int]] = field(default_factory=Future)
    written: int = 0
    """Tokens so far; falls back to 0 when the work has to begin anew."""
    stopped: bool = False

    def finish(self, tokens: Sequence[int]) -> None:
        """Hand over the new tokens; a task that was stopped meanwhile takes nothing."""
        with suppress(InvalidStateError):
            self.done.set_result(list(tokens))

    def fail(self, error: BaseException) -> None:
        """Hand over an error."""
        with suppress(InvalidStateError):
            self.done.set_exception(error)


class Runner(Protocol):
    """Continues texts, several at a time."""

    @property
    def kind(self) -> str:
        """How it shares the model between jobs: "continuous" or "windowed"."""
        ...

    def start(self, task: Task) -> None:
        """Take a task; returns at once. The same ids, seed and settings give the same tokens."""
        ...

    def stop(self, task: Task) -> None:
        """Give a task up: its future is cancelled at once, and its place in the batch is soon free."""
        ...

    def close(self) -> None:
        """End the runner's threads; what has been taken is finished or cancelled."""
        ...


def greedy(eos: Sequence[int], pad: int) -> GenerationConfig:
    """Return a configuration that takes the largest score; a model's own penalties and warpers stay out of it."""
    return GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        eos_token_id=list(eos),
        pad_token_id=pad,
        repetition_penalty=1.0,
    )


def limited(config: GenerationConfig, max_tokens: int) -> GenerationConfig:
    """Return the configuration for at most so many new tokens."""
    result = copy.copy(config)
    result.max_new_tokens = max_tokens
    return result


def out_of_memory() -> Transient:
    """Return what a job is told when not even one text fits."""
    return Transient(
        "The device has not enough free memory to write with this model; please try again, or let the owner choose a"
        " smaller model.",
        code="out_of_memory",
    )


def is_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether a device, or the machine, had no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "not enough memory" in str(error)  # torch's allocator on a CPU


class Windowed:
    """Gathers what comes within a moment into one batch, and runs it to its end (`generate`)."""

    kind = "windowed"

    def __init__(
        self, model: Any, config: GenerationConfig, writing: WritingSettings, batch: int, wait_s: float
    ) -> None:
        self._model = model
        self._config = config
        self._writing = writing
        self._batcher: Batcher[Task, None] = Batcher(self._run, batch, wait_s)

    def start(self, task: Task) -> None:
        """Take a task."""
        self._batcher.submit(task)

    def stop(self, task: Task) -> None:
        """Give a task up."""
        task.stopped = True
        task.done.cancel()

    def close(self) -> None:
        """Finish what has been taken, then end the thread."""
        self._batcher.close()

    def _run(self, tasks: Sequence[Task]) -> list[None]:
        try:
            self._write([task for task in tasks if not task.stopped])
        except Exception as error:
            for task in tasks:
                task.fail(error)
        return [None] * len(tasks)

    def _write(self, tasks: Sequence[Task]) -> None:
        """Write a batch; in halves where the memory does not suffice."""
        if not tasks:
            return
        try:
            outputs = self._generate(tasks)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            free_memory()
            if len(tasks) == 1:
                tasks[0].fail(out_of_memory())
                return
        else:
            for task, tokens in zip(tasks, outputs, strict=True):
                task.finish(tokens)
            return
        half = len(tasks) // 2
        log.warning("out of memory with %d texts at once; trying %d", len(tasks), half)
        self._write(tasks[:half])
        self._write(tasks[half:])

    @torch.inference_mode()
    def _generate(self, tasks: Sequence[Task]) -> list[list[int]]:
        longest = max(len(task.ids) for task in tasks)
        padding = [longest - len(task.ids) for task in tasks]
        pad = self._config.pad_token_id
        ids = torch.tensor([[pad] * skipped + task.ids for skipped, task in zip(padding, tasks, strict=True)])
        mask = torch.tensor([[0] * skipped + [1] * (longest - skipped) for skipped in padding])
        config = limited(self._config, max(task.max_tokens for task in tasks))
        output = self._model.generate(
            input_ids=ids.to(self._model.device),
            attention_mask=mask.to(self._model.device),
            generation_config=config,
            logits_processor=for_rows(self._writing, [task.seed for task in tasks], padding),
            stopping_criteria=StoppingCriteriaList([_Watch(tasks)]),
        )
        rows = output[:, longest:].tolist()
        return [self._cut(row[: task.max_tokens]) for row, task in zip(rows, tasks, strict=True)]

    def _cut(self, tokens: list[int]) -> list[int]:
        ends = [i for i, token in enumerate(tokens) if token in self._config.eos_token_id]
        return tokens[: ends[0]] if ends else tokens


class _Watch(StoppingCriteria):
    """Counts each task's tokens; ends the row of one that is stopped or long enough."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._count = 0

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        self._count += 1
        for task in self._tasks:
            task.written = min(self._count, task.max_tokens)
        ended = [task.stopped or self._count >= task.max_tokens for task in self._tasks]
        return torch.tensor(ended, device=input_ids.device)


def free_memory() -> None:
    """Give cached device memory back, so that a smaller batch finds it."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
