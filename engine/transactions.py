"""What the queue does to the store, one plain function for each transaction. Knows rows and policy; no time, no events.

Every function takes the connection first and runs whole or not at all, inside `Store.write` or `Store.read`. Those that
change a running job ask for its lease's token and leave the store alone when that no longer holds.
"""

from __future__ import annotations

import logging
import math
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from db import jobs, outbox, pairs, people
from db.rows import AnswerRow, JobRow
from engine import folders, forgotten
from engine import policy as decide
from engine.errors import Crashed, Fault, TuneTaleError, incident_id
from engine.jobs import (
    SCHEMA,
    Alignment,
    Answer,
    Asker,
    Job,
    JobState,
    Lease,
    Platform,
    request_from_json,
    result_from_json,
)
from engine.policy import Policy, Verdict

log = logging.getLogger(__name__)

UNREADABLE = TuneTaleError("What was kept of this request can no longer be read; please ask again.", code="unreadable")
"""For a row that an older version wrote in a way that this one does not know."""


@dataclass(frozen=True)
class Terms:
    """What a queue grants: its policy, lease and deadline in seconds, its folder, and the prefix of its tokens.

    Only one process writes to a store, so what another owner holds there, a process held that is gone.
    """

    policy: Policy
    lease_s: float
    deadline_s: float
    folder: Path
    owner: str

    def folder_of(self, job_id: int, attempt: int) -> Path:
        """Return the folder of an attempt."""
        return self.folder / folders.name(job_id, attempt)


def accept(
    conn: sqlite3.Connection, terms: Terms, kind: str, args: str, asker: Asker, dedupe: str | None, now: float
) -> JobRow:
    """Add a job, or return the one with the same `dedupe`, over or not; raises `UserError` when a quota is full."""
    if dedupe is not None and (known := jobs.by_dedupe(conn, dedupe)) is not None:
        return known
    person_id = people.person_id(conn, asker.platform, asker.person, now)
    chat_id = people.chat_id(conn, asker.platform, asker.chat, now)
    refusal = decide.refusal(terms.policy, jobs.waiting(conn, person_id, chat_id, terms.policy.quota))
    if refusal is None and terms.policy.work_s < math.inf and asker.platform != "house":
        done = jobs.work(conn, person_id, now - decide.WORK_WINDOW_S, terms.deadline_s)
        refusal = decide.work_refusal(terms.policy, done, now)
    if refusal is not None:
        raise refusal
    return jobs.add(
        conn,
        kind=kind,
        version=SCHEMA,
        args=args,
        person_id=person_id,
        chat_id=chat_id,
        reply_to=asker.reply_to,
        dedupe=dedupe,
        now=now,
    )


def take(conn: sqlite3.Connection, terms: Terms, token: str, now: float) -> JobRow | float | None:
    """Lease the job whose turn it is and make its folder; without one return when the next queued job may run."""
    waiting = jobs.lanes(conn, now)
    lane = decide.pick(waiting)
    if lane is None:
        return jobs.next_time(conn)
    if decide.overtakes(waiting, lane):
        jobs.spend(conn, lane.person_id)
    row = jobs.claim(conn, lane, token, now + terms.lease_s, now + terms.deadline_s, now)
    folders.make_empty(terms.folder_of(row.id, row.attempt))
    return row


def finish(
    conn: sqlite3.Connection, token: str, result: str, alignment: Alignment | None, nonce: str, now: float
) -> bool:
    """End a job with its result, make the pair when there is an alignment, and put the answer in the outbox."""
    row = jobs.by_lease(conn, token)
    if row is None:
        return False
    jobs.done(conn, token, result, now)
    if alignment is not None:
        pairs.add(
            conn,
            row,
            folder=folders.name(row.id, row.attempt),
            distance=alignment.distance,
            valence_r=alignment.valence_r,
            arousal_r=alignment.arousal_r,
            better_than_shuffled=alignment.better_than_shuffled,
            aligned_by=alignment.by,
            now=now,
        )
    outbox.add(conn, row.id, row.platform, nonce, now)
    return True


def fail(
    conn: sqlite3.Connection, terms: Terms, token: str, error: TuneTaleError, incident: str | None, now: float
) -> bool:
    """End an attempt that failed."""
    row = jobs.by_lease(conn, token)
    if row is None:
        return False
    _settle(conn, row, _after_failure(terms, row, error), error, incident, now)
    return True


def recover(conn: sqlite3.Connection, terms: Terms, now: float, *, first: bool) -> list[JobRow]:
    """Take running jobs back whose worker is gone; return them as they were. `first`: the program has just started."""
    if first and (count := forgotten.again(conn, forgotten.book_of(terms.folder))):
        log.warning("forgot %d people again whom a backup had brought back", count)
    restarted = jobs.foreign(conn, terms.owner)
    for row in restarted:
        error = Crashed("TuneTale itself stopped each time it worked on this request, so it was given up.")
        verdict = decide.after_restart(
            terms.policy, attempt=row.attempt, crashes=row.crashes, transients=row.transients
        )
        _settle(conn, row, verdict, error, None, now)
    expired = jobs.expired(conn, now)
    for row in expired:
        error = Crashed("The worker that had this request stopped answering, so it was given up.")
        _settle(conn, row, _after_failure(terms, row, error), error, None, now)
    jobs.hurry(conn, now, terms.policy.longest_delay_s)
    if first:
        outbox.hurry(conn, now)
    return [*restarted, *expired]


