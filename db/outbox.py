"""Answers on their way to people. A row is claimed by the process that sends it, like a job by its worker."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from db.rows import AnswerRow

# An answer, made in the transaction that ends its job.
ADD = "INSERT INTO outbox (job_id, platform, nonce, send_after, created) VALUES (?, ?, ?, ?, ?)"
# The oldest answer to send on a platform: ready, or left behind by a process that is gone.
NEXT = (
    "SELECT id FROM outbox WHERE platform = :platform AND ended IS NULL AND send_after <= :now"
    " AND (state = 'ready' OR holder <> :holder) ORDER BY send_after, id LIMIT 1"
)
# An answer taken up by a process.
TAKE = "UPDATE outbox SET state = 'sending', holder = ?, attempt = attempt + 1 WHERE id = ?"
# An answer with what its job ended in.
READ = (
    "SELECT outbox.id, job.id, outbox.nonce, outbox.attempt, outbox.platform, person.key, chat.key, job.reply_to,"
    " job.attempt, job.result, job.error_code, job.error_message, job.fault, job.incident"
    " FROM outbox JOIN job ON job.id = outbox.job_id JOIN person ON person.id = job.person_id"
    " JOIN chat ON chat.id = job.chat_id WHERE outbox.id = ?"
)
# An answer that arrived.
SENT = (
    "UPDATE outbox SET state = 'sent', holder = NULL, message_id = ?, ended = ?"
    " WHERE id = ? AND state = 'sending' AND holder = ?"
)
# An answer to be sent again later.
AGAIN = (
    "UPDATE outbox SET state = 'ready', holder = NULL, error = ?, send_after = ?"
    " WHERE id = ? AND state = 'sending' AND holder = ?"
)
# An answer that nobody can be given.
DEAD = (
    "UPDATE outbox SET state = 'dead', holder = NULL, error = ?, ended = ?"
    " WHERE id = ? AND state = 'sending' AND holder = ?"
)
# When the next answer for a platform is due that nobody is sending.
NEXT_TIME = "SELECT min(send_after) FROM outbox WHERE platform = ? AND ended IS NULL AND state = 'ready'"
# Answers that wait for their time, after a restart: what they wait for may be over, and the clock may be another.
HURRY = "UPDATE outbox SET send_after = :now WHERE ended IS NULL AND send_after > :now"
# Whether any answer is still on its way.
ANY_OPEN = "SELECT EXISTS (SELECT 1 FROM outbox WHERE ended IS NULL)"

# What is out already of an answer: each message as `chat/message`, since it may have begun in a chat that is gone now.
PARTS = "SELECT part, message FROM sent_part WHERE outbox_id = ?"
ADD_PART = (
    "INSERT INTO sent_part (outbox_id, part, message) VALUES (?, ?, ?)"
    " ON CONFLICT (outbox_id, part) DO UPDATE SET message = excluded.message"
)
# The message that follows a job.
FOLLOW = (
    "INSERT INTO follow (job_id, platform, chat, message, language)"
    " SELECT job.id, person.platform, ?2, ?3, ?4 FROM job JOIN person ON person.id = job.person_id WHERE job.id = ?1"
    " ON CONFLICT (job_id) DO UPDATE SET chat = excluded.chat, message = excluded.message, language = excluded.language"
)
FOLLOWING = "SELECT job_id, chat, message, language FROM follow WHERE job_id = ?"
# The messages on a platform that have something to follow: a job that is not over, one that was cancelled, or one whose
# answer was out before its message was known. The others wait for their answer, which takes their place.
FOLLOWED = (
    "SELECT follow.job_id, follow.chat, follow.message, follow.language FROM follow JOIN job ON job.id = follow.job_id"
    " LEFT JOIN outbox ON outbox.job_id = job.id"
    " WHERE follow.platform = ? AND (job.state IN ('queued', 'running', 'cancelled') OR outbox.ended IS NOT NULL)"
    " ORDER BY follow.job_id"
)
UNFOLLOW = "DELETE FROM follow WHERE job_id = ?"
# The messages in which an answer arrived.
MESSAGES_OF = (
    "SELECT sent_part.message FROM outbox JOIN sent_part ON sent_part.outbox_id = outbox.id"
    " WHERE outbox.job_id = ?1 AND outbox.platform = ?2 UNION"
    " SELECT message_id FROM outbox WHERE job_id = ?1 AND platform = ?2 AND message_id IS NOT NULL"
)
# Whether any answer for a platform is still on its way.
OPEN_ON = "SELECT EXISTS (SELECT 1 FROM outbox WHERE platform = ? AND ended IS NULL)"


@dataclass(frozen=True)
class FollowRow:
    """The message that follows a job."""

    job_id: int
    chat: str
    message: str
    language: str


def add(conn: sqlite3.Connection, job_id: int, platform: str, nonce: str, now: float) -> None:
    """Add the answer of a job; a second one for the same job is refused by the table."""
    conn.execute(ADD, (job_id, platform, nonce, now, now))


def take(conn: sqlite3.Connection, platform: str, holder: str, now: float) -> AnswerRow | None:
    """Mark the oldest answer that is due as being sent by `holder` and return it, or None."""
    found = conn.execute(NEXT, {"platform": platform, "holder": holder, "now": now}).fetchone()
    if found is None:
        return None
    conn.execute(TAKE, (holder, *found))
    return AnswerRow(*conn.execute(READ, found).fetchone())


def sent(conn: sqlite3.Connection, answer_id: int, holder: str, message_id: str | None, now: float) -> bool:
    """Record that `holder` has sent the answer; False when it was not the one who sends it."""
    return conn.execute(SENT, (message_id, now, answer_id, holder)).rowcount == 1


def again(conn: sqlite3.Connection, answer_id: int, holder: str, error: str, send_after: float) -> bool:
    """Record that sending failed and is to be tried again after a time."""
    return conn.execute(AGAIN, (error, send_after, answer_id, holder)).rowcount == 1


def dead(conn: sqlite3.Connection, answer_id: int, holder: str, error: str, now: float) -> bool:
    """Record that the answer cannot be sent."""
    return conn.execute(DEAD, (error, now, answer_id, holder)).rowcount == 1


def next_time(conn: sqlite3.Connection, platform: str) -> float | None:
    """Return when the next waiting answer of a platform is due."""
    (when,) = conn.execute(NEXT_TIME, (platform,)).fetchone()
    return None if when is None else float(when)


def hurry(conn: sqlite3.Connection, now: float) -> None:
    """Let every answer that waits be sent now."""
    conn.execute(HURRY, {"now": now})


def any_open(conn: sqlite3.Connection) -> bool:
    """Return whether any answer is still on its way."""
    return bool(conn.execute(ANY_OPEN).fetchone()[0])


def open_on(conn: sqlite3.Connection, platform: str) -> bool:
    """Return whether any answer for a platform is still on its way."""
    return bool(conn.execute(OPEN_ON, (platform,)).fetchone()[0])


def parts(conn: sqlite3.Connection, answer_id: int) -> dict[int, str]:
    """Return the messages of an answer that are out already: index -> `chat/message`."""
    return dict(conn.execute(PARTS, (answer_id,)).fetchall())


def add_part(conn: sqlite3.Connection, answer_id: int, part: int, message: str) -> None:
    """Remember that a message of an answer is out."""
    conn.execute(ADD_PART, (answer_id, part, message))


def follow(conn: sqlite3.Connection, row: FollowRow) -> None:
    """Remember the message that follows a job; a later one takes its place. Nothing for a job that is not there."""
    conn.execute(FOLLOW, (row.job_id, row.chat, row.message, row.language))


def following(conn: sqlite3.Connection, job_id: int) -> FollowRow | None:
    """Return the message that follows a job."""
    row = conn.execute(FOLLOWING, (job_id,)).fetchone()
    return None if row is None else FollowRow(*row)


def followed(conn: sqlite3.Connection, platform: str) -> list[FollowRow]:
    """Return the messages that have something to follow on a platform."""
    return [FollowRow(*row) for row in conn.execute(FOLLOWED, (platform,))]


def unfollow(conn: sqlite3.Connection, job_id: int) -> None:
    """Forget the message that followed a job."""
    conn.execute(UNFOLLOW, (job_id,))


def messages_of(conn: sqlite3.Connection, job_id: int, platform: str) -> list[str]:
    """Return the messages in which a job's answer arrived on a platform, each as `chat/message`."""
    return [str(message) for (message,) in conn.execute(MESSAGES_OF, (job_id, platform))]
