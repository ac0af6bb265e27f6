"""One clear sentence for everything that is not music or not a story; the engine goes on as if nothing had been."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.jobs import ComposeRequest, FileSource, LinkSource, StoryRequest
from tests.e2e.conftest import Engine
from tests.music import RATE_HZ, piece

pytestmark = pytest.mark.asyncio(loop_scope="session")


def write(path: Path, samples: np.ndarray) -> Path:
    soundfile.write(path, samples, RATE_HZ)
    return path


def bad_files(folder: Path) -> dict[str, Path]:
    """Return {expected code: file}."""
    (folder / "empty.mp3").touch()
    (folder / "text.mp3").write_text("This is a letter, not a song.\n" * 50)
    (folder / "folder").mkdir()
    return {
        "missing_file": folder / "none.mp3",
        "is_directory": folder / "folder",
        "empty_file": folder / "empty.mp3",
        "not_audio": folder / "text.mp3",
        "silent": write(folder / "silence.wav", np.zeros(10 * RATE_HZ, np.float32)),
        "too_short": write(folder / "short.wav", piece(2.0)),
        "too_long": write(folder / "long.flac", np.zeros(901 * RATE_HZ, np.float32)),
    }


async def test_what_is_no_music(engine: Engine, tmp_path: Path) -> None:
    for code, path in bad_files(tmp_path).items():
        answer = await engine.ask(StoryRequest(FileSource(str(path), path.name)), tmp_path / "out")
        assert answer.result is None, code
        assert answer.error_code == code, answer
        assert answer.incident is None
        assert answer.error_message
        assert answer.error_message.endswith(".")
        assert "Traceback" not in answer.error_message
    assert not (tmp_path / "out").exists()


async def test_links_that_lead_nowhere_allowed(engine: Engine, tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:9/a.mp3", "http://user:pw@example.org/a.mp3", "http://[::1]/a.mp3"):
        answer = await engine.ask(StoryRequest(LinkSource(url)), tmp_path)
        assert answer.result is None
        assert answer.error_message
        assert answer.incident is None, answer


async def test_what_is_no_story(engine: Engine, tmp_path: Path) -> None:
    for text, code in {"": "empty_text", "🎵🎵 !!": "no_words", "a " * 15_000: "too_long_text"}.items():
        answer = await engine.ask(ComposeRequest(text), tmp_path)
        assert answer.error_code == code, answer
