"""Composes with a text-to-music model of 30 seconds: one prompt a section, windows that continue each other, batches.

Knows briefs, windows and samples; the library that runs the model is behind `Generator`.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from engine.batching import Batcher
from engine.errors import Transient
from engine.music import mix
from engine.music.composer import Brief, Music, check_brief
from engine.music.describer import section_caption
from engine.music.windows import Window, join, plan_windows
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
TOLD_EVERY = 10
"""Columns from one report to the next: a fifth of a second of music."""
_PLAYED = 0.95
"""Share of the time after the model is done, as reported."""

Samples = NDArray[np.float32]
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Task:
    """One window of one job: `frames` codec frames after `context`, float32 [n, channels] at the model's rate."""

    prompt: str
    context: Samples
    frames: int
    seed: int
    report: Callable[[float], None] = field(repr=False)


class Generator(Protocol):
    """A MusicGen, whatever library runs it."""

    @property
    def name(self) -> str:
        """Name of the model, as shown to people."""
        ...

    @property
    def rate_hz(self) -> int:
        """Samples a second, each channel."""
        ...

    @property
    def frame_hz(self) -> int:
        """Codec frames a second."""
        ...

    @property
    def channels(self) -> int:
        """1 or 2."""
        ...

    def generate(self, tasks: Sequence[Task], watch: Watch) -> list[Samples]:
        """Return each task's context, made anew by the codec, and at least `frames` more; contexts are of one length.

        The noise that picks each code comes from the task's seed alone. Raises what `watch` raises, and
        `torch.OutOfMemoryError`.
        """
        ...


class WindowedComposer:
    """Implements `engine.music.composer.Composer`. Thread-safe: one thread of its own runs the model.

    The noise that picks each code comes from the brief's seed alone, so that company in a batch changes a piece only
    as far as padding changes rounding.
    """

    def __init__(self, generator: Generator, settings: MusicgenSettings) -> None:
        self._generator = generator
        self._settings = settings
        self._hop = generator.rate_hz // generator.frame_hz
        self._batcher: Batcher[Task, Samples | BaseException] = Batcher(self._run, settings.batch, settings.wait_s)

    @property
    def name(self) -> str:
        """Name of the model, as shown to people."""
        return self._generator.name

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
        channels, rate_hz = self._generator.channels, self._generator.rate_hz
        made = np.zeros((0, channels), dtype=np.float32)
        report("compose", 0.0)
        for number, window in enumerate(windows):
            made = self._continue(made, window, brief, number, seconds, report)
        stereo = np.repeat(made, 2, axis=1) if channels == 1 else made
        samples = soxr.resample(stereo, rate_hz, RATE_HZ).astype(np.float32)
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
        task = Task(
            prompt=section_caption(brief.beats, window.beat, brief.seed, brief.description),
            context=context,
            frames=self._frames(window.end_s) - len(made) // self._hop,  # counted from 0: no drift over many windows
            seed=brief.seed * 1_000 + number,  # below 2**63 for every 32-bit seed
            report=lambda part: report("compose", _PLAYED * (window.start_s + part * window.new_s) / seconds),
        )
        output = self._batcher(task)
        if isinstance(output, BaseException):
            raise output
        return join(made, output, len(context), round(CROSS_FADE_S * self._generator.rate_hz))

    def _frames(self, seconds: float) -> int:
        return math.ceil(seconds * self._generator.frame_hz - 1e-6)

    def _run(self, tasks: Sequence[Task]) -> list[Samples | BaseException]:
        """Make the windows of a batch; those of like shape in one call."""
        alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        grain = round(GRAIN_S * self._generator.frame_hz)
        for i, task in enumerate(tasks):
            alike[len(task.context), -(-task.frames // grain)].append(i)
        outputs: dict[int, Samples | BaseException] = {}
        for group in alike.values():
            made = self._make([tasks[i] for i in group])
            outputs |= dict(zip(group, made, strict=True))
        return [outputs[i] for i in range(len(tasks))]

    def _make(self, tasks: Sequence[Task]) -> list[Samples | BaseException]:
        """Make windows with contexts of one length; halves the batch when the device's memory does not suffice."""
        watch = Watch(tasks)
        try:
            made = self._generator.generate(tasks, watch)
            lengths = [len(task.context) + task.frames * self._hop for task in tasks]
            return [watch.stopped.get(i, made[i][:length]) for i, length in enumerate(lengths)]
        except AllStopped:
            return [watch.stopped[i] for i in range(len(tasks))]
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


class AllStopped(Exception):
    """Nobody waits for this batch any more."""


class Watch:
    """Tells each job from time to time how far it is; a job whose report raises is stopped, the others go on."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.stopped: dict[int, BaseException] = {}
        self._tasks = tasks

    def __call__(self, made: int, total: int) -> None:
        """Take note of `made` columns of `total`. Raises `AllStopped` when no job is left."""
        if made % TOLD_EVERY and made < total:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # otherwise the card lags behind what is told, and behind who has stopped
        for i, task in enumerate(self._tasks):
            if i not in self.stopped:
                try:
                    task.report(made / total)
                except Exception as error:  # whatever a job's report raises ends that job alone
                    self.stopped[i] = error
        if len(self.stopped) == len(self._tasks):
            raise AllStopped
