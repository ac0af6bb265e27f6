"""What every composer in windows does, whatever library runs its tiny MusicGen; test modules import these tests.

They bring a fixture `load`, which loads the composer with SETTINGS and the changes that it is given.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from engine.emotion.curve import Beat
from engine.errors import Cancelled, Transient, UserError
from engine.music import mix
from engine.music.composer import Brief
from engine.music.windowed import RATE_HZ, TAIL_S, TOLD_EVERY, Samples, Task, Watch, WindowedComposer
from engine.report import silent
from engine.settings import MusicgenSettings

BEATS = (Beat(0, 6, 0.5, 0.5, "happy"), Beat(6, 12, -0.5, -0.5, "sad"))
BRIEF = Brief("A calm jazz tune in a minor key.", BEATS, 12.0, 3)
SETTINGS = MusicgenSettings(device="cpu", window_s=4, context_s=1, batch=4, wait_s=0.0, top_k=10)

Load = Callable[..., WindowedComposer]


def side_by_side(*works: Callable[[], Any]) -> list[Any]:
    """Run each in a thread; return what each returned or raised."""
    outcomes: list[Any] = [None] * len(works)

    def run(i: int) -> None:
        try:
            outcomes[i] = works[i]()
        except Exception as error:
            outcomes[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


def watched(composer: WindowedComposer, monkeypatch: pytest.MonkeyPatch, room: int = 99) -> list[list[Task]]:
    """Return a list to which each batch of the model is appended; the device has `room` for so many prompts."""
    batches: list[list[Task]] = []
    generate = composer._generator.generate

    def watching(tasks: Sequence[Task], watch: Watch) -> list[Samples]:
        batches.append(list(tasks))
        if len(tasks) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(tasks, watch)

    monkeypatch.setattr(composer._generator, "generate", watching)
    return batches


def test_a_piece_of_several_windows(composer: WindowedComposer) -> None:
    parts: list[float] = []

    def watch(stage: str, fraction: float) -> None:
        parts.append(fraction)

    music = composer.compose(BRIEF, watch)
    assert music.samples.shape == (round((12 + TAIL_S) * RATE_HZ), 2) and music.samples.dtype == np.float32
    assert music.rate_hz == RATE_HZ and music.midi is None
    assert parts == sorted(parts) and parts[0] == 0 and parts[-1] == 1 and len(parts) > 12 * 50 / TOLD_EVERY
    assert mix.integrated_loudness(music.samples, RATE_HZ) == pytest.approx(-16, abs=1)
    assert mix.true_peak(music.samples) <= 10 ** (-1 / 20)


def test_the_seed_decides(composer: WindowedComposer) -> None:
    one, same = composer.compose(BRIEF, silent), composer.compose(BRIEF, silent)
    other = composer.compose(replace(BRIEF, seed=4), silent)
    np.testing.assert_array_equal(one.samples, same.samples)
    assert not np.array_equal(one.samples, other.samples)


def test_each_section_has_its_prompt_and_continues_the_one_before(
    composer: WindowedComposer, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = watched(composer, monkeypatch)
    composer.compose(BRIEF, silent)
    tasks = [task for batch in batches for task in batch]
    prompts = [task.prompt for task in tasks]
    assert len(set(prompts)) == 2 and prompts == sorted(prompts, key=prompts.index)
    assert all("jazz" in prompt for prompt in prompts)
    assert [len(task.context) for task in tasks] == [0, *[1 * 2_000] * (len(tasks) - 1)]


def test_two_jobs_share_a_batch(gathering: WindowedComposer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts of unequal length, in one call for each window; company changes neither length nor seed."""
    batches = watched(gathering, monkeypatch)
    sad = Brief("A sad tune.", (Beat(0, 12, -0.8, -0.6, "sad"),), 12.0, 8)
    happy = Brief("A happy jazz tune.", (Beat(0, 12, 0.8, 0.6, "happy"),), 12.0, 9)
    one, two = side_by_side(lambda: gathering.compose(sad, silent), lambda: gathering.compose(happy, silent))
    assert len(one.samples) == len(two.samples) and not np.array_equal(one.samples, two.samples)
    assert batches and {len(batch) for batch in batches} == {2}
    assert all(len({len(task.prompt) for task in batch}) == 2 for batch in batches)


def test_one_of_two_jobs_is_cancelled(load: Load) -> None:
    """The other's window is made to its end."""

    def stop(stage: str, fraction: float) -> None:
        if fraction > 0.1:
            raise Cancelled

    composer = load(window_s=30, batch=2, wait_s=60.0)
    brief = replace(BRIEF, beats=BEATS[:1], seconds=10)
    try:
        one, two = side_by_side(lambda: composer.compose(brief, silent), lambda: composer.compose(brief, stop))
    finally:
        composer.close()
    assert isinstance(two, Cancelled) and one.duration_s == pytest.approx(11)


def test_cancelling_alone_ends_the_model_early(composer: WindowedComposer) -> None:
    calls: list[float] = []

    def stop(stage: str, fraction: float) -> None:
        calls.append(fraction)
        if len(calls) > 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        composer.compose(BRIEF, stop)
    assert len(calls) == 6
    assert composer.compose(BRIEF, silent).duration_s >= 12


def test_out_of_memory_halves_the_batch(gathering: WindowedComposer, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = watched(gathering, monkeypatch, room=1)
    brief = replace(BRIEF, beats=BEATS[:1], seconds=10)
    one, two = side_by_side(*[lambda: gathering.compose(brief, silent)] * 2)
    np.testing.assert_array_equal(one.samples, two.samples)
    assert [len(batch) for batch in batches[:3]] == [2, 1, 1]


def test_a_window_that_never_fits_is_said(composer: WindowedComposer, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(composer, monkeypatch, room=0)
    with pytest.raises(Transient, match="not enough free memory") as caught:
        composer.compose(BRIEF, silent)
    assert caught.value.code == "out_of_memory"


def test_guidance_off(load: Load) -> None:
    composer = load(guidance=1.0, top_k=0)
    try:
        assert composer.compose(replace(BRIEF, seconds=10), silent).duration_s == pytest.approx(11)
    finally:
        composer.close()


@pytest.mark.parametrize("brief", [replace(BRIEF, seconds=9), replace(BRIEF, seconds=601), replace(BRIEF, beats=())])
def test_bad_briefs(composer: WindowedComposer, brief: Brief) -> None:
    with pytest.raises(UserError):
        composer.compose(brief, silent)
