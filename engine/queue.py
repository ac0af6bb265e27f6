"""The durable queue. Knows jobs and time; knows nothing of processes, models or platforms.

    submit ─▶ queued ──claim──▶ running ──finish──▶ done ──▶ answer
                 ▲                 │ ├─────fail─────▶ dead ──▶ answer
                 └─retry, release──┘ └────cancel────▶ cancelled

Whoever claims a job gets a lease. Every change of the running job must show the lease's token, and each is one
transaction, so a worker that was given up can no longer change anything. A job runs at least once and takes effect
once. What becomes of it is decided in `engine.policy`. The store's failures are raised as `Transient`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from pydantic import ValidationError

from db import jobs, outbox, pairs, people
from db.rows import AnswerRow, JobRow
from db.store import Store, StoreError
from engine import folders
from engine import policy as decide
from engine.clock import Clock, SystemClock
from engine.errors import Crashed, Transient, TuneTaleError, incident_id
from engine.jobs import (
    SCHEMA,
    Answer,
    Asker,
    ComposeResult,
    Job,
    JobState,
    Lease,
    Platform,
    Progress,
    Request,
    Result,
    StoryResult,
    request_from_json,
    request_to_json,
    result_from_json,
    result_to_json,
)
from engine.policy import Policy, Verdict

__all__ = ["Clock", "Queue", "SystemClock"]

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

_UNREADABLE = "What was kept of this request can no longer be read; please ask again."


class Queue:
    """Jobs from submit to answer, kept in a store; what they make lies in `folder`, one folder for each attempt.

    `work` is set when something may be claimable (or was cancelled): wait for it, then claim until there is nothing;
    `claim` clears it. `answers` is set when an answer may be ready: clear it, take answers until there are none, wait.
    """

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        clock: Clock | None = None,
        policy: Policy | None = None,
        lease_s: float = 15.0,
        deadline_s: float = 300.0,
    ) -> None:
        self.work = asyncio.Event()
        self.answers = asyncio.Event()
        self.work.set()  # there may be something from before
        self.answers.set()
        self._store = store
        self._folder = folder
        self._clock = clock or SystemClock()
        self._policy = policy or Policy()
        self._lease_s = lease_s
        self._deadline_s = deadline_s
        # Only one process writes to a store: what another owner holds there, a process held that is gone.
        self._owner = f"{secrets.token_hex(6)}."
        self._held: dict[str, int] = {}  # token -> job
        self._progress: dict[int, Progress] = {}
        self._alarms: dict[asyncio.Event, asyncio.TimerHandle] = {}

    # --- asking ---------------------------------------------------------------------------------------------------

    async def submit(self, request: Request, asker: Asker, *, dedupe: str | None = None) -> Job:
        """Accept a request: when this returns, it is on the disk. A live job with the same `dedupe` is it already.

        `dedupe` is the platform's id of what the person did (an interaction, an update). Raises `UserError` with the
        numbers when the person, the chat or the queue has too much waiting.
        """
        key = None if dedupe is None else f"{asker.platform}:{dedupe}"
        args, now = request_to_json(request), self._clock.now()

        def body(conn: sqlite3.Connection) -> JobRow:
            if key is not None and (live := jobs.by_dedupe(conn, key)) is not None:
                return live
            person_id = people.person_id(conn, asker.platform, asker.person, now)
            chat_id = people.chat_id(conn, asker.platform, asker.chat, now)
            refusal = decide.refusal(self._policy, jobs.waiting(conn, person_id, chat_id, self._policy.quota))
            if refusal is not None:
                raise refusal
            return jobs.add(
                conn,
                kind=request.kind,
                version=SCHEMA,
                args=args,
                person_id=person_id,
                chat_id=chat_id,
                reply_to=asker.reply_to,
                dedupe=key,
                now=now,
            )

        row = await self._write(body)
        self.work.set()
        return _job(row)

    async def job(self, job_id: int) -> Job | None:
        """Return a job as it is now."""
        row = await self._read(lambda conn: jobs.by_id(conn, job_id))
        return None if row is None else _job(row)

    async def position(self, job_id: int) -> int | None:
        """Return which in turn a queued job is (1: next) if nobody else asks; None when it is not queued."""

        def body(conn: sqlite3.Connection) -> int | None:
            row = jobs.by_id(conn, job_id)
            if row is None or row.state != "queued":
                return None
            lanes = jobs.lanes(conn, float("inf"))
            mine = next(lane for lane in lanes if (lane.person_id, lane.kind) == (row.person_id, row.kind))
            return decide.place(lanes, mine, jobs.depth(conn, row))

        return await self._read(body)

    def progress(self, job_id: int) -> Progress | None:
        """Return where a running job stands; None before its first word and when it is over."""
        return self._progress.get(job_id)

    async def cancel(self, job_id: int) -> bool:
        """Cancel a job; False when it is over. A running one loses its lease, so it can never finish."""
        now = self._clock.now()
        cancelled = await self._write(lambda conn: jobs.cancel(conn, job_id, now))
        if cancelled:
            self._forget(token for token, held in self._held.items() if held == job_id)
            self.work.set()
        return cancelled

    async def idle(self) -> bool:
        """Return whether nothing is queued or running and no answer is on its way."""
        return not await self._read(lambda conn: jobs.any_live(conn) or outbox.any_open(conn))

    # --- working --------------------------------------------------------------------------------------------------

    async def claim(self) -> Lease | None:
        """Lease the job whose turn it is and make its empty folder; None when nothing may run now.

        The attempt is charged here, so a job that kills whoever touches it runs out of attempts. The folder is made
        inside the transaction: no lease without a folder. Raises `Transient` when the disk does not allow it.
        """
        self.work.clear()
        while True:
            token = self._owner + secrets.token_hex(8)
            row = await self._write(partial(self._take, token, self._clock.now()))
            if not isinstance(row, JobRow):
                self._alarm(self.work, row)
                return None
            self.work.set()  # there may be more
            self._held[token] = row.id
            try:
                job = _job(row)
            except ValidationError:  # kept by a version that wrote requests differently
                _LOG.exception("job %d cannot be read", row.id)
                await self.fail(token, TuneTaleError(_UNREADABLE, code="unreadable"))
                continue
            assert row.lease_until is not None and row.deadline is not None  # the table says so for a running job
            return Lease(token, job, row.lease_until, row.deadline, str(self._folder_of(row.id, row.attempt)))

    async def heartbeat(self, tokens: Collection[str]) -> frozenset[str]:
        """Extend leases and return those that still hold; the others were cancelled, lost or ended: stop their work.

        No lease is extended further than one lease past its job's deadline.
        """
        until = self._clock.now() + self._lease_s

        def body(conn: sqlite3.Connection) -> frozenset[str]:
            return frozenset(token for token in tokens if jobs.extend(conn, token, until, self._lease_s))

        holding = await self._write(body)
        self._forget(token for token in tokens if token not in holding)
        return holding

    def note(self, token: str, progress: Progress) -> None:
        """Keep in memory where the work of a lease stands."""
        if token in self._held:
            self._progress[self._held[token]] = progress

    async def finish(self, token: str, result: Result) -> bool:
        """End a job with its result: result, pair and answer in one transaction. False when the lease does not hold."""
        text, nonce, now = result_to_json(result), secrets.token_hex(8), self._clock.now()

        def body(conn: sqlite3.Connection) -> bool:
            row = jobs.by_lease(conn, token)
            if row is None:
                return False
            jobs.done(conn, token, text, now)
            if isinstance(result, StoryResult | ComposeResult):
                pairs.add(
                    conn,
                    row,
                    folder=folders.name(row.id, row.attempt),
                    distance=result.alignment.distance,
                    valence_r=result.alignment.valence_r,
                    arousal_r=result.alignment.arousal_r,
                    better_than_shuffled=result.alignment.better_than_shuffled,
                    aligned_by=result.alignment.by,
                    now=now,
                )
            outbox.add(conn, row.id, row.platform, nonce, now)
            return True

        finished = await self._write(body)
        self._forget([token])
        if finished:
            self.answers.set()
        return finished

    async def fail(self, token: str, error: TuneTaleError, *, incident: str | None = None) -> bool:
        """End an attempt that failed; the policy decides whether there is another. False when the lease does not hold.

        `incident` joins what the person sees to the log; a job that is given up after a crash always gets one.
        """
        now = self._clock.now()

        def body(conn: sqlite3.Connection) -> bool:
            row = jobs.by_lease(conn, token)
            if row is None:
                return False
            verdict = decide.after_failure(
                self._policy, error, attempt=row.attempt, crashes=row.crashes, transients=row.transients
            )
            _settle(conn, row, verdict, error, incident, now)
            return True

        failed = await self._write(body)
        self._forget([token])
        self.work.set()
        self.answers.set()
        return failed

    async def release(self, tokens: Collection[str]) -> None:
        """Give jobs back whose work has stopped, as if they had not been claimed (for a clean stop)."""

        def body(conn: sqlite3.Connection) -> None:
            for token in tokens:
                jobs.release(conn, token)

        await self._write(body)
        self._forget(tokens)
        self.work.set()

    async def recover(self) -> int:
        """Take back the jobs of workers that are gone, and remove folders that nobody needs; return how many jobs.

        Gone is whoever let its lease run out, and every worker of an earlier process. Call this at the start and then
        every few seconds.
        """
        now = self._clock.now()

        def body(conn: sqlite3.Connection) -> list[JobRow]:
            restarted, expired = jobs.foreign(conn, self._owner), []
            for row in restarted:
                verdict = decide.after_restart(
                    self._policy, attempt=row.attempt, crashes=row.crashes, transients=row.transients
                )
                error = Crashed("TuneTale itself stopped each time it worked on this request, so it was given up.")
                _settle(conn, row, verdict, error, None, now)
            for row in jobs.expired(conn, now):
                error = Crashed("The worker that had this request stopped answering, so it was given up.")
                verdict = decide.after_failure(
                    self._policy, error, attempt=row.attempt, crashes=row.crashes, transients=row.transients
                )
                _settle(conn, row, verdict, error, None, now)
                expired.append(row)
            jobs.hurry(conn, now, self._policy.longest_delay_s)
            return [*restarted, *expired]

        lost = await self._write(body)
        self._forget(row.lease for row in lost if row.lease is not None)
        await self._read(lambda conn: folders.sweep(self._folder, partial(jobs.needed, conn)))
        if lost:
            _LOG.warning("took back %d jobs: %s", len(lost), ", ".join(str(row.id) for row in lost))
            self.work.set()
            self.answers.set()
        return len(lost)

    # --- answering ------------------------------------------------------------------------------------------------

    async def next_answer(self, platform: Platform) -> Answer | None:
        """Give out the oldest answer that is due on a platform, to the one who sends it; None when there is none.

        An answer that an earlier process left half sent comes again with the same nonce. Each one given out must end
        in `answered` or `answer_failed`.
        """
        now = self._clock.now()

        def body(conn: sqlite3.Connection) -> AnswerRow | float | None:
            return outbox.take(conn, platform, self._owner, now) or outbox.next_time(conn, platform)

        row = await self._write(body)
        if not isinstance(row, AnswerRow):
            self._alarm(self.answers, row)
            return None
        return self._answer(row)

    async def answered(self, answer_id: int, message_id: str | None) -> None:
        """Record that the answer has arrived, as the platform's message `message_id`."""
        now = self._clock.now()
        await self._write(lambda conn: outbox.sent(conn, answer_id, self._owner, message_id, now))

    async def answer_failed(self, answer_id: int, error: str, retry_in_s: float | None) -> None:
        """Record that sending failed: it is given out again after `retry_in_s` seconds, or with None never."""
        now = self._clock.now()

        def body(conn: sqlite3.Connection) -> bool:
            if retry_in_s is None:
                return outbox.dead(conn, answer_id, self._owner, error, now)
            return outbox.again(conn, answer_id, self._owner, error, now + retry_in_s)

        await self._write(body)
        if retry_in_s is not None:
            self._alarm(self.answers, now + retry_in_s)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _take(self, token: str, now: float, conn: sqlite3.Connection) -> JobRow | float | None:
        """Lease the job whose turn it is; without one return when the next queued job may run."""
        lane = decide.pick(jobs.lanes(conn, now))
        if lane is None:
            return jobs.next_time(conn)
        row = jobs.claim(conn, lane, token, now + self._lease_s, now + self._deadline_s)
        folders.make_empty(self._folder_of(row.id, row.attempt))
        return row

    async def _write(self, body: Callable[[sqlite3.Connection], _T]) -> _T:
        return await _translated(self._store.write(body))

    async def _read(self, body: Callable[[sqlite3.Connection], _T]) -> _T:
        return await _translated(self._store.read(body))

    def _forget(self, tokens: Iterable[str]) -> None:
        for token in list(tokens):
            if (job_id := self._held.pop(token, None)) is not None:
                self._progress.pop(job_id, None)

    def _alarm(self, event: asyncio.Event, when: float | None) -> None:
        """Set `event` when the time has come; a later alarm for the same event replaces an earlier one."""
        if (old := self._alarms.pop(event, None)) is not None:
            old.cancel()
        if when is not None:
            delay_s = max(0.0, when - self._clock.now())
            self._alarms[event] = asyncio.get_running_loop().call_later(delay_s, event.set)

    def _folder_of(self, job_id: int, attempt: int) -> Path:
        return self._folder / folders.name(job_id, attempt)

    def _answer(self, row: AnswerRow) -> Answer:
        answer = Answer(row.id, row.job_id, _asker(row), row.nonce, row.attempt)
        if row.result is None:
            return replace(answer, error_code=row.error_code, error_message=row.error_message, incident=row.incident)
        try:
            result = result_from_json(row.result)
        except ValidationError:  # kept by a version that wrote results differently; the others must not wait for it
            incident = incident_id()
            _LOG.exception("incident %s: the result of job %d cannot be read", incident, row.job_id)
            return replace(answer, error_code="unreadable", error_message=_UNREADABLE, incident=incident)
        return replace(answer, result=result, folder=str(self._folder_of(row.job_id, row.job_attempt)))


