"""What people are told about waiting: reckoned from what jobs took."""

from __future__ import annotations

import pytest

from engine.overview import reckon

SECONDS = {"story": 10.0, "compose": 30.0}


@pytest.mark.parametrize(
    ("kind", "slots", "position", "running_s", "expected"),
    [
        ("story", 2, 1, None, 10.0),  # next: nobody is before it
        ("story", 2, 3, None, 10.0 + 3 / 2 * 20.0),
        ("compose", 1, 3, None, 30.0 + 3 * 20.0),
        ("compose", 4, 3, None, 30.0 + 3 / 4 * 20.0),
        ("compose", 2, None, 12.0, 18.0),
        ("compose", 2, None, 100.0, 10.0),  # longer than ever: a tenth of it, not nothing
        ("emotion", 2, 1, None, None),  # never measured
    ],
)
def test_reckoning(
    kind: str, slots: int, position: int | None, running_s: float | None, expected: float | None
) -> None:
    found = reckon(kind, SECONDS, slots=slots, position=position, running_s=running_s)
    assert found == (None if expected is None else pytest.approx(expected))


def test_more_before_it_is_never_sooner() -> None:
    waits = [reckon("story", SECONDS, slots=2, position=place, running_s=None) for place in range(1, 50)]
    assert all(wait is not None for wait in waits) and waits == sorted(waits, key=lambda wait: wait or 0.0)
