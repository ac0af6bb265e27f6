"""Tests marked `audiocraft` run in audiocraft's environment; elsewhere they are left to `test_environment`."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from engine.music.audiocraft.shims import prepare

HERE = find_spec("audiocraft") is not None
if HERE:
    prepare()  # before anything imports transformers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not HERE and item.get_closest_marker("audiocraft"):
            item.add_marker(
                pytest.mark.skip(reason="needs audiocraft's environment; test_environment.py runs it there")
            )