def sweep(conn: sqlite3.Connection, terms: Terms, some: Iterable[tuple[int, int]]) -> int:
    """Remove those of the attempts' folders that neither run nor made a result; return how many. No claim can come
    between: one thread."""
    unneeded = [each for each in some if not jobs.needed(conn, *each)]
    for job_id, attempt in unneeded:
        folders.remove(terms.folder_of(job_id, attempt))  # what cannot go now goes with another sweep
    return len(unneeded)


def position(conn: sqlite3.Connection, job_id: int) -> int | None:
    """Return which in turn a queued job is."""
    row = jobs.by_id(conn, job_id)
    if row is None or row.state != "queued":
        return None
    lanes = jobs.lanes(conn, float("inf"))
    mine = next(lane for lane in lanes if (lane.person_id, lane.kind) == (row.person_id, row.kind))
    return decide.place(lanes, mine, jobs.depth(conn, row))


def take_away(conn: sqlite3.Connection, terms: Terms, pair_id: int, now: float) -> bool:
    """Delete what a pair says and the folder of its files; its numbers stay."""
    pair = pairs.by_id(conn, pair_id)
    if pair is None or not pairs.delete(conn, pair_id, now):
        return False
    jobs.empty(conn, pair.job_id)
    folders.remove(terms.folder / pair.folder)
    return True


def forget(conn: sqlite3.Connection, terms: Terms, platform: str, person: str, now: float) -> set[int] | None:
    """Delete a person and all that hangs on them; return their live jobs, None for an unknown person.

    First it goes into the book that keeps them from coming back with a backup.
    """
    person_id = people.find(conn, platform, person)
    if person_id is None:
        return None
    forgotten.note(conn, forgotten.book_of(terms.folder), person_id, platform, person, now)
    live = {row.id for row in jobs.live_of(conn, person_id)}
    people.forget(conn, person_id)
    return live


def _after_failure(terms: Terms, row: JobRow, error: TuneTaleError) -> Verdict:
    return decide.after_failure(
        terms.policy, error, attempt=row.attempt, crashes=row.crashes, transients=row.transients
    )


def _settle(
    conn: sqlite3.Connection, row: JobRow, verdict: Verdict, error: TuneTaleError, incident: str | None, now: float
) -> None:
    """Carry out what the policy has decided about a running job."""
    if verdict.state == "cancelled":
        jobs.cancel(conn, row.id, now)
        return
    if verdict.state == "dead" and incident is None and isinstance(error, Crashed):
        incident = incident_id()
        log.error("incident %s: job %d was given up: %s", incident, row.id, error.message)
    failed = replace(
        row,
        crashes=verdict.crashes,
        transients=verdict.transients,
        error_code=error.code,
        error_message=error.message,
        fault=error.fault,
        incident=incident,
    )
    if verdict.state == "queued":
        jobs.again(conn, failed, now + verdict.delay_s)
    else:
        jobs.dead(conn, failed, now)
        outbox.add(conn, row.id, row.platform, secrets.token_hex(8), now)


# --- from rows to what the other layers see ----------------------------------------------------------------------


def readable(row: JobRow | None) -> Job | None:
    """Return a row as a job; None for no row, and for one whose words were taken away."""
    try:
        return None if row is None else job(row)
    except ValidationError:
        return None


def job(row: JobRow) -> Job:
    """Return a row as a job; raises `pydantic.ValidationError` when its request can no longer be read."""
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


def lease(row: JobRow, terms: Terms) -> Lease:
    """Return the row of a running job as a lease; raises as `job` does."""
    assert row.lease is not None and row.lease_until is not None and row.deadline is not None  # so says the table
    return Lease(row.lease, job(row), row.lease_until, row.deadline, str(terms.folder_of(row.id, row.attempt)))


def answer(row: AnswerRow, terms: Terms) -> Answer:
    """Return a row as an answer; a result that can no longer be read is an error, and the others do not wait for it."""
    bare = Answer(row.id, row.job_id, _asker(row), row.nonce, row.attempt)
    if row.result is None:
        return replace(
            bare,
            error_code=row.error_code,
            error_message=row.error_message,
            fault=cast(Fault, row.fault),
            incident=row.incident,
        )
    try:
        result = result_from_json(row.result)
    except ValidationError:
        incident = incident_id()
        log.exception("incident %s: the result of job %d cannot be read", incident, row.job_id)
        return replace(
            bare, error_code=UNREADABLE.code, error_message=UNREADABLE.message, fault="ours", incident=incident
        )
    return replace(bare, result=result, folder=str(terms.folder_of(row.job_id, row.job_attempt)))


def _asker(row: JobRow | AnswerRow) -> Asker:
    return Asker(cast(Platform, row.platform), row.person, row.chat, row.reply_to)
