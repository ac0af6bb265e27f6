"""Turns earned by answering in the blind test: who has one goes before others, and the promise of fairness holds."""

from __future__ import annotations

import random

import pytest

from db.rows import LaneRow
from engine.policy import overtakes, pick, place

Key = tuple[int, str]


def lane(person: int, head: int, served: int = 0, since: int = 0, credit: int = 0) -> LaneRow:
    return LaneRow(person, "story", head, 1, served, max(since, served), credit)


@pytest.mark.parametrize(
    ("lanes", "person", "overtaken"),
    [
        ([lane(1, 1), lane(2, 2, credit=1)], 2, True),  # goes before who asked first
        ([lane(1, 1, credit=1), lane(2, 2, credit=1)], 1, False),  # both have earned it: as always
        ([lane(1, 1, since=5), lane(2, 2, served=5, credit=1)], 2, True),  # not served since the other waits
        ([lane(1, 1, since=4), lane(2, 2, served=5, credit=1)], 1, False),  # served since: once is all
        ([lane(1, 1, since=9), lane(3, 3, since=4), lane(2, 2, served=5, credit=3)], 1, False),  # one of them is enough
    ],
)
def test_pick(lanes: list[LaneRow], person: int, overtaken: bool) -> None:
    picked = pick(lanes)
    assert picked is not None and picked.person_id == person
    assert overtakes(lanes, picked) == overtaken


class Line:
    """The queue without a store: turns, credits, and when each job began to wait."""

    def __init__(self) -> None:
        self.waiting: dict[Key, list[tuple[int, int]]] = {}  # (job, newest turn when it was asked for)
        self.served: dict[Key, int] = {}
        self.credit: dict[int, int] = {}
        self.turns = self.last_id = 0

    def ask(self, person: int, kind: str) -> int:
        self.last_id += 1
        self.waiting.setdefault((person, kind), []).append((self.last_id, self.turns))
        return self.last_id

    def lanes(self) -> list[LaneRow]:
        return [
            LaneRow(
                *key,
                jobs[0][0],
                len(jobs),
                self.served.get(key, 0),
                max(jobs[0][1], self.served.get(key, 0)),
                self.credit.get(key[0], 0),
            )
            for key, jobs in self.waiting.items()
            if jobs
        ]

    def serve(self) -> tuple[int, str, int]:
        lanes = self.lanes()
        picked = pick(lanes)
        assert picked is not None
        if overtakes(lanes, picked):
            self.credit[picked.person_id] -= 1
        key = picked.person_id, picked.kind
        self.turns += 1
        self.served[key] = self.turns
        return *key, self.waiting[key].pop(0)[0]


def test_p6_nobody_waits_for_more_than_one_job_of_each_other_whoever_votes() -> None:
    rng = random.Random(11)
    overtaken = 0
    for _ in range(150):
        line, ahead = Line(), dict[int, list[Key]]()
        for _ in range(150):
            draw = rng.random()
            if draw < 0.25:
                voter = rng.choice([1, 2])  # two keep voting
                line.credit[voter] = min(3, line.credit.get(voter, 0) + 1)
            elif draw < 0.65 or not line.lanes():
                key = rng.choice([1, 1, 2, 3, 4, 5]), rng.choice(["story", "compose"])
                first_of_lane = not line.waiting.get(key)
                job = line.ask(*key)
                if first_of_lane:
                    ahead[job] = []
            else:
                before = sum(line.credit.values())
                person, kind, job = line.serve()
                overtaken += before - sum(line.credit.values())
                others = ahead.pop(job, [])
                assert len(others) == len(set(others))
                for waiting in ahead.values():
                    waiting.append((person, kind))
                if line.waiting[person, kind]:
                    ahead[line.waiting[person, kind][0][0]] = []
    assert overtaken > 100  # so it was not the plain order that kept the promise


def test_place_says_when_pick_will_choose() -> None:
    rng = random.Random(5)
    for _ in range(60):
        line = Line()
        line.credit = {1: 2, 2: 1}
        for _ in range(rng.randrange(4, 25)):
            line.ask(rng.randrange(4), rng.choice(["story", "compose"]))
            if rng.random() < 0.3:
                line.serve()
        lanes = line.lanes()
        expected = {
            job: place(lanes, row, depth)
            for row in lanes
            for depth, (job, _) in enumerate(line.waiting[row.person_id, row.kind])
        }
        served = [line.serve()[2] for _ in range(len(expected))]
        assert {job: when for when, job in enumerate(served, 1)} == expected


def test_an_unknown_job_has_no_place() -> None:
    with pytest.raises(ValueError, match="not among"):
        place([lane(1, 1, credit=1)], lane(7, 7), 0)
