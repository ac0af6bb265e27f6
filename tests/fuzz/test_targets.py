"""The fuzz targets hold for their own seeds, and notice what they are there to notice. Needs no fuzzer."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fuzz import targets
from tests.fuzz.seeds import SEEDS


@pytest.mark.parametrize("name", sorted(targets.TARGETS))
def test_seeds_pass_whole_cut_and_changed(name: str) -> None:
    random = np.random.default_rng(0)
    seeds = list(SEEDS[name]())
    assert len(seeds) >= 10
    for seed in seeds:
        changed = np.frombuffer(seed, np.uint8).copy()
        changed[random.integers(0, len(seed), max(1, len(seed) // 50))] = 255
        for data in (seed, seed[: len(seed) // 2], changed.tobytes()):
            targets.TARGETS[name](data)


@pytest.mark.parametrize(
    ("answer", "written"),
    [
        ({"title": "", "channels": 1, "samples": 5}, 4),
        ({"title": "", "channels": 0, "samples": 5}, 5),
        ({"title": "x" * 5_000, "channels": 1, "samples": 5}, 5),
        ({"refused": "no way"}, 0),
        ({"refused": "too_long"}, 10_000_000),
    ],
)
def test_a_broken_promise_is_a_finding(answer: dict[str, object], written: int) -> None:
    with pytest.raises(AssertionError):
        targets.check_answer(answer, written)


def test_a_trace_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(targets, "parse_config", broken)
    with pytest.raises(KeyError):
        targets.config(b"")
