"""Listening tests that an admin sets up: `/admin campaign create|add|start|stop|show|export`."""

from __future__ import annotations

import re
from typing import Any, Literal

from bot import gate, statistics
from bot.contract import Actor, Part, Place, Reply, Text
from bot.desk import Desk, Visit, use_case
from bot.replies import say
from bot.study import progress_picture
from db import audit, campaigns, pairs, votes
from db.campaigns import CampaignRow
from db.votes import Connection
from engine.errors import UserError
from engine.jobs import Language

ACTIONS = ("create", "add", "start", "stop", "show", "export")
MOST_RATERS = 10_000
MOST_PAIRS = 500
"""A campaign that is larger will not be finished in a chat."""
_NAME = re.compile(r"[\w\-]{1,32}")
_BAR = 12
"""Characters of a full bar."""


@use_case
async def campaign(
    desk: Desk,
    actor: Actor,
    place: Place,
    action: str,
    name: str,
    *,
    raters: int | None = None,
    each: int | None = None,
    pairs: str | None = None,
) -> Reply:
    """Do one of ACTIONS. `create` takes `raters` (people wanted) and `each` (pairs that one person rates; all if None);
    `add` takes the numbers of `pairs`, or "all" for every pair of this server or chat."""
    visit = await gate.admin(desk, actor, place)
    if action not in ACTIONS:
        raise UserError(f"There is no /admin campaign {action}; known are {', '.join(ACTIONS)}.", code="unknown_action")
    if not _NAME.fullmatch(name):
        raise UserError("The name of a campaign has 1 to 32 letters, digits, - or _.", code="bad_name")
    if action == "export":
        return await statistics.export(desk, actor, place, campaign=name)
    now = desk.clock.now()

    def act(conn: Connection) -> CampaignRow:
        match action:
            case "create":
                found = create(conn, visit, name, raters, each, now)
            case "add":
                found = add(conn, _known(conn, visit, name), pairs or "")
            case "start":
                found = start(conn, _known(conn, visit, name), now)
            case "stop":
                found = stop(conn, _known(conn, visit, name), now)
            case _:
                return _known(conn, visit, name)
        audit.add(
            conn, at=now, person_id=visit.person_id, chat_id=visit.scope_id, action=f"campaign {action}", detail=name
        )
        return found

    found = await (desk.ledger.read(act) if action == "show" else desk.ledger.write(act))
    counts = await desk.ledger.read(lambda conn: campaigns.votes(conn, found.id))
    rated = await desk.ledger.read(lambda conn: campaigns.rated(conn, found.id))
    far = progress(found, counts, rated)
    parts: list[Part] = [Text(line) for line in told(far, state_of(found), visit.language)]
    if action == "show" and found.started is not None:
        path = desk.queue.folder / statistics.FOLDER / f"campaign-{found.id}-{visit.language}.png"
        parts.append(await progress_picture(far, path, visit.language))
    return Reply(tuple(parts), private=True, language=visit.language)


def create(conn: Connection, visit: Visit, name: str, raters: int | None, each: int | None, now: float) -> CampaignRow:
    """Add a campaign without pairs. Raises `UserError` for a name that is taken and impossible numbers."""
    assert visit.scope_id is not None
    if raters is None or not 1 <= raters <= MOST_RATERS:
        raise UserError(f"Please say how many people are wanted, from 1 to {MOST_RATERS}.", code="bad_raters")
    if each is not None and not 1 <= each <= MOST_PAIRS:
        raise UserError(f"One person can rate 1 to {MOST_PAIRS} pairs.", code="bad_each")
    if campaigns.by_name(conn, visit.scope_id, name) is not None:
        raise UserError(f"There is a campaign {name} already; please choose another name.", code="name_taken")
    return campaigns.create(conn, visit.scope_id, name, raters, each or MOST_PAIRS, visit.person_id, now)


