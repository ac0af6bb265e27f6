from __future__ import annotations

import random

import pytest

from db.rows import LaneRow, WaitingRow, WorkRow
from engine.errors import Cancelled, Crashed, Transient, TuneTaleError, UserError
from engine.policy import Policy, Verdict, after_failure, after_restart, pick, place, refusal, work_refusal

POLICY = Policy(crash_delay_s=1, transient_delay_s=2, backoff=5, longest_delay_s=9, attempts=6)


@pytest.mark.parametrize(
    ("error", "attempt", "crashes", "transients", "verdict"),
    [
        (UserError("no"), 1, 0, 0, Verdict("dead", 0, 0)),
        (TuneTaleError("our fault"), 1, 0, 0, Verdict("dead", 0, 0)),
        (Cancelled(), 1, 0, 0, Verdict("cancelled", 0, 0)),
        (Cancelled(), 6, 1, 2, Verdict("cancelled", 1, 2)),
        (Crashed("x"), 1, 0, 0, Verdict("queued", 1, 0, 1)),
        (Crashed("x"), 2, 1, 0, Verdict("dead", 2, 0)),
        (Crashed("x"), 3, 0, 2, Verdict("queued", 1, 2, 1)),
        (Crashed("x"), 6, 0, 0, Verdict("dead", 1, 0)),  # the sixth attempt is the last, whatever the others were
        (Transient("x"), 1, 0, 0, Verdict("queued", 0, 1, 2)),
        (Transient("x"), 2, 0, 1, Verdict("queued", 0, 2, 9)),  # 2 × 5 = 10, but no longer than 9
        (Transient("x"), 3, 0, 2, Verdict("dead", 0, 3)),
        (Transient("x"), 2, 1, 0, Verdict("queued", 1, 1, 2)),
    ],
)
def test_after_failure(error: TuneTaleError, attempt: int, crashes: int, transients: int, verdict: Verdict) -> None:
    assert after_failure(POLICY, error, attempt=attempt, crashes=crashes, transients=transients) == verdict


@pytest.mark.parametrize(("attempt", "state"), [(1, "queued"), (5, "queued"), (6, "dead")])
def test_after_restart(attempt: int, state: str) -> None:
    verdict = after_restart(POLICY, attempt=attempt, crashes=1, transients=2)
    assert (verdict.state, verdict.crashes, verdict.transients, verdict.delay_s) == (state, 1, 2, 0)


@pytest.mark.parametrize(
    ("waiting", "code"),
    [
        (WaitingRow(0, 0, 0), None),
        (WaitingRow(4, 19, 999), None),
        (WaitingRow(5, 19, 999), "quota_person"),
        (WaitingRow(4, 20, 999), "quota_chat"),
        (WaitingRow(4, 19, 1000), "quota_total"),
    ],
)
def test_refusal(waiting: WaitingRow, code: str | None) -> None:
    error = refusal(Policy(), waiting)
    assert (error and error.code) == code
    if error is not None and code is not None:
        number = {"quota_person": "5", "quota_chat": "20", "quota_total": "1000"}[code]
        assert error.message.count(number) == 2  # how many there are, and the most
        assert error.message.endswith(".")


def test_refusal_by_work_says_when_enough_of_it_is_an_hour_old() -> None:
    policy, now = Policy(work_s=600.0), 100_000.0
    work = [WorkRow(now - 3000, 300.0), WorkRow(now - 1800, 200.0)]
    assert work_refusal(policy, work, now) is None
    assert work_refusal(Policy(), [WorkRow(now, 1e9)], now) is None
    refused = work_refusal(policy, [*work, WorkRow(now - 60, 150.0)], now)
    assert refused is not None
    assert refused.code == "quota_work"
    assert refused.message == (
        "Your requests took 10.8 minutes of work within an hour, and 10 is the most for one person; "
        "try again in 10 min."
    )  # when the 300 s are an hour old, 350 s are left
    long_one = work_refusal(policy, [WorkRow(now - 3599.9, 1.0), WorkRow(now - 600, 600.0)], now)
    assert long_one is not None
    assert long_one.message.endswith("try again in 50 min.")


def test_refusal_of_one_request_reads_well() -> None:
    error = refusal(Policy(per_person=1), WaitingRow(1, 1, 1))
    assert error is not None
    assert error.message.startswith("You already have 1 request waiting, and 1 is the most for one person; try again")


def lane(person: int, head: int, waiting: int = 1, served: int = 0, kind: str = "story") -> LaneRow:
    return LaneRow(person, kind, head, waiting, served)


@pytest.mark.parametrize(
    ("lanes", "person"),
    [
        ([], None),
        ([lane(1, head=9), lane(2, head=3)], 2),  # never served: who asked first
        ([lane(1, head=1, served=4), lane(2, head=9, served=3)], 2),  # served longest ago
        ([lane(1, head=1, served=1), lane(2, head=9)], 2),  # never served comes before served
    ],
)
def test_pick(lanes: list[LaneRow], person: int | None) -> None:
    picked = pick(lanes)
    assert (picked and picked.person_id) == person


class Line:
    """People who wait, served as `pick` says; the queue without a store."""

    def __init__(self) -> None:
        self.waiting: dict[tuple[int, str], list[int]] = {}
        self.served: dict[tuple[int, str], int] = {}
        self.turns = 0
        self.last_id = 0

    def ask(self, person: int, kind: str = "story") -> int:
        self.last_id += 1
        self.waiting.setdefault((person, kind), []).append(self.last_id)
        return self.last_id

    def lanes(self) -> list[LaneRow]:
        return [
            LaneRow(*key, jobs[0], len(jobs), self.served.get(key, 0)) for key, jobs in self.waiting.items() if jobs
        ]

    def serve(self) -> tuple[int, str, int]:
        picked = pick(self.lanes())
        assert picked is not None
        key = picked.person_id, picked.kind
        self.turns += 1
        self.served[key] = self.turns
        return *key, self.waiting[key].pop(0)


def test_nobody_waits_for_more_than_one_job_of_each_other_person_and_kind() -> None:
    rng = random.Random(3)
    for _ in range(40):
        line, ahead = Line(), dict[int, list[tuple[int, str]]]()
        for _ in range(120):
            if rng.random() < 0.6 or not line.lanes():
                key = rng.choice([1, 1, 1, 1, 2, 3, 4]), rng.choice(["story", "compose"])
                first_of_lane = not line.waiting.get(key)
                job = line.ask(*key)
                if first_of_lane:
                    ahead[job] = []
            else:
                person, kind, job = line.serve()
                others = ahead.pop(job, [])
                assert len(others) == len(set(others))
                assert (person, kind) not in others
                for before in ahead.values():
                    before.append((person, kind))
                if line.waiting[person, kind]:
                    ahead[line.waiting[person, kind][0]] = []  # its next job begins to wait for its turn now


def test_place_says_when_pick_will_choose() -> None:
    rng = random.Random(5)
    for _ in range(60):
        line = Line()
        for _ in range(rng.randrange(4, 25)):
            line.ask(rng.randrange(4), rng.choice(["story", "compose"]))
            if rng.random() < 0.3:
                line.serve()
        lanes = line.lanes()
        expected = {
            job: place(lanes, row, depth)
            for row in lanes
            for depth, job in enumerate(line.waiting[row.person_id, row.kind])
        }
        served = [line.serve()[2] for _ in range(len(expected))]
        assert {job: when for when, job in enumerate(served, 1)} == expected
