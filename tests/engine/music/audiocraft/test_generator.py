"""MusicGen through audiocraft's real classes, on the tiny model in audiocraft's form; in audiocraft's environment."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import MusicgenForConditionalGeneration

from engine.errors import UserError
from engine.lockfile import LockedFile, LockedModel, sha256_of, write_lock
from engine.music.musicgen import load_musicgen
from engine.music.windowed import Task, Watch, WindowedComposer
from engine.settings import MusicgenSettings
from engine.tiny.audiocraft import save_tiny_audiocraft
from tests.engine.music.composing import (  # noqa: F401 - tests that this module runs
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

if find_spec("audiocraft") is not None:
    from engine.music.audiocraft.generator import load_audiocraft

pytestmark = pytest.mark.audiocraft


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_audiocraft(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def load(models: Path) -> Load:
    settings = replace(SETTINGS, model=str(models / "audiocraft"))
    return lambda **changes: load_audiocraft(replace(settings, **changes), models / "models.lock")


@pytest.fixture(scope="module")
def plain(models: Path) -> Any:
    model: Any = MusicgenForConditionalGeneration.from_pretrained(models / "plain")
    return model.eval()


@torch.inference_mode()
def test_the_same_weights_give_the_same_logits(composer: WindowedComposer, plain: Any) -> None:
    """Both libraries' language models, on delayed codes and encoded text, with and without a mask."""
    lm = composer._generator._model.lm  # type: ignore[attr-defined]
    random = torch.Generator().manual_seed(1)
    books, width = plain.decoder.num_codebooks, plain.decoder.config.hidden_size
    codes = torch.randint(0, 33, (3, books, 40), generator=random)
    text = torch.randn((3, 7, width), generator=random)
    mask = torch.ones((3, 7), dtype=torch.int64)
    ours = plain.decoder(
        input_ids=codes.flatten(0, 1), encoder_hidden_states=text, encoder_attention_mask=mask
    ).logits.view(3, books, 40, -1)
    theirs = lm(codes, [], condition_tensors={"description": (text, mask)})
    assert ours.shape == theirs.shape and ours.std() > 0.01
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=0)


def test_the_same_seed_gives_the_same_music_as_transformers(composer: WindowedComposer, models: Path) -> None:
    """Two prompts of one length: audiocraft reads the padding of a shorter one, transformers does not."""
    other = load_musicgen(replace(SETTINGS, model=str(models / "plain")))
    tasks = [
        Task(f"a {mood} tune in major key", np.zeros((0, 1), np.float32), 60, seed, lambda part: None)
        for mood, seed in (("sad", 5), ("happy", 6))
    ]
    try:
        theirs = composer._generator.generate(tasks, Watch(tasks))
        ours = other._generator.generate(tasks, Watch(tasks))
        for one, two in zip(theirs, ours, strict=True):
            np.testing.assert_allclose(one, two, atol=1e-4)
        later = [replace(task, context=made[:2_000]) for task, made in zip(tasks, ours, strict=True)]
        for one, two in zip(
            composer._generator.generate(later, Watch(later)),
            other._generator.generate(later, Watch(later)),
            strict=True,
        ):
            np.testing.assert_allclose(one, two, atol=1e-4)
    finally:
        other.close()


def test_the_name(composer: WindowedComposer) -> None:
    assert composer.name == "MusicGen by audiocraft (audiocraft)"


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(models / "audiocraft", tmp_path / "copy"))


def refused(folder: Path, lock: Path, **changes: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        load_audiocraft(replace(MusicgenSettings(model=str(folder), device="cpu"), **changes), lock)
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("missing", ["state_dict.bin", "compression_state_dict.bin"])
def test_an_incomplete_directory(copy: Path, models: Path, missing: str) -> None:
    (copy / missing).unlink()
    error = refused(copy, models / "models.lock")
    assert error.code == "model_incomplete" and "fetch" in error.message


def test_weights_that_the_lock_does_not_know_are_not_opened(copy: Path, models: Path, tmp_path: Path) -> None:
    (copy / "state_dict.bin").write_bytes((copy / "state_dict.bin").read_bytes() + b"x")
    assert refused(copy, models / "models.lock").code == "unlocked_pickle"
    assert refused(models / "audiocraft", tmp_path / "none.lock").code == "unlocked_pickle"


class Evil:
    """Would run code when it is unpickled."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("executed"),))


def test_code_in_a_locked_pickle_is_not_run(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"xp.cfg": Evil()}, copy / "state_dict.bin")
    files = {path.name: LockedFile(sha256_of(path), path.stat().st_size) for path in copy.iterdir()}
    write_lock(tmp_path / "models.lock", {"evil/model": LockedModel("0" * 40, "none", files)})
    assert refused(copy, tmp_path / "models.lock").code == "model_incomplete"
    assert not (tmp_path / "executed").exists()


def test_a_text_encoder_that_is_not_locked(copy: Path, tmp_path: Path) -> None:
    package = torch.load(copy / "state_dict.bin", weights_only=True)
    config = json.loads(package["xp.cfg"])
    config["conditioners"]["description"]["t5"]["name"] = "t5-base"
    torch.save(package | {"xp.cfg": json.dumps(config)}, copy / "state_dict.bin")
    files = {path.name: LockedFile(sha256_of(path), path.stat().st_size) for path in copy.iterdir()}
    write_lock(tmp_path / "models.lock", {"some/model": LockedModel("0" * 40, "none", files)})
    error = refused(copy, tmp_path / "models.lock")
    assert error.code == "no_model" and "tunetale models fetch t5-base" in error.message


def test_a_name_that_is_not_locked(tmp_path: Path) -> None:
    error = refused(Path("facebook/musicgen-small"), tmp_path / "none.lock")
    assert error.code == "no_model"
    assert "`tunetale models fetch facebook/musicgen-small --audiocraft`" in error.message


def test_the_number_format_is_audiocrafts_own(copy: Path, models: Path) -> None:
    assert refused(copy, models / "models.lock", dtype="bfloat16").code == "bad_dtype"