async def _translated(work: Awaitable[_T]) -> _T:
    try:
        return await work
    except StoreError as error:
        raise Transient(error.message, code="store") from error
    except OSError as error:
        raise Transient(f"The folder for results could not be used: {error.strerror}.", code="folder") from error


def _settle(
    conn: sqlite3.Connection, row: JobRow, verdict: Verdict, error: TuneTaleError, incident: str | None, now: float
) -> None:
    """Carry out what the policy has decided about a running job."""
    if verdict.state == "cancelled":
        jobs.cancel(conn, row.id, now)
        return
    if verdict.state == "dead" and incident is None and isinstance(error, Crashed):
        incident = incident_id()
        _LOG.error("incident %s: job %d was given up: %s", incident, row.id, error.message)
    ended = replace(
        row,
        crashes=verdict.crashes,
        transients=verdict.transients,
        error_code=error.code,
        error_message=error.message,
        incident=incident,
    )
    if verdict.state == "queued":
        jobs.again(conn, ended, now + verdict.delay_s)
    else:
        jobs.dead(conn, ended, now)
        outbox.add(conn, row.id, row.platform, secrets.token_hex(8), now)


def _job(row: JobRow) -> Job:
    return Job(
        id=row.id,
        asker=_asker(row),
        request=request_from_json(row.args),
        state=cast(JobState, row.state),
        attempt=row.attempt,
        created=row.created,
        error_code=row.error_code,
        error_message=row.error_message,
    )


def _asker(row: JobRow | AnswerRow) -> Asker:
    return Asker(cast(Platform, row.platform), row.person, row.chat, row.reply_to)
