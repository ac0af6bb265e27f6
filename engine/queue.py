"""The durable queue. Knows jobs and time; knows nothing of processes, models or platforms.

    submit ─▶ queued ──claim──▶ running ──finish──▶ done ──▶ answer
                 ▲                 │ ├─────fail─────▶ dead ──▶ answer
                 └─retry, release──┘ └────cancel────▶ cancelled

Whoever claims a job gets a lease. Every change of the running job must show the lease's token, and each is one
transaction (`engine.transactions`), so a worker that was given up can no longer change anything: a job runs at least
once and takes effect once. What becomes of it is decided in `engine.policy`. Every method raises `Transient` when the
store or the folder fails.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from db import jobs, outbox
from db.rows import AnswerRow, JobRow
from db.store import Store
from engine import folders, transactions
from engine.clock import Clock, SystemClock
from engine.errors import Transient, TuneTaleError
from engine.jobs import (
    Answer,
    Asker,
    ComposeResult,
    Job,
    Lease,
    Platform,
    Progress,
    Request,
    Result,
    StoryResult,
    request_to_json,
    result_to_json,
)
from engine.ledger import Ledger, no_folder
from engine.policy import Policy
from engine.transactions import Terms

__all__ = ["Clock", "Queue", "SystemClock"]

log = logging.getLogger(__name__)
T = TypeVar("T")

SWEPT_AT_ONCE = 100
"""Folders that are looked at in one go: about a millisecond."""


class Queue:
    """Jobs from submit to answer, kept in a store; what they make lies in `folder`, one folder for each attempt.

    `work` is set when something may be claimable (or was cancelled): wait for it, then claim until there is nothing;
    `claim` clears it. `answers(platform)` is set when an answer may be ready there: clear it, take answers until there
    are none, wait. While `paused`, nothing is claimed.
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
        self.work.set()  # there may be something from before
        self.ledger = Ledger(store)
        self._answers: dict[Platform, asyncio.Event] = {}
        self._paused = False
        self._clock = clock or SystemClock()
        self._terms = Terms(policy or Policy(), lease_s, deadline_s, folder, owner=f"{secrets.token_hex(6)}.")
        self._held: dict[str, tuple[int, int]] = {}  # token -> job and attempt
        self._left: set[tuple[int, int]] = set()  # jobs and attempts that are over: their folders may be of no use
        self._swept = False
        self._owed: dict[int, Callable[[sqlite3.Connection], object]] = {}  # answer -> what is yet to be recorded
        self._progress: dict[int, Progress] = {}
        self._alarms: dict[asyncio.Event, asyncio.TimerHandle] = {}

    # --- asking ---------------------------------------------------------------------------------------------------

    async def submit(
        self, request: Request, asker: Asker, *, dedupe: str | None = None, policy: Policy | None = None
    ) -> Job:
        """Accept a request: when this returns, it is on the disk. A job with the same `dedupe` is it already.

        `dedupe` is the platform's id of what the person did (an interaction, an update); `policy` holds the quotas of
        the place where it was done. Raises `UserError` with the numbers when the person, the chat or the queue has too
        much waiting.
        """
        key = None if dedupe is None else f"{asker.platform}:{dedupe}"
        args, now = request_to_json(request), self._clock.now()
        terms = self._terms if policy is None else replace(self._terms, policy=policy)
        row = await self._write(lambda conn: transactions.accept(conn, terms, request.kind, args, asker, key, now))
        self.work.set()
        return transactions.job(row)

    @property
    def policy(self) -> Policy:
        """The limits that hold where no place has its own."""
        return self._terms.policy

    @property
    def folder(self) -> Path:
        """Where the files are that jobs make."""
        return self._terms.folder

    async def job(self, job_id: int) -> Job | None:
        """Return a job as it is now; None for an unknown one, and for one whose words were taken away."""
        return transactions.readable(await self._read(lambda conn: jobs.by_id(conn, job_id)))

    async def position(self, job_id: int) -> int | None:
        """Return which in turn a queued job is (1: next) if nobody else asks; None when it is not queued."""
        return await self._read(lambda conn: transactions.position(conn, job_id))

    def progress(self, job_id: int) -> Progress | None:
        """Return where a running job stands; None before its first word and when it is over."""
        return self._progress.get(job_id)

    async def cancel(self, job_id: int) -> bool:
        """Cancel a job; False when it is over. A running one loses its lease, so it can never finish."""
        now = self._clock.now()
        cancelled = await self._write(lambda conn: jobs.cancel(conn, job_id, now))
        if cancelled:
            self._forget([token for token, (held, _) in self._held.items() if held == job_id])
            self.work.set()
        return cancelled

    async def idle(self) -> bool:
        """Return whether nothing is queued or running and no answer is on its way."""
        return not await self._read(lambda conn: jobs.any_live(conn) or outbox.any_open(conn))

    @property
    def paused(self) -> bool:
        """Whether nothing is claimed."""
        return self._paused

    def pause(self, paused: bool = True) -> None:
        """Claim nothing from now on (what runs goes on), or claim again."""
        self._paused = paused
        self.work.set()

    async def take_away(self, pair_id: int) -> bool:
        """Delete what a pair says and its files; its numbers stay for the statistics. False when it is away already."""
        now = self._clock.now()
        return await self._write(lambda conn: transactions.take_away(conn, self._terms, pair_id, now))

    async def forget(self, platform: Platform, person: str) -> bool:
        """Delete a person with jobs, files and all that hangs on them; False for an unknown one. Running jobs end."""
        now = self._clock.now()
        gone = await self._write(lambda conn: transactions.forget(conn, self._terms, platform, person, now))
        if gone is None:
            return False
        self._forget([token for token, (held, _) in self._held.items() if held in gone])
        self.work.set()
        await self.sweep()
        await self.ledger.scrub()  # if it has to wait, `bot.upkeep` does it
        return True

    async def retire(self, before: float) -> int:
        """Delete jobs that were over before a time, with all that hangs on them and their files; return how many."""
        removed = await self._write(lambda conn: jobs.remove_old(conn, before))
        await self.sweep()
        return removed

    async def retire_oldest(self, count: int) -> int:
        """Delete the `count` jobs that were over first, as `retire` does; return how many."""
        removed = await self._write(lambda conn: jobs.remove_oldest(conn, count))
        await self.sweep()
        return removed

    async def sweep(self) -> int:
        """Look through all folders and remove those of attempts that nobody needs; return how many."""
        try:
            found = await asyncio.to_thread(folders.attempts, self.folder)
        except OSError as error:
            raise no_folder(error) from error
        return await self._sweep(found)

    # --- working --------------------------------------------------------------------------------------------------

    async def claim(self) -> Lease | None:
        """Lease the job whose turn it is and make its empty folder; None when nothing may run now.

        The attempt is charged here, so a job that kills whoever touches it runs out of attempts. The folder is made
        inside the transaction: no lease without a folder.
        """
        self.work.clear()
        if self._paused:
            return None
        while isinstance(row := await self._take(), JobRow):
            self.work.set()  # there may be more
            try:
                return transactions.lease(row, self._terms)
            except ValidationError:
                log.exception("job %d cannot be read", row.id)
                assert row.lease is not None
                await self.fail(row.lease, transactions.UNREADABLE)
        self._alarm(self.work, row)
        return None

    async def heartbeat(self, tokens: Collection[str]) -> frozenset[str]:
        """Extend leases and return those that still hold; the others were cancelled, lost or ended: stop their work.

        No lease is extended further than one lease past its job's deadline.
        """
        spare = self._terms.lease_s
        until = self._clock.now() + spare
        holding = await self._write(
            lambda conn: frozenset(token for token in tokens if jobs.extend(conn, token, until, spare))
        )
        self._forget(token for token in tokens if token not in holding)
        return holding

    def note(self, token: str, progress: Progress) -> None:
        """Keep in memory where the work of a lease stands."""
        if token in self._held:
            job_id, _ = self._held[token]
            self._progress[job_id] = progress

    async def finish(self, token: str, result: Result) -> bool:
        """End a job with its result: result, pair and answer in one transaction. False when the lease does not hold."""
        text, nonce, now = result_to_json(result), secrets.token_hex(8), self._clock.now()
        alignment = result.alignment if isinstance(result, StoryResult | ComposeResult) else None
        finished = await self._write(lambda conn: transactions.finish(conn, token, text, alignment, nonce, now))
        self._forget([token])
        self._ring()
        return finished

    async def fail(self, token: str, error: TuneTaleError, *, incident: str | None = None) -> bool:
        """End an attempt that failed; the policy decides whether there is another. False when the lease does not hold.

        `incident` joins what the person sees to the log; a job that is given up after a crash always gets one.
        """
        now = self._clock.now()
        failed = await self._write(lambda conn: transactions.fail(conn, self._terms, token, error, incident, now))
        self._forget([token])
        self.work.set()
        self._ring()
        return failed

    async def release(self, tokens: Collection[str]) -> None:
        """Give jobs back whose work has stopped, as if they had not been claimed (for a clean stop)."""
        await self._write(lambda conn: [jobs.release(conn, token) for token in tokens])
        self._forget(tokens)
        self.work.set()

    async def recover(self) -> int:
        """Take back the jobs of workers that are gone, and remove folders that nobody needs; return how many jobs.

        Gone is whoever let its lease run out, and every worker of an earlier process. Call this at the start and then
        every few seconds.
        """
        now = self._clock.now()
        first = not self._swept
        lost = await self._write(lambda conn: transactions.recover(conn, self._terms, now, first=first))
        self._forget(row.lease for row in lost if row.lease is not None)
        if first:
            await self.sweep()
            self._swept = True
        else:  # with years of results, looking through all folders takes seconds
            await self._sweep(list(self._left))
        if lost:
            log.warning("took back %d jobs: %s", len(lost), ", ".join(str(row.id) for row in lost))
            self.work.set()
            self._ring()
        return len(lost)

    # --- answering ------------------------------------------------------------------------------------------------

    def answers(self, platform: Platform) -> asyncio.Event:
        """Return the event that is set when an answer may be ready on a platform."""
        if platform not in self._answers:
            self._answers[platform] = asyncio.Event()
            self._answers[platform].set()  # there may be something from before
        return self._answers[platform]

    async def next_answer(self, platform: Platform) -> Answer | None:
        """Give out the oldest answer that is due on a platform, to the one who sends it; None when there is none.

        An answer that an earlier process left half sent comes again with the same nonce. Each one given out must end
        in `answered` or `answer_failed`; what these could not record is recorded first.
        """
        while self._owed:
            await self._record(*self._owed.popitem())
        owner, now = self._terms.owner, self._clock.now()

        async def give_back(row: AnswerRow | float | None) -> None:
            if isinstance(row, AnswerRow):
                await self.answer_failed(row.id, "The delivery was interrupted.", 0.0)

        taking = self._write(lambda conn: outbox.take(conn, platform, owner, now) or outbox.next_time(conn, platform))
        row = await self._given(taking, give_back)
        if isinstance(row, AnswerRow):
            return transactions.answer(row, self._terms)
        self._alarm(self.answers(platform), row)
        return None

    async def answered(self, answer_id: int, message_id: str | None) -> None:
        """Record that the answer has arrived, as the platform's message `message_id`."""
        owner, now = self._terms.owner, self._clock.now()
        await self._record(answer_id, lambda conn: outbox.sent(conn, answer_id, owner, message_id, now))

    async def answer_failed(self, answer_id: int, error: str, retry_in_s: float | None) -> None:
        """Record that sending failed: it is given out again after `retry_in_s` seconds, or with None never."""
        owner, now = self._terms.owner, self._clock.now()
        if retry_in_s is None:
            await self._record(answer_id, lambda conn: outbox.dead(conn, answer_id, owner, error, now))
        else:
            again = now + retry_in_s
            await self._record(answer_id, lambda conn: outbox.again(conn, answer_id, owner, error, again))
            for event in self._answers.values():
                self._alarm(event, again)

    # --- inside ---------------------------------------------------------------------------------------------------

    async def _take(self) -> JobRow | float | None:
        """Take the next job; one that nobody is there any more to be given goes back."""
        token, now = self._terms.owner + secrets.token_hex(8), self._clock.now()
        row = await self._given(
            self._write(lambda conn: transactions.take(conn, self._terms, token, now)),
            lambda _: self.release([token]),
        )
        if isinstance(row, JobRow):
            self._held[token] = row.id, row.attempt
        return row

    async def _given(self, work: Coroutine[Any, Any, T], give_back: Callable[[T], Awaitable[object]]) -> T:
        """Take something out of the store; when the caller is cancelled meanwhile, it goes back."""
        taking = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            with suppress(Transient):  # then there is nothing to give back, or it comes back by itself
                await give_back(await taking)
            raise

    async def _record(self, answer_id: int, body: Callable[[sqlite3.Connection], object]) -> None:
        """Record what became of an answer. When the store fails, `next_answer` does it, whoever calls that."""

        def noted(writing: asyncio.Task[object]) -> None:
            if not writing.cancelled() and isinstance(writing.exception(), Transient):
                self._owed[answer_id] = body

        writing = asyncio.ensure_future(self._write(body))
        writing.add_done_callback(noted)
        await asyncio.shield(writing)

    async def _sweep(self, some: Sequence[tuple[int, int]]) -> int:
        """Remove what nobody needs of these folders, few at a time: others wait for the store as well."""
        removed = 0
        for start in range(0, len(some), SWEPT_AT_ONCE):
            part = some[start : start + SWEPT_AT_ONCE]
            removed += await self._read(partial(transactions.sweep, terms=self._terms, some=part))
            self._left.difference_update(part)
        return removed

    async def _write(self, body: Callable[[sqlite3.Connection], T]) -> T:
        return await self.ledger.write(body)

    async def _read(self, body: Callable[[sqlite3.Connection], T]) -> T:
        return await self.ledger.read(body)

    def _ring(self) -> None:
        for event in self._answers.values():
            event.set()

    def _forget(self, tokens: Iterable[str]) -> None:
        for token in list(tokens):
            if (held := self._held.pop(token, None)) is not None:
                self._progress.pop(held[0], None)
                self._left.add(held)

    def _alarm(self, event: asyncio.Event, when: float | None) -> None:
        """Set `event` when the time has come, unless it will be set sooner anyhow."""
        if when is None:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + max(0.0, when - self._clock.now())
        old = self._alarms.get(event)
        if old is None or not loop.time() < old.when() <= at:
            if old is not None:
                old.cancel()
            self._alarms[event] = loop.call_at(at, event.set)
