"""Who lets us learn from their votes and pairs, and what has been learned: how each way of making was rated."""

from __future__ import annotations

from typing import Literal

from db.votes import Connection, Tally

Kind = Literal["story", "compose"]
"""What is made in several ways: stories by how many candidates are written, music by how many sketches are heard."""

WORDS_VERSION = 1
"""Of the words that are agreed to (catalogues, section [consent]): who agreed to older ones has not agreed to these."""

GIVE = (
    "INSERT INTO consent (person_id, version, given) VALUES (?, ?, ?)"
    " ON CONFLICT (person_id) DO UPDATE SET version = excluded.version, given = excluded.given"
)
WITHDRAW = "DELETE FROM consent WHERE person_id = ?"
VERSION = "SELECT version FROM consent WHERE person_id = ?"
# Ratings of what was made in a server or chat, by the way it was made; both the voter and the maker let us learn from
# them.
LEARNED = (
    "SELECT json_extract(job.args, iif(pair.kind = 'story', '$.candidates', '$.sketches')), count(*),"
    " sum(vote.score) FROM vote"
    " JOIN pair ON pair.id = vote.pair_id JOIN job ON job.id = pair.job_id JOIN chat ON chat.id = pair.chat_id"
    " JOIN consent AS voter ON voter.person_id = vote.person_id AND voter.version = :version"
    " JOIN consent AS maker ON maker.person_id = pair.person_id AND maker.version = :version"
    " WHERE vote.score NOT NULL AND pair.kind = :kind AND coalesce(chat.server_id, chat.id) = :scope GROUP BY 1"
)


def give(conn: Connection, person_id: int, version: int, now: float) -> None:
    """Record that a person agrees to a version of the words."""
    conn.execute(GIVE, (person_id, version, now))


def withdraw(conn: Connection, person_id: int) -> bool:
    """Forget a person's consent; False when there was none."""
    return conn.execute(WITHDRAW, (person_id,)).rowcount == 1


def version_of(conn: Connection, person_id: int) -> int | None:
    """Return the version of the words that a person agreed to; None without consent."""
    row = conn.execute(VERSION, (person_id,)).fetchone()
    return None if row is None else int(row[0])


def learned(conn: Connection, scope_id: int, version: int, kind: Kind) -> dict[int, Tally]:
    """Return how stories or music of a server or chat were rated, by the number of candidates or of sketches, among
    those who agreed; where the request left the number open, it does not teach anything."""
    rows = conn.execute(LEARNED, {"scope": scope_id, "version": version, "kind": kind})
    return {int(variant): Tally(count, total) for variant, count, total in rows if variant is not None}
