"""Who lets us learn from their votes and pairs, and what has been learned: how each way of making was rated."""

from __future__ import annotations

from db.votes import Connection, Tally

GIVE = (
    "INSERT INTO consent (person_id, version, given) VALUES (?, ?, ?)"
    " ON CONFLICT (person_id) DO UPDATE SET version = excluded.version, given = excluded.given"
)
WITHDRAW = "DELETE FROM consent WHERE person_id = ?"
VERSION = "SELECT version FROM consent WHERE person_id = ?"
# Ratings of stories made in a server or chat, by how many candidates were written; both the voter and the maker let us
# learn from them.
LEARNED = (
    "SELECT json_extract(job.args, '$.candidates'), count(*), sum(vote.score) FROM vote"
    " JOIN pair ON pair.id = vote.pair_id JOIN job ON job.id = pair.job_id JOIN chat ON chat.id = pair.chat_id"
    " JOIN consent AS voter ON voter.person_id = vote.person_id AND voter.version = :version"
    " JOIN consent AS maker ON maker.person_id = pair.person_id AND maker.version = :version"
    " WHERE vote.score NOT NULL AND pair.kind = 'story' AND coalesce(chat.server_id, chat.id) = :scope GROUP BY 1"
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


def learned(conn: Connection, scope_id: int, version: int) -> dict[int, Tally]:
    """Return how stories of a server or chat were rated, by the number of candidates, among those who agreed."""
    rows = conn.execute(LEARNED, {"scope": scope_id, "version": version})
    return {int(candidates): Tally(count, total) for candidates, count, total in rows if candidates is not None}
