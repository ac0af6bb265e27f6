"""Every benchmark can be started by its name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import benchmarks
from benchmarks.__main__ import main

NAMES = [info.name for info in pkgutil.iter_modules(benchmarks.__path__) if info.name != "__main__"]


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_plain_main(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert not inspect.iscoroutinefunction(module.main)
    assert not inspect.signature(module.main).parameters
    assert module.__doc__


def test_an_unknown_name_is_told_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 2
    message = capsys.readouterr().err
    assert all(name in message for name in NAMES)
