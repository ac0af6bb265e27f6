"""How work tells where it stands, and learns that it should stop."""

from __future__ import annotations

from typing import Protocol

STAGES = ("fetch", "decode", "listen", "read", "describe", "write", "compose", "check", "draw")
"""Every stage name that may be reported; the catalogues have a phrase for each."""


class Report(Protocol):
    """Called by the work as it goes on; cheap enough to call often."""

    def __call__(self, stage: str, fraction: float) -> None:
        """Say that `stage` (one of STAGES) is `fraction` (0 to 1) done. Raises `Cancelled` when the job should stop."""
        ...


def silent(stage: str, fraction: float) -> None:
    """A report that nobody reads."""
