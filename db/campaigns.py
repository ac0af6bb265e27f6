"""Listening tests of chosen pairs: which pairs, how many people, how far it is."""

from __future__ import annotations

from dataclasses import dataclass

from db.votes import Connection

_CAMPAIGN = "SELECT id, scope_id, name, raters, each, created, started, stopped FROM campaign WHERE "
BY_NAME = _CAMPAIGN + "scope_id = ? AND name = ?"
BY_ID = _CAMPAIGN + "id = ?"
RUNNING = _CAMPAIGN + "scope_id = ? AND started IS NOT NULL AND stopped IS NULL"
OF = _CAMPAIGN + "scope_id = ? ORDER BY id DESC"
CREATE = "INSERT INTO campaign (scope_id, name, raters, each, person_id, created) VALUES (?, ?, ?, ?, ?, ?)"
ADD_PAIR = "INSERT INTO campaign_pair (campaign_id, pair_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
START = "UPDATE campaign SET started = ? WHERE id = ? AND started IS NULL"
STOP = "UPDATE campaign SET stopped = ? WHERE id = ? AND started IS NOT NULL AND stopped IS NULL"
# Reservations of a campaign that ends.
RELEASE = "UPDATE deal SET state = 'expired' WHERE campaign_id = ? AND state = 'open'"
# The newest pairs of a server or chat that may be heard by others.
PAIRS_HERE = (
    "SELECT pair.id FROM pair JOIN chat ON chat.id = pair.chat_id WHERE pair.deleted IS NULL"
    " AND coalesce(chat.server_id, chat.id) = ? AND chat.kind <> 'private' ORDER BY pair.id DESC LIMIT ?"
)
# How many ballots each pair has.
VOTES = (
    "SELECT campaign_pair.pair_id, (SELECT count(*) FROM deal WHERE deal.pair_id = campaign_pair.pair_id"
    " AND deal.campaign_id = campaign_pair.campaign_id AND deal.state = 'answered' AND deal.condition = 'match')"
    " FROM campaign_pair WHERE campaign_pair.campaign_id = ?"
)
# How many pairs each person has rated.
RATED = (
    "SELECT person_id, count(*) FROM deal WHERE campaign_id = ? AND state = 'answered' AND condition = 'match'"
    " GROUP BY person_id"
)


@dataclass(frozen=True)
class CampaignRow:
    """A listening test: how many `raters` are wanted, and how many pairs `each` of them rates."""

    id: int
    scope_id: int
    name: str
    raters: int
    each: int
    created: float
    started: float | None
    stopped: float | None

    @property
    def running(self) -> bool:
        """Whether it deals."""
        return self.started is not None and self.stopped is None


def by_name(conn: Connection, scope_id: int, name: str) -> CampaignRow | None:
    """Return a campaign of a server or chat."""
    row = conn.execute(BY_NAME, (scope_id, name)).fetchone()
    return None if row is None else CampaignRow(*row)


def by_id(conn: Connection, campaign_id: int) -> CampaignRow | None:
    """Return a campaign."""
    row = conn.execute(BY_ID, (campaign_id,)).fetchone()
    return None if row is None else CampaignRow(*row)


def running(conn: Connection, scope_id: int | None) -> CampaignRow | None:
    """Return the campaign that deals in a server or chat."""
    row = conn.execute(RUNNING, (scope_id,)).fetchone()
    return None if row is None else CampaignRow(*row)


def of(conn: Connection, scope_id: int) -> list[CampaignRow]:
    """Return the campaigns of a server or chat, the newest first."""
    return [CampaignRow(*row) for row in conn.execute(OF, (scope_id,))]


def create(
    conn: Connection, scope_id: int, name: str, raters: int, each: int, person_id: int | None, now: float
) -> CampaignRow:
    """Add a campaign without pairs; a second one of the name is refused by the table."""
    conn.execute(CREATE, (scope_id, name, raters, each, person_id, now))
    row = by_name(conn, scope_id, name)
    assert row is not None
    return row


def add_pair(conn: Connection, campaign_id: int, pair_id: int) -> None:
    """Add a pair; adding it twice changes nothing."""
    conn.execute(ADD_PAIR, (campaign_id, pair_id))


def start(conn: Connection, campaign_id: int, now: float) -> bool:
    """Let a campaign deal; False when it did before. A second running one is refused by the table."""
    return conn.execute(START, (now, campaign_id)).rowcount == 1


def stop(conn: Connection, campaign_id: int, now: float) -> bool:
    """End a campaign for good, with what it has reserved; False when it does not run."""
    conn.execute(RELEASE, (campaign_id,))
    return conn.execute(STOP, (now, campaign_id)).rowcount == 1


def pairs_here(conn: Connection, scope_id: int, most: int) -> list[int]:
    """Return the pairs of a server or chat, the newest first."""
    return [pair_id for (pair_id,) in conn.execute(PAIRS_HERE, (scope_id, most))]


def votes(conn: Connection, campaign_id: int) -> dict[int, int]:
    """Return how many ballots each pair of a campaign has."""
    return dict(conn.execute(VOTES, (campaign_id,)).fetchall())


def rated(conn: Connection, campaign_id: int) -> dict[int, int]:
    """Return how many pairs each person has rated in a campaign."""
    return dict(conn.execute(RATED, (campaign_id,)).fetchall())
