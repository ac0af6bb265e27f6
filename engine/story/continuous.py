"""Continuous batching by transformers' own manager: a text joins the batch when it comes and leaves when it ends.

Knows the manager's ways in the installed version; whether it works for a model and device is found out by `probe`.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.utils.import_utils import is_flash_attn_2_available, is_flash_attn_3_available

from engine.settings import WritingSettings
from engine.story.generation import Task, free_memory, is_out_of_memory, limited, out_of_memory
from engine.story.sampling import for_requests

log = logging.getLogger(__name__)

PAGE_TOKENS = 64
"""Tokens to a page of the cache: small pages waste little at the end of each text."""
TEXT_TOKENS = 2_048
"""Room in the cache for each text of a full batch: most prompts with their stories; else texts wait for each other."""
LONGEST_TEXT = 8_192
"""Tokens of prompt and answer together, at most: one such text always fits."""
STEP_TOKENS = 1_024
"""Tokens in one pass of the model; longer prompts are read in several."""
POLL_S = 0.1
"""How long the wait for news lasts before a look at whether the manager still lives."""
PROBE_TOKENS = 4
_ENDING_S = 10.0
"""A manager that reports an error is at its end, or goes on; after so long it goes on."""


class Continuous:
    """Runs tasks on transformers' `ContinuousBatchingManager`, and starts it again when it has died."""

    kind = "continuous"

    def __init__(self, model: Any, config: GenerationConfig, writing: WritingSettings, batch: int) -> None:
        self._model = model
        self._config = config
        self._writing = writing
        self._batch = batch
        self._lock = threading.Lock()  # guards the three below
        self._tasks: dict[str, Task] = {}
        self._number = 0
        self._closed = False
        self._manager = self._started()
        self._thread = threading.Thread(target=self._deliver, name="continuous", daemon=True)
        self._thread.start()

    def start(self, task: Task) -> None:
        """Take a task. Raises `RuntimeError` after `close`."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the runner is closed")
            self._number += 1
            name = str(self._number)
            self._tasks[name] = task
            self._submit(name, task)

    def stop(self, task: Task) -> None:
        """Give a task up."""
        with self._lock:
            task.stopped = True
            for name in [name for name, held in self._tasks.items() if held is task]:
                del self._tasks[name]
                self._manager.cancel_request(name)
        task.done.cancel()

    def close(self) -> None:
        """Cancel what has been taken and end the threads. May be called twice."""
        with self._lock:
            self._closed = True
            tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.done.cancel()
        self._thread.join()
        _end(self._manager)

    def _started(self) -> Any:
        manager = self._model.init_continuous_batching(
            generation_config=self._config, continuous_batching_config=cache_config(self._batch)
        )
        manager.logit_processor = for_requests(self._writing)
        manager.start()
        return manager

    def _submit(self, name: str, task: Task) -> None:
        # A manager that has just died refuses with a warning; `_revive` submits again.
        self._manager.add_request(
            task.ids, request_id=name, max_new_tokens=task.max_tokens, streaming=True, **self._seeded(task)
        )

    def _seeded(self, task: Task) -> dict[str, int]:
        return {"seed": task.seed} if self._writing.temperature > 0 else {}

    def _deliver(self) -> None:
        """Carry what the manager says to the tasks, until closed."""
        while not self._closed:
            output = self._manager.get_result(timeout=POLL_S)
            if output is not None and output.error is None:
                self._take(output)
            elif output is not None:
                self._manager._generation_thread.join(_ENDING_S)
                if self._manager.is_running():
                    self._refuse(output)
            elif not self._manager.is_running():
                try:
                    self._revive(self._manager.background_thread_status.fatal_error)
                except Exception as error:  # this thread must live on, and nobody may wait for ever
                    self._fail_all(error)

    def _take(self, output: Any) -> None:
        with self._lock:
            task = self._tasks.get(output.request_id)
            if task is None:
                return
            task.written = len(output.generated_tokens)
            if not output.is_finished():
                return
            del self._tasks[output.request_id]
        tokens = output.generated_tokens
        task.finish(tokens[:-1] if tokens and tokens[-1] in self._config.eos_token_id else tokens)

    def _refuse(self, output: Any) -> None:
        with self._lock:
            task = self._tasks.pop(output.request_id, None)
        if task is not None:
            task.fail(RuntimeError(output.error))

    def _revive(self, error: BaseException | None) -> None:
        """Start again after the manager has died: with half the batch when memory was short."""
        short = is_out_of_memory(error)
        if not short or self._batch == 1:
            self._fail_all(out_of_memory() if short else RuntimeError(f"continuous batching ended: {error}"))
        else:
            log.warning("out of memory with %d texts at once; trying %d", self._batch, self._batch // 2)
            self._batch //= 2
        _end(self._manager)
        free_memory()
        with self._lock:
            self._manager = self._started()
            for name, task in self._tasks.items():
                task.written = 0
                self._submit(name, task)

    def _fail_all(self, error: BaseException) -> None:
        with self._lock:
            tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.fail(error)


def probe(model: Any, config: GenerationConfig, ids: Sequence[int]) -> str | None:
    """Return why continuous batching cannot be used for this model on its device, None if it can.

    It can when it gives the same next tokens as `generate` does. Nothing in the library tells beforehand.
    """
    short = limited(config, PROBE_TOKENS)
    with _quiet():
        try:
            results = model.generate_batch(
                [list(ids)], generation_config=short, continuous_batching_config=cache_config(1), warmup=False
            )
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    if len(results) != 1 or (result := next(iter(results.values()))).error is not None:
        return "it failed on a trial text"
    prompt = torch.tensor([list(ids)], device=model.device)
    with torch.inference_mode():
        expected = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), generation_config=short)
    if result.generated_tokens != expected[0, len(ids) :].tolist():
        return "it does not continue a trial text as the model itself does"
    return None


def cache_config(batch: int) -> ContinuousBatchingConfig:
    """Return a cache just large enough for a full batch: the library's own choice takes most of the device's memory."""
    return ContinuousBatchingConfig(
        page_size=PAGE_TOKENS,
        num_blocks=math.ceil(max(LONGEST_TEXT, batch * TEXT_TOKENS) / PAGE_TOKENS) + batch,
        max_batch_tokens=STEP_TOKENS,
        max_requests_per_batch=batch,
        seed=0,  # it draws nothing, but without one the library seeds the whole process at random
        # Otherwise kernels may be fetched from the hub, which is code that nobody here has seen.
        auto_switch_to_flash=is_flash_attn_2_available() or is_flash_attn_3_available(),
    )


def _end(manager: Any) -> None:
    if manager._generation_thread is not None:
        manager.stop(block=True, hard_stop=True)
    manager.destroy()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's traces of a failed trial out of the log; the reason is told in one line instead."""
    logger = logging.getLogger("ContinuousBatchingLogger")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
