"""Promises wherever the program dies. `make chaos` tells every tale, and kills the life after the kill as well."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import pytest

log = logging.getLogger(__name__)
LONG = "CHAOS_KILLS" in os.environ
"""Set by `make chaos`."""
SHORT = [["done"]]
TALES = [["done"], ["dead"], ["cancelled"], ["done", "--twice"], ["dead", "--twice"], ["cancelled", "--twice"]]


@pytest.mark.slow
@pytest.mark.parametrize("tale", TALES if LONG else SHORT, ids=" ".join)
def test_p1_p2_p3_p10_killed_at_every_point_nothing_is_lost_or_seen_twice(tale: list[str]) -> None:
    command = [sys.executable, "-m", "tests.crash", *tale]
    lived = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert lived.returncode == 0, lived.stderr[-2_000:]
    seen = json.loads(lived.stdout)
    log.info("%s: %s", " ".join(tale), seen)
    assert seen["wrong"] == [], seen["wrong"][:3]
    assert seen["kills"] >= 300, "the way of a job has more points than that"
