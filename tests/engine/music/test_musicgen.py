"""MusicGen through its real classes, on a tiny random model saved to disk."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import UserError
from engine.music.musicgen import load_musicgen
from engine.music.windowed import RATE_HZ, Samples, Task, Watch, WindowedComposer
from engine.report import silent
from engine.tiny.musicgen import save_tiny_musicgen
from tests.engine.music.composing import (  # noqa: F401 - tests that this module runs
    BRIEF,
    SETTINGS,
    Load,
    test_a_piece_of_several_windows,
    test_a_window_that_never_fits_is_said,
    test_bad_briefs,
    test_cancelling_alone_ends_the_model_early,
    test_each_section_has_its_prompt_and_continues_the_one_before,
    test_guidance_off,
    test_one_of_two_jobs_is_cancelled,
    test_out_of_memory_halves_the_batch,
    test_the_seed_decides,
    test_two_jobs_share_a_batch,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_musicgen(tmp_path_factory.mktemp("musicgen") / "tiny")


@pytest.fixture(scope="module")
def load(folder: Path) -> Load:
    return lambda **changes: load_musicgen(replace(SETTINGS, model=str(folder), **changes))


def test_a_continuation_begins_with_what_it_continues(composer: WindowedComposer) -> None:
    """The context comes back as the codec hears it, and other music follows than without it."""
    told: list[float] = []
    first = Task("a sad tune", np.zeros((0, 1), np.float32), 100, 5, told.append)
    (made,) = composer._generator.generate([first], Watch([first]))
    later = replace(first, context=made[:2_000])
    (continued,) = composer._generator.generate([later], Watch([later]))
    assert len(made) == 100 * 40 and len(continued) == 150 * 40
    with torch.inference_mode():
        codes = composer._generator._heard([made[:2_000]])  # type: ignore[attr-defined]
        heard = composer._generator._played(codes)[0].T.numpy()  # type: ignore[attr-defined]
    np.testing.assert_allclose(continued[:1_600], heard[:1_600], atol=0.02)
    assert not np.allclose(continued[2_000:4_000], made[:2_000], atol=1e-3)


def one_window(load: Load, **changes: Any) -> Samples:
    """Return two seconds with one seed."""
    composer = load(**changes)
    task = Task("a sad tune", np.zeros((0, 1), np.float32), 100, 5, lambda part: None)
    try:
        return composer._generator.generate([task], Watch([task]))[0]
    finally:
        composer.close()


@pytest.mark.parametrize("change", [{"guidance": 9.0}, {"temperature": 0.3}, {"top_k": 2}])
def test_each_setting_changes_what_is_drawn(load: Load, change: dict[str, float]) -> None:
    plain = one_window(load)
    np.testing.assert_array_equal(one_window(load), plain)
    assert not np.array_equal(one_window(load, **change), plain)


def test_only_the_likeliest_code_is_what_any_seed_draws(load: Load) -> None:
    np.testing.assert_array_equal(one_window(load, top_k=1), one_window(load, top_k=1, temperature=2.0))


def test_the_number_format_is_as_asked(load: Load) -> None:
    composer = load(dtype="bfloat16")
    try:
        assert composer._generator._model.dtype == torch.bfloat16  # type: ignore[attr-defined]
    finally:
        composer.close()
    assert one_window(load, dtype="bfloat16").shape == (100 * 40, 1)


def test_a_device_that_is_not_there(load: Load) -> None:
    for device in ("cuda:77", "gpu", ""):
        with pytest.raises(UserError, match=f"There is no device '{device}' here") as caught:
            load(device=device)
        assert caught.value.code == "no_device"


def test_stereo_models(tmp_path: Path) -> None:
    composer = load_musicgen(replace(SETTINGS, model=str(save_tiny_musicgen(tmp_path / "s", stereo=True))))
    try:
        music = composer.compose(replace(BRIEF, seconds=10), silent)
    finally:
        composer.close()
    assert music.samples.shape == (round(11 * RATE_HZ), 2)
    assert not np.array_equal(music.samples[:, 0], music.samples[:, 1])


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "processor_config.json", "tokenizer.json"])
def test_an_incomplete_directory(folder: Path, tmp_path: Path, missing: str) -> None:
    shutil.copytree(folder, tmp_path / "part")
    (tmp_path / "part" / missing).unlink()
    with pytest.raises(UserError, match="MusicGen cannot be loaded from") as caught:
        load_musicgen(replace(SETTINGS, model=str(tmp_path / "part")))
    assert caught.value.code == "model_incomplete" and "\n" not in caught.value.message


def test_damaged_weights(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "bad")
    (tmp_path / "bad" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="MusicGen cannot be loaded"):
        load_musicgen(replace(SETTINGS, model=str(tmp_path / "bad")))
