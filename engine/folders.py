"""One folder for each attempt of a job, named `<job id>-<attempt>`, inside the folder of results. Knows no queue."""

from __future__ import annotations

import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path

_NAME = re.compile(r"([1-9][0-9]*)-([1-9][0-9]*)")
"""The only names that are ever removed."""


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


def attempts(root: Path) -> list[tuple[int, int]]:
    """Return the (job id, attempt) of every attempt's folder that is there; raises `OSError` when nobody can look."""
    try:
        with os.scandir(root) as entries:
            matches = (_NAME.fullmatch(entry.name) for entry in entries if entry.is_dir(follow_symlinks=False))
            return [(int(match[1]), int(match[2])) for match in matches if match]
    except (FileNotFoundError, NotADirectoryError):
        return []


def size(root: Path) -> int:
    """Return how many bytes all files below a folder take together."""
    total = 0
    for path in root.rglob("*"):
        with suppress(FileNotFoundError):  # removed this moment
            facts = path.lstat()
            total += facts.st_size if stat.S_ISREG(facts.st_mode) else 0
    return total
