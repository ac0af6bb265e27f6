"""What people are told about the queue: where a job stands and how long it will take. Reads; changes nothing."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from db import jobs
from db.rows import JobRow
from engine import folders, transactions
from engine.clock import Clock
from engine.jobs import (
    ComposeRequest,
    EmotionRequest,
    Job,
    Progress,
    Result,
    StoryRequest,
    TextEmotionRequest,
    result_from_json,
)
from engine.ledger import Connection
from engine.queue import Queue

KINDS = tuple(request.kind for request in (StoryRequest, ComposeRequest, EmotionRequest, TextEmotionRequest))
MEASURED = 50
"""Newest jobs of a kind whose time counts: enough to even out long and short ones, few enough to follow a change."""
FRESH_S = 10.0
"""Seconds for which measured times are good."""


@dataclass(frozen=True)
class Standing:
    """A job, and where it stands now."""

    job: Job
    position: int | None
    """Which in turn it is (1: next), while it waits."""
    progress: Progress | None
    eta_s: float | None
    """Seconds until it is done; None while no job of its kind has been measured."""


def reckon(
    kind: str, seconds: dict[str, float], *, slots: int, position: int | None, running_s: float | None
) -> float | None:
    """Return the seconds until a job is done, from the typical `seconds` of each kind.

    A waiting job waits for those before it, which take what jobs take on average, `slots` of them side by side. A
    running one takes what its kind takes, and when it has taken that, a little more of the same: never "any moment now"
    for minutes on end.
    """
    own = seconds.get(kind)
    if own is None:
        return None
    if running_s is not None:
        return max(own - running_s, 0.1 * max(own, running_s))
    ahead = (position or 1) - 1
    mean = sum(seconds.values()) / len(seconds)
    return own + (ahead + 1) / slots * mean if ahead else own


def _look(conn: Connection, job_id: int) -> tuple[JobRow | None, int | None, float | None]:
    """Return a job, which in turn it is while it waits, and since when it runs."""
    row = jobs.by_id(conn, job_id)
    if row is None:
        return None, None, None
    position = transactions.position(conn, job_id) if row.state == "queued" else None
    return row, position, jobs.started(conn, job_id) if row.state == "running" else None


class Overview:
    """Looks at a queue that is worked on in `slots` jobs at a time."""

    def __init__(self, queue: Queue, clock: Clock, slots: int) -> None:
        self._queue = queue
        self._clock = clock
        self._slots = slots
        self._seconds: dict[str, float] = {}
        self._read: float | None = None

    async def seconds(self) -> dict[str, float]:
        """Return how many seconds a job of each kind typically takes (the median); kinds never done are missing."""
        now = self._clock.now()
        if self._read is None or now - self._read >= FRESH_S:
            found = await self._queue.ledger.read(
                lambda conn: {kind: jobs.measured(conn, kind, MEASURED) for kind in KINDS}
            )
            self._seconds = {kind: statistics.median(times) for kind, times in found.items() if times}
            self._read = now
        return self._seconds

    async def standing(self, job_id: int) -> Standing | None:
        """Return where a job stands; None for an unknown one."""
        row, position, started = await self._queue.ledger.read(lambda conn: _look(conn, job_id))
        job = transactions.readable(row)
        if job is None:
            return None
        running_s = None if started is None else self._clock.now() - started
        eta_s = None
        if job.state in ("queued", "running"):
            eta_s = reckon(
                job.request.kind, await self.seconds(), slots=self._slots, position=position, running_s=running_s
            )
        return Standing(job, position, self._queue.progress(job_id), eta_s)

    async def live_of(self, person_id: int) -> list[Job]:
        """Return a person's jobs that are not over, oldest first."""
        rows = await self._queue.ledger.read(lambda conn: jobs.live_of(conn, person_id))
        return [transactions.job(row) for row in rows]

    async def live_in(self, scope_id: int) -> list[Job]:
        """Return the jobs that are not over of a chat, or of a server with its chats, oldest first."""
        rows = await self._queue.ledger.read(lambda conn: jobs.live_in(conn, scope_id))
        return [transactions.job(row) for row in rows]

    async def depth(self) -> tuple[int, int]:
        """Return how many jobs wait and how many run."""
        return await self._queue.ledger.read(jobs.live_counts)

    async def result(self, job_id: int) -> tuple[Result, str] | None:
        """Return what a job has made and the name of its folder; None when it made nothing or that was taken away."""
        row = await self._queue.ledger.read(lambda conn: jobs.result(conn, job_id))
        if row is None or row[0] == "{}":
            return None
        return result_from_json(row[0]), folders.name(job_id, row[1])
