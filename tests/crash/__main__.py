"""Kills the program at every point of its way, one after the other, until a life passes that has no such point.

`python -m tests.crash TALE [--twice]` prints one JSON object; `CRASH_AT=n` in the environment kills at the n-th point
alone. Each life is a fork of this process, which has loaded everything; two are lived side by side. With `--twice` the
life after the kill is killed as well, at a random point.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import traceback
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.crash.play import TALES, run, sweep
from tests.crash.world import World

SIDE_BY_SIDE = 2
PAST_THE_END = 8
"""So many lives in a row must have passed unharmed: the number of points varies a little from life to life."""
MANY = 10
"""So many faults are enough to know."""
MEMORY = Path("/dev/shm")
"""A killed process loses nothing that it has written, wherever that is."""


@dataclass
class Tally:
    """What was seen."""

    kills: int = 0
    points: int = 0
    doubled: int = 0
    """Messages that the platform was sent again, and showed once."""
    repeated: int = 0
    """Kills after which the job's work was done anew."""
    wrong: list[str] = field(default_factory=list)


def main(tale: str, twice: bool) -> None:
    """Kill and look until no point is left."""
    base = str(MEMORY) if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tunetale-crash-", dir=base) as name:
        folder, alone = Path(name), os.environ.get("CRASH_AT")
        run(_home(folder, 0), tale, None)  # loads what is loaded on first use
        gc.freeze()
        if alone is not None:
            tally = _try(folder, tale, range(int(alone), int(alone) + 1), twice)
        else:
            helpers = [_fork(folder, tale, first, twice) for first in range(1, SIDE_BY_SIDE + 1)]
            for helper in helpers:
                os.waitpid(helper, 0)
            tallies = [Tally(**json.loads(path.read_text())) for path in folder.glob("tally-*")]
            assert len(tallies) == SIDE_BY_SIDE
            tally = Tally(
                kills=sum(each.kills for each in tallies),
                points=max(each.points for each in tallies),
                doubled=sum(each.doubled for each in tallies),
                repeated=sum(each.repeated for each in tallies),
                wrong=[wrong for each in tallies for wrong in each.wrong],
            )
    sys.stdout.write(json.dumps(asdict(tally)))


def _home(folder: Path, number: int) -> Path:
    home = folder / str(number)
    home.mkdir()
    return home


def _fork(folder: Path, tale: str, first: int, twice: bool) -> int:
    """Try every SIDE_BY_SIDE-th point, from `first` on, in a process of its own; return its id."""
    if pid := os.fork():
        return pid
    try:
        tally = _try(folder, tale, itertools.count(first, SIDE_BY_SIDE), twice)
        (folder / f"tally-{first}").write_text(json.dumps(asdict(tally)))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _try(folder: Path, tale: str, numbers: Iterable[int], twice: bool) -> Tally:
    """Kill at these points until there are no more of them."""
    tally, unharmed = Tally(), 0
    for number in numbers:
        home = _home(folder, number)
        killed = tally.kills
        try:
            _lives(home, tale, number, random.Random(number).randrange(1, 400) if twice else None, tally)
        except Exception:  # whatever it was is a finding: the test fails on any, and shows them all
            tally.wrong.append(f"killed at point {number}: {traceback.format_exc(limit=-2)[-500:]}")
        unharmed = unharmed + 1 if tally.kills == killed else 0
        shutil.rmtree(home)
        if unharmed >= PAST_THE_END or len(tally.wrong) >= MANY:
            break
    return tally


def _lives(home: Path, tale: str, first: int, second: int | None, tally: Tally) -> None:
    """Live, die and live again."""
    for die_at in (first, second):
        if die_at is None or _life(home, tale, die_at) != -signal.SIGKILL:
            break
        tally.kills += 1
        _check_what_was_promised(home)
    tally.points = max(tally.points, run(home, tale, None))
    _check_the_end(home, tale, tally)


def _life(home: Path, tale: str, die_at: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            run(home, tale, die_at)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _check_what_was_promised(home: Path) -> None:
    """P1: whoever was told that the request is accepted finds it in the store as the kill left it."""
    world = World(home / "world")
    told = {event["job"] for event in world.those("told")}
    world.close()
    with tempfile.TemporaryDirectory(dir=home) as copy:
        for path in home.glob("store.sqlite*"):
            shutil.copy(path, copy)
        with closing(sqlite3.connect(f"{copy}/store.sqlite")) as conn:
            assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert conn.execute("PRAGMA foreign_key_check").fetchone() is None
            kept = {job for (job,) in conn.execute("SELECT id FROM job")} if told else set()
    assert told <= kept, (told, kept)


def _check_the_end(home: Path, tale: str, tally: Tally) -> None:
    """One job, one result, one answer, each of its messages seen once; count what was done more than once."""
    world = World(home / "world")
    told, accepted = world.those("told"), world.those("accepted")
    world.close()
    with closing(sqlite3.connect(home / "store.sqlite")) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert conn.execute("PRAGMA foreign_key_check").fetchone() is None
        jobs = conn.execute("SELECT id, dedupe, state, attempt, crashes, result IS NOT NULL FROM job").fetchall()
        outbox = conn.execute("SELECT state, nonce FROM outbox").fetchall()
        pairs = conn.execute("SELECT job_id FROM pair").fetchall()
    assert len(jobs) == 1, jobs
    ((job, dedupe, state, attempt, crashes, has_result),) = jobs
    assert (dedupe, state, crashes, bool(has_result)) == ("telegram:update 1", tale, 0, tale == "done"), jobs
    assert {event["job"] for event in told} == {job}
    assert pairs == ([(job,)] if tale == "done" else [])
    asyncio.run(sweep(home))
    folders = [path.name for path in (home / "files").iterdir()]
    assert folders == ([f"{job}-{attempt}"] if tale == "done" else []), folders
    nonces = {event["nonce"] for event in accepted}
    if tale == "cancelled":
        assert (outbox, nonces) == ([], set())
    else:
        ((sent, nonce),) = outbox
        assert (sent, nonces) == ("sent", {f"{nonce}-0", f"{nonce}-1"}), (outbox, accepted)
    tally.doubled += len(accepted) - len(nonces)
    tally.repeated += attempt > 1


if __name__ == "__main__":
    assert sys.argv[1] in TALES
    main(sys.argv[1], "--twice" in sys.argv)
