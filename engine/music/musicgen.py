"""MusicGen through transformers: one prompt a section, windows that continue each other, concurrent jobs in a batch.

The weights that Meta published are for non-commercial use (CC-BY-NC 4.0). Knows briefs and samples; knows no job.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MusicgenForConditionalGeneration,
    MusicgenProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
)

from engine.batching import Batcher
from engine.errors import Transient
from engine.lockfile import DEFAULT_LOCK, model_folder
from engine.music import mix
from engine.music.composer import Brief, Music, check_brief
from engine.music.describer import section_caption
from engine.music.windows import Window, join, plan_windows
from engine.pretrained import load_beside, load_model
from engine.report import Report
from engine.settings import MusicgenSettings

RATE_HZ = 44_100
"""What the composer returns, whatever the model's rate."""
TAIL_S = 1.0
"""Made beyond the wanted length, to fade out in."""
CROSS_FADE_S = 0.05
"""At a join both sides hold the same sound; longer fades blur it, much shorter ones click."""
GRAIN_S = 5.0
"""Windows whose lengths round up to the same multiple are made in one batch and cut afterwards."""
_PLAYED = 0.95
"""Share of the time after the model is done, as reported."""

Samples = NDArray[np.float32]
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Task:
    """One window of one job: `frames` codec frames after `context`, float32 [n, channels] at the model's rate."""

    prompt: str
    context: Samples
    frames: int
    seed: int
    report: Callable[[float], None] = field(repr=False)


