"""The model behind the storyteller "transformers": any instruct model of the hub, Llama or other, run on this machine.

Knows loading, chat templates and tokens; how jobs share the model is in `generation` and `continuous`. The weights come
under their own licences: Meta's Llama 3 under the Llama Community License.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import jinja2
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from engine.errors import UserError
from engine.lockfile import DEFAULT_LOCK, model_folder
from engine.settings import LlamaSettings, WritingSettings
from engine.story.chat import Ask, Message, Told
from engine.story.continuous import LONGEST_TEXT, Continuous, probe
from engine.story.generation import Runner, Task, Windowed, greedy, is_out_of_memory

log = logging.getLogger(__name__)
transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a worker's log is no place for bars

FEWEST_NEW = 64
"""A model whose context leaves less room than this for the answer cannot tell the story."""
TOLD_EVERY_S = 0.1
"""How often progress is told; also the longest time until a cancelled job lets go."""
TRIAL = "Once upon a time there was a lamp."


class LlamaChat:
    """Implements `engine.story.chat.Chat`. Thread-safe; runs until `close`."""

    def __init__(self, model: Any, tokenizer: Any, llama: LlamaSettings, writing: WritingSettings) -> None:
        self._tokenizer = tokenizer
        self._context = min(
            LONGEST_TEXT, getattr(model.config.get_text_config(), "max_position_embeddings", LONGEST_TEXT)
        )
        self._special = re.compile("|".join(map(re.escape, _special(tokenizer))))
        self._model_name = llama.model.rstrip("/").rsplit("/", 1)[-1]
        ends = _ends(model, tokenizer)
        config = greedy(ends, tokenizer.pad_token_id if tokenizer.pad_token_id is not None else ends[0])
        self._runner = _runner(model, tokenizer, config, llama, writing)

    @classmethod
    def load(cls, llama: LlamaSettings, writing: WritingSettings, lock: Path = DEFAULT_LOCK) -> Self:
        """Load a directory or a locked model. Raises `UserError` with one sentence when it cannot be used."""
        folder = model_folder(llama.model, lock)
        _check_folder(folder)
        tokenizer = _load_tokenizer(folder)
        model = _load_model(llama, folder)
        return cls(model, tokenizer, llama, writing)

    @property
    def name(self) -> str:
        """Name of backend and model, as shown to people."""
        return f"transformers/{self._model_name}"

    @property
    def batching(self) -> str:
        """How jobs share the model: "continuous" or "windowed"."""
        return self._runner.kind

    def close(self) -> None:
        """End the threads that run the model."""
        self._runner.close()

    def write(self, asks: Sequence[Ask], told: Told) -> list[str]:
        """Return an answer to each ask.

        Raises `UserError` for a conversation that does not fit the model, `Transient` when memory is short, and what
        `told` raises, within a moment.
        """
        tasks = [self._task(ask) for ask in asks]
        try:
            for task in tasks:
                self._runner.start(task)
            pending = {task.done for task in tasks}
            while pending:
                pending = wait(pending, timeout=TOLD_EVERY_S).not_done
                shares = [1.0 if task.done.done() else task.written / task.max_tokens for task in tasks]
                told(sum(shares) / len(shares))
            return [self._tokenizer.decode(task.done.result(), skip_special_tokens=True) for task in tasks]
        except BaseException:
            for task in tasks:
                self._runner.stop(task)
            raise

    def _task(self, ask: Ask) -> Task:
        ids = self._ids(ask.messages)
        room = self._context - len(ids)
        if room < FEWEST_NEW:
            raise UserError(
                f"The story does not fit the model {self._model_name}, which takes {self._context} tokens; please ask"
                " for fewer words.",
                code="too_long_story",
            )
        return Task(ids, ask.seed, min(ask.max_tokens, room))

    def _ids(self, messages: Sequence[Message]) -> list[int]:
        try:
            return self._templated(messages)
        except jinja2.TemplateError:
            # Some templates (Gemma's) know no system: what it says then stands at the head of the first request.
            system, first, *rest = messages
            return self._templated([Message("user", f"{system.content}\n\n{first.content}"), *rest])

    def _templated(self, messages: Sequence[Message]) -> list[int]:
        encoded = self._tokenizer.apply_chat_template(
            [replace(message, content=self._words(message.content)).plain() for message in messages],
            add_generation_prompt=True,
            return_dict=True,
            enable_thinking=False,  # for templates that know it: thoughts would take the story's tokens
        )
        ids: list[int] = list(encoded["input_ids"])
        return ids

    def _words(self, text: str) -> str:
        """Return a text without the tokens that a template is made of: tokenizers read them in people's words too, and
        a wished title could end its turn and begin another."""
        while (words := self._special.sub("", text)) != text:  # what is left may spell one again
            text = words
        return words


def _special(tokenizer: Any) -> list[str]:
    """Return the control tokens of a tokenizer, longest first."""
    added = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    return sorted({*tokenizer.all_special_tokens, *added}, key=len, reverse=True)


def _runner(model: Any, tokenizer: Any, config: Any, llama: LlamaSettings, writing: WritingSettings) -> Runner:
    """Choose how jobs share the model; says so once where it is not what "auto" hopes for."""
    if llama.batching == "windowed":
        return Windowed(model, config, writing, llama.batch, llama.wait_s)
    if llama.batching == "auto" and not fast_on(model.device):
        reason: str | None = "on a processor windows are faster"
    else:
        reason = probe(model, config, tokenizer(TRIAL, add_special_tokens=False)["input_ids"])
    if reason is None:
        return Continuous(model, config, writing, llama.batch)
    if llama.batching == "continuous":
        raise UserError(
            f"The model {llama.model} cannot be batched continuously here ({reason}); please set batching to auto or"
            " windowed.",
            code="no_continuous_batching",
        )
    log.warning("%s is not batched continuously, but in windows: %s", llama.model, reason)
    return Windowed(model, config, writing, llama.batch, llama.wait_s)


def fast_on(device: torch.device) -> bool:
    """Tell whether continuous batches pay: on a processor, without paged kernels, 16 texts took twice as long."""
    return device.type != "cpu"


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """Return the tokens that end an answer."""
    found = model.generation_config.eos_token_id
    ends = [] if found is None else found if isinstance(found, list) else [found]
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ends:
        ends = [*ends, tokenizer.eos_token_id]
    return ends or [-1]


def _check_folder(folder: Path) -> None:
    """Tell what a directory lacks, before a library tells it in a page."""
    lacks = [
        what
        for what, pattern in (
            ("no config.json", "config.json"),
            ("no weights (*.safetensors)", "*.safetensors"),
            ("no tokenizer (tokenizer.json)", "tokenizer*"),
        )
        if not any(folder.glob(pattern))
    ]
    if lacks:
        raise UserError(
            f"The directory {folder} has {' and '.join(lacks)}; please name one that holds a whole model.",
            code="model_incomplete",
        )


def _load_tokenizer(folder: Path) -> Any:
    try:
        AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        log.info("configuration of %s: %s", folder, error)
        raise UserError(
            f"The config.json in {folder} describes no model that is known here; please choose another model.",
            code="model_incomplete",
        ) from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # tokenizers raise nothing narrower for a damaged file
        log.info("tokenizer of %s: %s", folder, error)
        raise UserError(
            f"The model {folder} has no tokenizer that can be read; please name one that holds a whole model.",
            code="model_incomplete",
        ) from error
    if not tokenizer.chat_template:
        raise UserError(
            f"The model {folder} has no chat template, so it cannot be asked for a story; please choose an instruct"
            " model.",
            code="no_chat_template",
        )
    return tokenizer


def _load_model(llama: LlamaSettings, folder: Path) -> Any:
    try:
        device = "cpu" if llama.device == "auto" and not torch.cuda.is_available() else llama.device
        both: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=llama.dtype,
            device_map=device,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
        model, loaded = both
        # The library fills what is missing with random numbers, and says so only in its log.
        if lacking := [*loaded["missing_keys"], *loaded["mismatched_keys"]]:
            raise ValueError(f"weights are missing or of another shape, as {lacking[0]}")
        return model.eval()
    except Exception as error:
        if is_out_of_memory(error):
            raise UserError(
                f"The model {llama.model} does not fit into the memory of this device; please choose a smaller one, or"
                " another dtype or device.",
                code="out_of_memory",
            ) from error
        log.warning("model %s: %r", llama.model, error)  # loading raises nearly everything for a damaged file
        raise UserError(
            f"The model {llama.model} cannot be loaded as a language model on device {llama.device!r}"
            f" ({_first_line(error)}); please choose another model or device.",
            code="model_incomplete",
        ) from error


def _first_line(error: Exception) -> str:
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line.rstrip(".")[:200]
