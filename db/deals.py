"""The blind test: pairs dealt to people, what they answered, and campaigns. Decides nothing: see `bot.dealing`."""

from __future__ import annotations

from dataclasses import dataclass

from db.votes import Connection

_DEAL = (
    "SELECT deal.id, deal.person_id, deal.pair_id, deal.story_id, deal.condition, deal.campaign_id, deal.scope_id,"
    " deal.dealt, deal.expires, deal.state FROM deal WHERE "
)
# One deal.
BY_ID = _DEAL + "deal.id = ?"
# The deal that a person has not answered yet.
OPEN_OF = _DEAL + "deal.person_id = ? AND deal.state = 'open'"
# Deals that nobody answered in time.
EXPIRE = "UPDATE deal SET state = 'expired' WHERE state = 'open' AND expires <= ?"
# A new deal.
ADD = (
    "INSERT INTO deal (person_id, pair_id, story_id, condition, campaign_id, scope_id, dealt, expires)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
# An answer.
ANSWER = "UPDATE deal SET state = 'answered', score = ?, answered = ? WHERE id = ? AND state = 'open'"
# A deal that the person did not want.
SKIP = "UPDATE deal SET state = 'skipped' WHERE id = ? AND state = 'open'"
# What may be dealt to a person: pairs of a server or chat and published ones, not their own, with audio to play; how
# many ballots each has or is about to get; and whether the person has rated, skipped or repeated it.
_CHOICE = (
    "SELECT pair.id, pair.kind, pair.person_id,"
    " pair.votes + (SELECT count(*) FROM deal WHERE deal.pair_id = pair.id AND deal.state = 'open'"
    " AND deal.condition = 'match'), pair.valence, pair.arousal, json_extract(job.args, '$.language'),"
    " (SELECT made.id FROM plain JOIN pair AS made ON made.job_id = plain.job_id WHERE plain.base_id = pair.id),"
    " EXISTS (SELECT 1 FROM vote WHERE vote.pair_id = pair.id AND vote.person_id = :person AND vote.score NOT NULL)"
    " OR EXISTS (SELECT 1 FROM deal WHERE deal.person_id = :person AND deal.pair_id = pair.id"
    " AND deal.state = 'skipped')"
    " FROM pair JOIN job ON job.id = pair.job_id"
)
_PLAYABLE = " AND (pair.kind = 'compose' OR json_extract(job.args, '$.source.type') = 'file')"
CHOICES = (
    _CHOICE + " JOIN chat ON chat.id = pair.chat_id WHERE pair.deleted IS NULL AND pair.person_id <> :person"  # noqa: S608
    " AND (coalesce(chat.server_id, chat.id) = :scope AND chat.kind <> 'private'"
    " OR EXISTS (SELECT 1 FROM publication WHERE publication.pair_id = pair.id))" + _PLAYABLE
)
# The same within a campaign, where only its own deals count.
CAMPAIGN_CHOICES = (
    _CHOICE.replace(  # noqa: S608
        "pair.votes + (SELECT count(*) FROM deal WHERE deal.pair_id = pair.id AND deal.state = 'open'",
        "(SELECT count(*) FROM deal WHERE deal.pair_id = pair.id AND deal.campaign_id = :campaign"
        " AND deal.state IN ('open', 'answered')",
    )
    + " JOIN campaign_pair ON campaign_pair.pair_id = pair.id AND campaign_pair.campaign_id = :campaign"
    " WHERE pair.deleted IS NULL AND pair.person_id <> :person" + _PLAYABLE
)
# Pairs that a person answered long enough ago to be asked once more, the oldest first.
REPEATABLE = (
    "SELECT deal.pair_id FROM deal JOIN pair ON pair.id = deal.pair_id WHERE deal.person_id = :person"
    " AND deal.state = 'answered' AND deal.condition = 'match' AND pair.deleted IS NULL"
    " AND deal.campaign_id IS :campaign"
    " AND NOT EXISTS (SELECT 1 FROM deal AS again WHERE again.person_id = :person AND again.pair_id = deal.pair_id"
    " AND again.condition = 'repeat')"
    " AND (SELECT count(*) FROM deal AS later WHERE later.person_id = :person AND later.state = 'answered'"
    " AND later.answered > deal.answered) >= :gap ORDER BY deal.answered"
)
# How many a person has answered.
ANSWERED = "SELECT count(*) FROM deal WHERE person_id = ? AND state = 'answered'"
# The mean feeling of pairs' music that is not known yet.
NO_FEELING = (
    "SELECT pair.id, job.result FROM pair JOIN job ON job.id = pair.job_id"
    " WHERE pair.valence IS NULL AND pair.deleted IS NULL AND pair.id > ? ORDER BY pair.id LIMIT ?"
)
FEEL = "UPDATE pair SET valence = ?, arousal = ? WHERE id = ?"
# What a pair was made from and into.
MATERIAL = (
    "SELECT pair.id, pair.kind, pair.folder, job.args, job.result FROM pair JOIN job ON job.id = pair.job_id"
    " WHERE pair.id = ?"
)
# A turn earned, and one used.
EARN = (
    "INSERT INTO credit (person_id, turns) VALUES (?, 1)"
    " ON CONFLICT (person_id) DO UPDATE SET turns = min(turns + 1, 3)"
)

# --- what anybody may hear ---
PUBLISH = "INSERT INTO publication (pair_id, since) VALUES (?, ?) ON CONFLICT DO NOTHING"
UNPUBLISH = "DELETE FROM publication WHERE pair_id = ?"
IS_PUBLISHED = "SELECT EXISTS (SELECT 1 FROM publication WHERE pair_id = ?)"

# --- plain stories ---
# Pairs whose music has no plain story yet and none on its way, the newest first: their audio is still there.
WANTS_PLAIN = (
    "SELECT pair.id FROM pair JOIN job ON job.id = pair.job_id JOIN chat ON chat.id = pair.chat_id"  # noqa: S608
    " WHERE pair.deleted IS NULL AND NOT EXISTS (SELECT 1 FROM plain WHERE plain.base_id = pair.id)"
    " AND (chat.kind <> 'private' OR EXISTS (SELECT 1 FROM publication WHERE publication.pair_id = pair.id))"
    + _PLAYABLE
    + " ORDER BY pair.id DESC LIMIT ?"
)
ADD_PLAIN = "INSERT INTO plain (base_id, job_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
THERE = "SELECT id FROM pair WHERE id = ? AND deleted IS NULL"
DROP_JOB = "DELETE FROM job WHERE id = ?"


@dataclass(frozen=True)
class DealRow:
    """A pair dealt to a person: whose music, whose story, and why; times are seconds since the epoch."""

    id: int
    person_id: int
    pair_id: int
    story_id: int
    condition: str
    campaign_id: int | None
    scope_id: int | None
    dealt: float
    expires: float
    state: str


@dataclass(frozen=True)
class ChoiceRow:
    """A pair that may be dealt; `votes` counts ballots and open deals, `done`: the person is through with it."""

    pair_id: int
    kind: str
    maker_id: int
    votes: int
    valence: float | None
    arousal: float | None
    language: str | None
    plain_id: int | None
    done: bool


@dataclass(frozen=True)
class MaterialRow:
    """What a pair was made from and into, as the job has it; `folder` is a name inside the folder of results."""

    pair_id: int
    kind: str
    folder: str
    args: str
    result: str


def by_id(conn: Connection, deal_id: int) -> DealRow | None:
    """Return a deal."""
    row = conn.execute(BY_ID, (deal_id,)).fetchone()
    return None if row is None else DealRow(*row)


def open_of(conn: Connection, person_id: int) -> DealRow | None:
    """Return the deal that a person has not answered yet."""
    row = conn.execute(OPEN_OF, (person_id,)).fetchone()
    return None if row is None else DealRow(*row)


def expire(conn: Connection, now: float) -> None:
    """Give back what was reserved for people who did not answer in time."""
    conn.execute(EXPIRE, (now,))


def add(
    conn: Connection,
    person_id: int,
    pair_id: int,
    story_id: int,
    condition: str,
    *,
    campaign_id: int | None,
    scope_id: int | None,
    now: float,
    expires: float,
) -> DealRow:
    """Reserve a pair for a person; a second open deal of one person is refused by the table."""
    values = (person_id, pair_id, story_id, condition, campaign_id, scope_id, now, expires)
    row = by_id(conn, int(conn.execute(ADD, values).lastrowid or 0))
    assert row is not None
    return row


def answer(conn: Connection, deal_id: int, score: int, now: float) -> bool:
    """Record an answer; False when the deal is not open."""
    return conn.execute(ANSWER, (score, now, deal_id)).rowcount == 1


def skip(conn: Connection, deal_id: int) -> bool:
    """Take a deal back; False when it is not open."""
    return conn.execute(SKIP, (deal_id,)).rowcount == 1


def choices(conn: Connection, person_id: int, scope_id: int | None, campaign_id: int | None) -> list[ChoiceRow]:
    """Return what may be dealt to a person in a server or chat, or of a campaign."""
    named = {"person": person_id, "scope": scope_id, "campaign": campaign_id}
    rows = conn.execute(CHOICES if campaign_id is None else CAMPAIGN_CHOICES, named)
    return [ChoiceRow(*row[:8], bool(row[8])) for row in rows]  # type: ignore[call-arg]


def repeatable(conn: Connection, person_id: int, campaign_id: int | None, gap: int) -> list[int]:
    """Return pairs that a person answered at least `gap` answers ago and was not asked again, the oldest first."""
    named = {"person": person_id, "campaign": campaign_id, "gap": gap}
    return [pair_id for (pair_id,) in conn.execute(REPEATABLE, named)]


def answered(conn: Connection, person_id: int) -> int:
    """Return how many deals a person has answered."""
    return int(conn.execute(ANSWERED, (person_id,)).fetchone()[0])


def without_feeling(conn: Connection, after: int, most: int) -> list[tuple[int, str]]:
    """Return pairs whose mean feeling is not known: (id, result as JSON), with ids above `after`."""
    return [(pair_id, result) for pair_id, result in conn.execute(NO_FEELING, (after, most))]


def feel(conn: Connection, pair_id: int, valence: float, arousal: float) -> None:
    """Remember the mean feeling of a pair's music."""
    conn.execute(FEEL, (valence, arousal, pair_id))


def material(conn: Connection, pair_id: int) -> MaterialRow | None:
    """Return what a pair was made from and into."""
    row = conn.execute(MATERIAL, (pair_id,)).fetchone()
    return None if row is None else MaterialRow(*row)


def earn(conn: Connection, person_id: int) -> None:
    """Let a person overtake once more in the queue; no more than three times are kept."""
    conn.execute(EARN, (person_id,))


def publish(conn: Connection, pair_id: int, now: float) -> None:
    """Let everybody hear a pair."""
    conn.execute(PUBLISH, (pair_id, now))


def unpublish(conn: Connection, pair_id: int) -> None:
    """Let only its own server or chat hear a pair."""
    conn.execute(UNPUBLISH, (pair_id,))


def is_published(conn: Connection, pair_id: int) -> bool:
    """Return whether everybody may hear a pair."""
    return bool(conn.execute(IS_PUBLISHED, (pair_id,)).fetchone()[0])


def wants_plain(conn: Connection, most: int) -> list[int]:
    """Return pairs whose music has no plain story yet, the newest first."""
    return [pair_id for (pair_id,) in conn.execute(WANTS_PLAIN, (most,))]


def join_plain(conn: Connection, base_id: int, job_id: int) -> bool:
    """Remember which job made (or failed to make) the plain story of a pair's music.

    False when the pair is gone, or has one already: then the job goes, and its files with the next sweep.
    """
    if conn.execute(THERE, (base_id,)).fetchone() is None:
        conn.execute(DROP_JOB, (job_id,))
        return False
    conn.execute(ADD_PLAIN, (base_id, job_id))
    return True
