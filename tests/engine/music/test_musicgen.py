"""MusicGen through its real classes, on a tiny random model saved to disk."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.emotion.curve import Beat
from engine.errors import Cancelled, Transient, UserError
from engine.music import mix
from engine.music.composer import Brief
from engine.music.musicgen import RATE_HZ, TAIL_S, MusicgenComposer
from engine.report import silent
from engine.settings import MusicgenSettings
from engine.tiny.musicgen import save_tiny_musicgen

BEATS = (Beat(0, 6, 0.5, 0.5, "happy"), Beat(6, 12, -0.5, -0.5, "sad"))
BRIEF = Brief("A calm jazz tune in a minor key.", BEATS, 12.0, 3)
SETTINGS = MusicgenSettings(device="cpu", window_s=4, context_s=1, batch=4, wait_s=0.0, top_k=10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_musicgen(tmp_path_factory.mktemp("musicgen") / "tiny")


@pytest.fixture(scope="module")
def composer(folder: Path) -> Iterator[MusicgenComposer]:
    composer = MusicgenComposer.load(replace(SETTINGS, model=str(folder)))
    yield composer
    composer.close()


@pytest.fixture
def gathering(folder: Path) -> Iterator[MusicgenComposer]:
    """Waits for two windows before it starts."""
    composer = MusicgenComposer.load(replace(SETTINGS, model=str(folder), batch=2, wait_s=60.0))
    yield composer
    composer.close()


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


def batch_sizes(composer: MusicgenComposer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which the size of each call of the model is appended."""
    sizes: list[int] = []
    generate = composer._model.generate

    def counting(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        return generate(**inputs)

    monkeypatch.setattr(composer._model, "generate", counting)
    return sizes


def test_a_piece_of_several_windows(composer: MusicgenComposer) -> None:
    parts: list[float] = []

    def watch(stage: str, fraction: float) -> None:
        parts.append(fraction)

    music = composer.compose(BRIEF, watch)
    assert music.samples.shape == (round((12 + TAIL_S) * RATE_HZ), 2) and music.samples.dtype == np.float32
    assert music.rate_hz == RATE_HZ and music.midi is None
    assert parts == sorted(parts) and parts[0] == 0 and parts[-1] == 1 and len(parts) > 12 * 50
    assert mix.integrated_loudness(music.samples, RATE_HZ) == pytest.approx(-16, abs=1)
    assert mix.true_peak(music.samples) <= 10 ** (-1 / 20)


def test_the_seed_decides(composer: MusicgenComposer) -> None:
    one, same = composer.compose(BRIEF, silent), composer.compose(BRIEF, silent)
    other = composer.compose(replace(BRIEF, seed=4), silent)
    np.testing.assert_array_equal(one.samples, same.samples)
    assert not np.array_equal(one.samples, other.samples)


def test_each_section_has_its_prompt_and_continues_the_one_before(
    composer: MusicgenComposer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    processor = composer._processor

    def listening(**inputs: Any) -> Any:
        asked.append(inputs)
        return processor(**inputs)

    monkeypatch.setattr(composer, "_processor", listening)
    composer.compose(BRIEF, silent)
    prompts = [call["text"][0] for call in asked]
    assert len(set(prompts)) == 2 and prompts == sorted(prompts, key=prompts.index)
    assert all("jazz" in prompt for prompt in prompts)
    assert "audio" not in asked[0]
    assert all(len(call["audio"][0]) == 1 * 2_000 for call in asked[1:])


def test_two_jobs_share_a_batch(gathering: MusicgenComposer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts of unequal length, in one call for each window; company changes neither length nor seed."""
    sizes = batch_sizes(gathering, monkeypatch)
    sad = Brief("A sad tune.", (Beat(0, 12, -0.8, -0.6, "sad"),), 12.0, 8)
    happy = Brief("A happy jazz tune.", (Beat(0, 12, 0.8, 0.6, "happy"),), 12.0, 9)
    one, two = side_by_side(lambda: gathering.compose(sad, silent), lambda: gathering.compose(happy, silent))
    assert len(one.samples) == len(two.samples) and not np.array_equal(one.samples, two.samples)
    assert sizes and set(sizes) == {2}


def test_one_of_two_jobs_is_cancelled(folder: Path) -> None:
    """The other's window is made to its end."""

    def stop(stage: str, fraction: float) -> None:
        if fraction > 0.1:
            raise Cancelled

    composer = MusicgenComposer.load(replace(SETTINGS, model=str(folder), window_s=30, batch=2, wait_s=60.0))
    brief = replace(BRIEF, beats=BEATS[:1], seconds=10)
    try:
        one, two = side_by_side(lambda: composer.compose(brief, silent), lambda: composer.compose(brief, stop))
    finally:
        composer.close()
    assert isinstance(two, Cancelled) and one.duration_s == pytest.approx(11)


def test_cancelling_alone_ends_the_model_early(composer: MusicgenComposer) -> None:
    calls: list[float] = []

    def stop(stage: str, fraction: float) -> None:
        calls.append(fraction)
        if len(calls) > 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        composer.compose(BRIEF, stop)
    assert len(calls) == 6
    assert composer.compose(BRIEF, silent).duration_s >= 12


class _Small:
    """A device with room for so many prompts at once."""

    def __init__(self, composer: MusicgenComposer, room: int) -> None:
        self.sizes: list[int] = []
        self._generate = composer._model.generate
        self._room = room

    def __call__(self, **inputs: Any) -> Any:
        self.sizes.append(len(inputs["input_ids"]))
        if self.sizes[-1] > self._room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._generate(**inputs)


def test_out_of_memory_halves_the_batch(gathering: MusicgenComposer, monkeypatch: pytest.MonkeyPatch) -> None:
    small = _Small(gathering, 1)
    monkeypatch.setattr(gathering._model, "generate", small)
    brief = replace(BRIEF, beats=BEATS[:1], seconds=10)
    one, two = side_by_side(*[lambda: gathering.compose(brief, silent)] * 2)
    np.testing.assert_array_equal(one.samples, two.samples)
    assert small.sizes[:3] == [2, 1, 1]


def test_a_window_that_never_fits_is_said(composer: MusicgenComposer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composer._model, "generate", _Small(composer, 0))
    with pytest.raises(Transient, match="not enough free memory") as caught:
        composer.compose(BRIEF, silent)
    assert caught.value.code == "out_of_memory"


def test_stereo_models(tmp_path: Path) -> None:
    composer = MusicgenComposer.load(replace(SETTINGS, model=str(save_tiny_musicgen(tmp_path / "s", stereo=True))))
    try:
        music = composer.compose(replace(BRIEF, seconds=10), silent)
    finally:
        composer.close()
    assert music.samples.shape == (round(11 * RATE_HZ), 2)
    assert not np.array_equal(music.samples[:, 0], music.samples[:, 1])


def test_guidance_off(folder: Path) -> None:
    composer = MusicgenComposer.load(replace(SETTINGS, model=str(folder), guidance=1.0, top_k=0))
    try:
        assert composer.compose(replace(BRIEF, seconds=10), silent).duration_s == pytest.approx(11)
    finally:
        composer.close()


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "processor_config.json", "tokenizer.json"])
def test_an_incomplete_directory(folder: Path, tmp_path: Path, missing: str) -> None:
    shutil.copytree(folder, tmp_path / "part")
    (tmp_path / "part" / missing).unlink()
    with pytest.raises(UserError, match="MusicGen cannot be loaded from") as caught:
        MusicgenComposer.load(replace(SETTINGS, model=str(tmp_path / "part")))
    assert caught.value.code == "model_incomplete" and "\n" not in caught.value.message


def test_damaged_weights(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "bad")
    (tmp_path / "bad" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="MusicGen cannot be loaded"):
        MusicgenComposer.load(replace(SETTINGS, model=str(tmp_path / "bad")))


@pytest.mark.parametrize("brief", [replace(BRIEF, seconds=9), replace(BRIEF, seconds=601), replace(BRIEF, beats=())])
def test_bad_briefs(composer: MusicgenComposer, brief: Brief) -> None:
    with pytest.raises(UserError):
        composer.compose(brief, silent)
