"""Decoders that are short to call."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from engine.media import decode_child
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


@pytest.fixture
def play_here(play: Play, monkeypatch: pytest.MonkeyPatch) -> Play:
    """The same without starting a child each time: its work is done in this process."""

    def run(
        module: str, request: Mapping[str, Any], confinement: object, *, stdin: IO[bytes], **_: object
    ) -> dict[str, Any]:
        assert module == decode_child.__name__
        with open(stdin.fileno(), "rb", closefd=False) as file, os.fdopen(os.dup(request["out"]), "wb") as out:
            return decode_child.answer(dict(request), file, out, lambda fraction: None)

    monkeypatch.setattr("engine.media.decode.run_child", run)
    return play
