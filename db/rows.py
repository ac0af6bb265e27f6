"""What the store gives out: frozen rows. Field order is the column order of the queries that fill them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobRow:
    """A job without its result; times are seconds since the epoch, UTC."""

    id: int
    kind: str
    version: int
    args: str
    person_id: int
    chat_id: int
    platform: str
    person: str
    chat: str
    reply_to: str | None
    state: str
    attempt: int
    crashes: int
    transients: int
    lease: str | None
    lease_until: float | None
    deadline: float | None
    created: float
    error_code: str | None
    error_message: str | None
    fault: str | None
    incident: str | None


@dataclass(frozen=True)
class LaneRow:
    """One person's waiting jobs of one kind: oldest id, how many, and when last served (0: never).

    `since` is the newest turn of anybody when the oldest began to wait for its own, `credit` how often the person may
    still overtake.
    """

    person_id: int
    kind: str
    head: int
    waiting: int
    served: int
    since: int = 0
    credit: int = 0


@dataclass(frozen=True)
class WaitingRow:
    """How many queued jobs a person has, a chat has, and there are."""

    person: int
    chat: int
    total: int


@dataclass(frozen=True)
class WorkRow:
    """Work that was done for a person: when it ended, and how many seconds the last attempt took."""

    ended: float
    seconds: float


@dataclass(frozen=True)
class AnswerRow:
    """An answer to be sent, with what its job ended in."""

    id: int
    job_id: int
    nonce: str
    attempt: int
    platform: str
    person: str
    chat: str
    reply_to: str | None
    job_attempt: int
    result: str | None
    error_code: str | None
    error_message: str | None
    fault: str | None
    incident: str | None


@dataclass(frozen=True)
class PairRow:
    """A piece of music and a story that were made for each other, and how well they fit."""

    id: int
    job_id: int
    kind: str
    person_id: int
    chat_id: int
    created: float
    folder: str
    distance: float
    valence_r: float | None
    arousal_r: float | None
    better_than_shuffled: float
    aligned_by: str
    deleted: float | None
