"""What the queue decides: who is next, what becomes of a failure, who may ask for more. Pure: no I/O, no clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from db.rows import LaneRow, WaitingRow, WorkRow
from engine.errors import Cancelled, Crashed, Transient, TuneTaleError, UserError

WORK_WINDOW_S = 3600.0
"""What a person's work is counted over: an hour."""


@dataclass(frozen=True)
class Policy:
    """The queue's limits."""

    crashes: int = 2
    """Attempts of a job that may crash: work that kills its worker twice will do so again."""
    transients: int = 3
    """Attempts of a job that may fail for a reason outside."""
    attempts: int = 6
    """Attempts of a job however they end: what takes the whole program down each time is not restarted for ever."""
    crash_delay_s: float = 1.0
    """Seconds until a crashed job is tried again; its worker starts anew meanwhile."""
    transient_delay_s: float = 2.0
    """Seconds until the first retry of a transient failure."""
    backoff: float = 5.0
    """Each further retry of a transient failure waits this many times longer."""
    longest_delay_s: float = 60.0
    """No retry waits longer; somebody is waiting for the answer."""
    per_person: int = 5
    """Jobs that one person may have waiting."""
    per_chat: int = 20
    """Jobs that one chat may have waiting."""
    total: int = 1000
    """Jobs that may wait at all: a few hours' work for one machine."""
    work_s: float = math.inf
    """Seconds of work that one person may have done in any WORK_WINDOW_S."""

    @property
    def quota(self) -> WaitingRow:
        """The most that may wait."""
        return WaitingRow(self.per_person, self.per_chat, self.total)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a running job that did not finish; `delay_s` is for those that are queued again."""

    state: Literal["queued", "dead", "cancelled"]
    crashes: int
    transients: int
    delay_s: float = 0.0


def after_failure(policy: Policy, error: TuneTaleError, *, attempt: int, crashes: int, transients: int) -> Verdict:
    """Decide about a failed attempt; `attempt` counts from 1 and includes it, the other counts do not."""
    match error:
        case Cancelled():
            return Verdict("cancelled", crashes, transients)
        case Crashed():
            crashes += 1
            again, delay_s = crashes < policy.crashes, policy.crash_delay_s
        case Transient():
            transients += 1
            again = transients < policy.transients
            delay_s = policy.transient_delay_s * policy.backoff ** (transients - 1)
        case _:  # the request itself, or our own fault: the same again would end the same
            again, delay_s = False, 0.0
    if again and attempt < policy.attempts:
        return Verdict("queued", crashes, transients, min(delay_s, policy.longest_delay_s))
    return Verdict("dead", crashes, transients)


def after_restart(policy: Policy, *, attempt: int, crashes: int, transients: int) -> Verdict:
    """Decide about a job that ran when the whole program ended: seldom its own fault, so it is queued again at once."""
    return Verdict("queued" if attempt < policy.attempts else "dead", crashes, transients)


def pick(lanes: Sequence[LaneRow]) -> LaneRow | None:
    """Return the lane whose turn it is: the one served longest ago, among the never served the one that asked first.

    A lane is one person's jobs of one kind. Being served puts it behind everybody who waits, so nobody waits for more
    than one job of each other lane. Who has earned a turn goes before all others, but only where it has not been served
    since any of them began to wait: that the bound leaves as it is.
    """
    order = sorted(lanes, key=_turn)
    since = math.inf
    for lane in order:
        if lane.credit and since >= lane.served:
            return lane
        since = min(since, lane.since)
    return order[0] if order else None


def overtakes(lanes: Sequence[LaneRow], picked: LaneRow) -> bool:
    """Return whether the picked lane goes before one whose turn it was, which uses up an earned turn."""
    return any(_turn(lane) < _turn(picked) for lane in lanes)


def place(lanes: Sequence[LaneRow], mine: LaneRow, depth: int) -> int:
    """Return when a job will be picked (1: next) if nobody else asks; `depth` jobs of its own lane come before it."""
    if any(lane.credit for lane in lanes):
        return _place_by_trial(lanes, mine, depth)
    ahead = depth
    for lane in lanes:
        if lane != mine:
            ahead += min(lane.waiting, depth + (_turn(lane) < _turn(mine)))
    return ahead + 1


def _place_by_trial(lanes: Sequence[LaneRow], mine: LaneRow, depth: int) -> int:
    """Serve lane after lane until the job is picked: with earned turns the order has no simple formula."""
    line = list(lanes)
    newest = max(lane.served for lane in line)
    for count in range(1, sum(lane.waiting for lane in line) + 1):
        picked = pick(line)
        assert picked is not None  # there are as many jobs as rounds
        if (picked.person_id, picked.kind) == (mine.person_id, mine.kind):
            if depth == 0:
                return count
            depth -= 1
        spent = overtakes(line, picked)
        newest += 1
        line = [_served(lane, picked, newest, spent) for lane in line if lane != picked or lane.waiting > 1]
    raise ValueError("the job is not among those that wait")


def _served(lane: LaneRow, picked: LaneRow, turn: int, spent: bool) -> LaneRow:
    if lane == picked:
        lane = replace(lane, waiting=lane.waiting - 1, served=turn, since=turn)
    # Earned turns are the person's, whatever kind they are used for.
    return replace(lane, credit=lane.credit - 1) if spent and lane.person_id == picked.person_id else lane


def _turn(lane: LaneRow) -> tuple[int, int]:
    return lane.served, lane.head


def refusal(policy: Policy, waiting: WaitingRow) -> UserError | None:
    """Return why one more job cannot be accepted, given what waits already; None when it can."""
    if waiting.person >= policy.per_person:
        return UserError(
            f"You already have {_requests(waiting.person)} waiting, and {policy.per_person} is the most for one "
            "person; try again when one is done, or cancel one.",
            code="quota_person",
        )
    if waiting.chat >= policy.per_chat:
        return UserError(
            f"This chat already has {_requests(waiting.chat)} waiting, and {policy.per_chat} is the most for one chat; "
            "try again when some are done.",
            code="quota_chat",
        )
    if waiting.total >= policy.total:
        return UserError(
            f"TuneTale already has {_requests(waiting.total)} waiting, and {policy.total} is the most it accepts; "
            "try again later.",
            code="quota_total",
        )
    return None


def work_refusal(policy: Policy, work: Sequence[WorkRow], now: float) -> UserError | None:
    """Return why a person must wait who has had all the work done (oldest end first) that one may; None otherwise."""
    used_s = sum(done.seconds for done in work)
    if used_s < policy.work_s:
        return None
    left_s, free_at = used_s, now
    for done in work:
        if left_s < policy.work_s:
            break
        left_s -= done.seconds
        free_at = done.ended + WORK_WINDOW_S
    wait = max(1, math.ceil((free_at - now) / 60))
    return UserError(
        f"Your requests took {_minutes(used_s)} minutes of work within an hour, and {_minutes(policy.work_s)} is the "
        f"most for one person; try again in {wait} min.",
        code="quota_work",
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.3g}"


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"
