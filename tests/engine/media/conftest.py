"""A decoder that is short to call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.media.decode import decode
from engine.media.recording import Recording
from engine.report import silent
from engine.settings import MediaLimits

Play = Callable[..., Recording]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Decode a file in a scratch folder of its own, and see that nothing stays behind there."""

    def run(path: Path, name: str | None = None, **limits: Any) -> Recording:
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        try:
            return decode(path, name or path.name, replace(MediaLimits(), **limits), scratch, silent)
        finally:
            assert not list(scratch.iterdir())

    return run
