"""What is fuzzed: one function each, which takes any bytes and lets nothing out but what the program promises.

An exception that leaves a target is a finding.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from bot.config import parse_config
from engine.errors import UserError
from engine.media import decode_child
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.media.sniff import sniff

MOST_SECONDS = 20.0
"""The limit under which files are decoded here: long files are refused, as they are in the product, only sooner."""
_GRACE_S = 2.0


def decode(data: bytes) -> None:
    """Sniff and decode as the child does. The answer must be a refusal with a code, or a bounded number of samples."""
    with _memory_file(data) as file:
        kind = sniff(file)
        if kind is None:
            return
        with _memory_file(b"") as out:
            request = {
                "kind": kind,
                "max_seconds": MOST_SECONDS,
                "rate_hz": ANALYSIS_RATE_HZ,
                "mean": len(data) % 2 == 0,
            }
            answer = decode_child.answer(request, file, out, _fraction)
            out.flush()
            out.seek(0)
            samples = np.frombuffer(out.read(), "<f4")
    check_answer(answer, len(samples))


def check_answer(answer: dict[str, Any], written: int) -> None:
    """Assert what `engine.media.decode` relies on."""
    assert written <= (MOST_SECONDS + _GRACE_S) * ANALYSIS_RATE_HZ, "more than the limit was decoded"
    if "refused" in answer:
        assert isinstance(answer["refused"], str) and answer["refused"].isidentifier()
        return
    assert isinstance(answer["title"], str) and len(answer["title"]) <= 4_000
    assert 1 <= answer["channels"] <= 8
    assert answer["samples"] == written


def config(data: bytes) -> None:
    """Read a configuration: it is understood, or refused in words that repeat no secret."""
    text = data.decode("utf-8", "replace")
    try:
        parse_config(text, "config.toml")
    except UserError as error:
        assert error.message.startswith("config.toml ") and error.code == "bad_config"


TARGETS: dict[str, Callable[[bytes], None]] = {"decode": decode, "config": config}


def _memory_file(data: bytes) -> BinaryIO:
    """Return a real file that lies in memory: FFmpeg and the child ask for its descriptor."""
    file = os.fdopen(os.memfd_create("fuzz"), "w+b")
    file.write(data)
    file.seek(0)
    return file


def _fraction(fraction: float) -> None:
    assert math.isfinite(fraction)