class MusicgenComposer:
    """Implements `engine.music.composer.Composer`. Thread-safe: one thread of its own runs the model.

    The noise that picks each token comes from the brief's seed alone, so that company in a batch changes a piece only
    as far as padding changes rounding.
    """

    def __init__(self, model: Any, processor: Any, settings: MusicgenSettings) -> None:
        self._model = model
        self._processor = processor
        self._settings = settings
        codec = model.config.audio_encoder
        self._rate_hz = int(codec.sampling_rate)
        self._frame_hz = int(codec.frame_rate)
        self._channels = int(model.decoder.config.audio_channels)
        # Each codebook of a channel starts one step after the one before (the delay pattern).
        self._delay = int(model.decoder.num_codebooks) // self._channels - 1
        self._batcher: Batcher[_Task, Samples | BaseException] = Batcher(self._run, settings.batch, settings.wait_s)

    @classmethod
    def load(cls, settings: MusicgenSettings, lock: Path = DEFAULT_LOCK) -> Self:
        """Load a directory or a locked model. Raises `UserError` when it is not there, incomplete or not MusicGen."""
        folder = model_folder(settings.model, lock)
        model = load_model(
            MusicgenForConditionalGeneration, folder, "MusicGen", dtype=settings.dtype, device=settings.device
        )
        processor = load_beside(MusicgenProcessor, folder, "MusicGen")
        return cls(model, processor, settings)

    @property
    def name(self) -> str:
        """Name of the model, as shown to people."""
        return f"MusicGen ({self._settings.model.rstrip('/').rsplit('/', 1)[-1]})"

    def close(self) -> None:
        """End the thread that runs the model."""
        self._batcher.close()

    def compose(self, brief: Brief, report: Report) -> Music:
        """Return `brief.seconds` to `brief.seconds + 4` seconds of stereo at 44.1 kHz; there is no MIDI.

        Raises `UserError` for a brief without beats or of a length outside 10–600 s, `Transient` when the device has
        not enough memory for one window, and what `report` raises.
        """
        check_brief(brief)
        seconds = brief.seconds + TAIL_S
        windows = plan_windows(brief.beats, seconds, self._settings.window_s, self._settings.context_s)
        made = np.zeros((0, self._channels), dtype=np.float32)
        report("compose", 0.0)
        for number, window in enumerate(windows):
            made = self._continue(made, window, brief, number, seconds, report)
        stereo = np.repeat(made, 2, axis=1) if self._channels == 1 else made
        samples = soxr.resample(stereo, self._rate_hz, RATE_HZ).astype(np.float32)
        samples = np.ascontiguousarray(samples[: math.floor(seconds * RATE_HZ)])
        samples -= samples.mean(axis=0)  # a codec may leave an offset, which would cost loudness
        mix.master(samples, RATE_HZ)
        report("compose", 1.0)
        return Music(samples, RATE_HZ, None)

    def _continue(
        self, made: Samples, window: Window, brief: Brief, number: int, seconds: float, report: Report
    ) -> Samples:
        """Return what was made with one window more."""
        context = made[max(0, len(made) - self._frames(window.context_s) * self._hop) :]
        task = _Task(
            prompt=section_caption(brief.beats, window.beat, brief.seed, brief.description),
            context=context,
            frames=self._frames(window.end_s) - len(made) // self._hop,  # counted from 0: no drift over many windows
            seed=brief.seed * 1_000 + number,  # below 2**63 for every 32-bit seed
            report=lambda part: report("compose", _PLAYED * (window.start_s + part * window.new_s) / seconds),
        )
        output = self._batcher(task)
        if isinstance(output, BaseException):
            raise output
        return join(made, output, len(context), round(CROSS_FADE_S * self._rate_hz))

    @property
    def _hop(self) -> int:
        """Samples of one codec frame."""
        return self._rate_hz // self._frame_hz

    def _frames(self, seconds: float) -> int:
        return math.ceil(seconds * self._frame_hz - 1e-6)

    def _run(self, tasks: Sequence[_Task]) -> list[Samples | BaseException]:
        """Make the windows of a batch; those of like shape in one call."""
        alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        grain = round(GRAIN_S * self._frame_hz)
        for i, task in enumerate(tasks):
            alike[len(task.context), -(-task.frames // grain)].append(i)
        outputs: dict[int, Samples | BaseException] = {}
        for group in alike.values():
            made = self._make([tasks[i] for i in group])
            outputs |= dict(zip(group, made, strict=True))
        return [outputs[i] for i in range(len(tasks))]

    def _make(self, tasks: Sequence[_Task]) -> list[Samples | BaseException]:
        """Make windows with contexts of one length; halves the batch when the device's memory does not suffice."""
        try:
            return self._generate(tasks)
        except torch.OutOfMemoryError:
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if len(tasks) == 1:
                return [
                    Transient(
                        "The graphics card has not enough free memory for this model; please try again, or let the "
                        "owner choose a smaller model or shorter windows.",
                        code="out_of_memory",
                    )
                ]
        half = len(tasks) // 2
        log.warning("out of memory with %d windows at once; trying %d", len(tasks), half)
        return self._make(tasks[:half]) + self._make(tasks[half:])

    @torch.inference_mode()
    def _generate(self, tasks: Sequence[_Task]) -> list[Samples | BaseException]:
        new_tokens = max(task.frames for task in tasks) + self._delay
        context = len(tasks[0].context)
        sound = {}
        if context:
            audio = [task.context[:, 0] if self._channels == 1 else task.context.T for task in tasks]
            sound = {"audio": audio, "sampling_rate": self._rate_hz}
        inputs = self._processor(text=[task.prompt for task in tasks], padding=True, return_tensors="pt", **sound)
        inputs = inputs.to(self._model.device)
        if context:
            inputs["input_values"] = inputs["input_values"].to(self._model.dtype)
        watch = _Watch(tasks, new_tokens)
        picks = _Picks([task.seed for task in tasks], self._settings, self._model.device)
        try:
            values = self._model.generate(
                **inputs,
                max_new_tokens=new_tokens,
                do_sample=False,  # `picks` draws; what is left is to take the largest
                guidance_scale=self._settings.guidance,
                logits_processor=picks,
                stopping_criteria=StoppingCriteriaList([watch]),
            )
        except _AllStopped:
            return [watch.stopped[i] for i in range(len(tasks))]
        audio_out = values.float().cpu().numpy()
        return [
            watch.stopped.get(i, np.ascontiguousarray(audio_out[i, :, : context + task.frames * self._hop].T))
            for i, task in enumerate(tasks)
        ]


class _AllStopped(Exception):
    """Nobody waits for this batch any more."""


class _Watch(StoppingCriteria):
    """Tells each job after each token how far it is; a job whose report raises is stopped, the others go on.

    Returning True early would cut the delay pattern, so a batch that nobody wants any more is left by an exception.
    """

    def __init__(self, tasks: Sequence[_Task], tokens: int) -> None:
        self.stopped: dict[int, BaseException] = {}
        self._tasks = tasks
        self._tokens = tokens
        self._done = 0

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        self._done += 1
        for i, task in enumerate(self._tasks):
            if i not in self.stopped:
                try:
                    task.report(min(1.0, self._done / self._tokens))
                except Exception as error:
                    self.stopped[i] = error
        if len(self.stopped) == len(self._tasks):
            raise _AllStopped
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


class _Picks(LogitsProcessorList):
    """A list of processors that keeps ours last: `generate` appends its guidance, which must come before."""

    def __init__(self, seeds: Sequence[int], settings: MusicgenSettings, device: torch.device) -> None:
        super().__init__([_Gumbel(seeds, settings, device)])

    def append(self, processor: LogitsProcessor) -> None:
        """Put a processor before ours."""
        self.insert(len(self) - 1, processor)


class _Gumbel(LogitsProcessor):
    """Samples by adding Gumbel noise to the scores (Gumbel-max trick; Maddison et al. 2014), a stream for each job."""

    def __init__(self, seeds: Sequence[int], settings: MusicgenSettings, device: torch.device) -> None:
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._temperature = settings.temperature
        self._top_k = settings.top_k

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.float() / self._temperature
        if 0 < self._top_k < scores.shape[-1]:
            limit = scores.topk(self._top_k, dim=-1).values[..., -1:]
            scores = scores.masked_fill(scores < limit, -torch.inf)
        shape = (len(scores) // len(self._generators), scores.shape[-1])
        uniform = torch.cat([torch.rand(shape, generator=g, device=scores.device) for g in self._generators])
        return scores - torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