def add(conn: Connection, found: CampaignRow, numbers: str) -> CampaignRow:
    """Add pairs by their numbers, or all of the server or chat. Raises `UserError` for a started campaign, and for a
    pair that is not of this place or was deleted."""
    if found.started is not None:
        raise UserError("This campaign has begun, so its pairs are fixed.", code="campaign_begun")
    wanted = [int(number) for number in re.findall(r"[0-9]{1,18}", numbers)]
    if numbers.strip().lower() == "all":
        wanted = campaigns.pairs_here(conn, found.scope_id, MOST_PAIRS)
    if not wanted:
        raise UserError("Please name the numbers of pairs, or all.", code="no_pairs")
    for number in wanted:
        pair = votes.pair(conn, number)
        if pair is None or pair.deleted or not pairs.here(conn, number, found.scope_id):
            raise UserError(f"Pair {number} is not one of this place, or was deleted.", code="unknown_pair")
        campaigns.add_pair(conn, found.id, number)
    if len(campaigns.votes(conn, found.id)) > MOST_PAIRS:
        raise UserError(f"A campaign has at most {MOST_PAIRS} pairs.", code="too_many_pairs")
    return found


def start(conn: Connection, found: CampaignRow, now: float) -> CampaignRow:
    """Let it deal. Raises `UserError` without pairs, for one that has begun, and while another runs."""
    if not campaigns.votes(conn, found.id):
        raise UserError("This campaign has no pairs yet; /admin campaign add gives it some.", code="no_pairs")
    if campaigns.running(conn, found.scope_id) is not None:
        raise UserError("Another campaign runs here; please stop it first.", code="campaign_running")
    if not campaigns.start(conn, found.id, now):
        raise UserError("This campaign is over; please create another.", code="campaign_over")
    return _again(conn, found)


def stop(conn: Connection, found: CampaignRow, now: float) -> CampaignRow:
    """End it. Raises `UserError` when it does not run."""
    if not campaigns.stop(conn, found.id, now):
        raise UserError("This campaign does not run.", code="campaign_over")
    return _again(conn, found)


def progress(found: CampaignRow, counts: dict[int, int], rated: dict[int, int]) -> dict[str, Any]:
    """Return how far a campaign is, as `engine.evaluation.progress.Campaign` has it."""
    each = min(found.each, len(counts)) or 1
    return {
        "name": found.name,
        "wanted": found.raters,
        "begun": len(rated),
        "complete": sum(1 for count in rated.values() if count >= each),
        "each": each,
        "votes": {str(pair_id): count for pair_id, count in counts.items()},
    }


def state_of(found: CampaignRow) -> Literal["new", "running", "over"]:
    """Return whether a campaign has not begun, runs, or is over."""
    if found.started is None:
        return "new"
    return "running" if found.running else "over"


def told(far: dict[str, Any], state: str, language: Language) -> list[str]:
    """Return how far a campaign is in words: people with a bar, and the pairs with the fewest and the most votes."""
    votes = far["votes"].values()
    head = say(language, "campaign.head", name=far["name"], state=say(language, f"campaign.{state}"))
    counts = {name: far[name] for name in ("complete", "wanted", "begun", "each")}
    people = say(language, "campaign.people", **counts, pairs=len(votes))
    lines = [head, people, f"{bar(far['complete'], far['wanted'])} {far['complete']}/{far['wanted']}"]
    if votes:
        lines.append(say(language, "campaign.balance", fewest=min(votes), most=max(votes)))
    return lines


def bar(done: int, wanted: int) -> str:
    """Return progress as a bar of text, which every chat shows and every screen reader skips in one word."""
    full = min(_BAR, round(_BAR * done / wanted)) if wanted else 0
    return "█" * full + "░" * (_BAR - full)


def _known(conn: Connection, visit: Visit, name: str) -> CampaignRow:
    assert visit.scope_id is not None
    found = campaigns.by_name(conn, visit.scope_id, name)
    if found is None:
        raise UserError(f"There is no campaign {name} here.", code="unknown_campaign")
    return found


def _again(conn: Connection, found: CampaignRow) -> CampaignRow:
    row = campaigns.by_id(conn, found.id)
    assert row is not None
    return row
