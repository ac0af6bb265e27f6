"""One folder for each attempt of a job, named `<job id>-<attempt>`, inside the folder of results. Knows no queue."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

_NAME = re.compile(r"([1-9][0-9]*)-([1-9][0-9]*)")
"""The only names that `sweep` ever removes."""


def name(job_id: int, attempt: int) -> str:
    """Return the name of an attempt's folder."""
    return f"{job_id}-{attempt}"


def make_empty(folder: Path) -> None:
    """Make a folder, without what an attempt of the same number that was given back has left in it.

    Raises `OSError` when the disk does not allow it.
    """
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)


def remove(folder: Path) -> None:
    """Remove the folder of an attempt; what cannot go now goes with the next sweep."""
    if _NAME.fullmatch(folder.name):
        shutil.rmtree(folder, ignore_errors=True)


def sweep(root: Path, needed: Callable[[int, int], bool]) -> int:
    """Remove the folders of attempts that are not `needed(job_id, attempt)`; return how many."""
    removed = 0
    for folder in root.iterdir() if root.is_dir() else ():
        match = _NAME.fullmatch(folder.name)
        if match and folder.is_dir() and not folder.is_symlink() and not needed(int(match[1]), int(match[2])):
            shutil.rmtree(folder, ignore_errors=True)  # what cannot go now goes next time
            removed += 1
    return removed
