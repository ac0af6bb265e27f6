"""Who may do what where: checked at every use, from what the platform vouches for now and what the store holds.

Every refusal is a `UserError`. What is somewhere else is refused as if it were not there.
"""

from __future__ import annotations

from bot.contract import Actor, Place, Posted, Reply, Text
from bot.desk import Desk, Visit
from bot.replies import say
from db import outbox, pairs, people
from db.rows import PairRow
from engine.errors import UserError
from engine.jobs import Job


async def maker(desk: Desk, actor: Actor, place: Place) -> Visit:
    """Return the visit of somebody who may make things here. Raises `UserError`."""
    visit = await desk.visit(actor, place, add=True)
    own = visit.settings
    if await desk.blocked(visit):
        raise UserError("You cannot make anything here; please ask an admin.", code="blocked")
    if desk.mode == "drain":
        raise UserError("TuneTale takes no new requests at the moment; please come back later.", code="draining")
    if own.paused:
        raise UserError("An admin has paused TuneTale here; please come back later.", code="paused")
    if visit.person_id is None and not actor.shared:
        raise RuntimeError("a visit that adds has a person")
    if not place.can_post:
        raise UserError(
            "TuneTale cannot post its answer here later; please use it where it has been added, or in a private chat.",
            code="cannot_post",
        )
    privileged = actor.admin or visit.owner or place.kind == "private"
    if own.channels and place.chat not in own.channels and not privileged:
        raise UserError("Please use the channel that the admins have chosen for TuneTale.", code="wrong_channel")
    everyone = not (own.roles or own.people)
    if not (everyone or privileged or actor.person in own.people or actor.roles & frozenset(own.roles)):
        raise UserError("Here only chosen people can make things; please ask an admin.", code="not_chosen")
    return visit


async def admin(desk: Desk, actor: Actor, place: Place, *, owner: bool = False) -> Visit:
    """Return the visit of an admin of this place or of the owner; with `owner` of the owner alone. Raises `UserError`
    for everybody else."""
    if owner and not (await desk.visit(actor, place)).owner:
        raise UserError("Only the owner of this TuneTale can do that.", code="not_owner")
    visit = await desk.visit(actor, place, add=True)
    if not (visit.owner or (actor.admin and place.kind != "private")):
        raise UserError("Only admins of this server or chat can do that.", code="not_admin")
    return visit


async def check_may_cancel(desk: Desk, visit: Visit, job: int) -> None:
    """Refuse who is neither the asker nor an admin of where it was asked."""
    found = await desk.queue.job(job)
    if found is None:
        raise UserError("There is no such request.", code="unknown_job")
    if is_mine(visit, found) or visit.owner:
        return
    if not (visit.actor.admin and await is_here(desk, visit, found)):
        raise UserError("Only who asked for it, or an admin, can cancel this.", code="not_yours")


def is_mine(visit: Visit, job: Job) -> bool:
    """Return whether the person asked for a job."""
    return (job.asker.platform, job.asker.person) == (visit.actor.platform, visit.actor.person)


async def is_here(desk: Desk, visit: Visit, job: Job) -> bool:
    """Return whether a job was asked for in the same chat or server."""
    if job.asker.platform != visit.actor.platform:
        return False
    if job.asker.chat == visit.place.chat:
        return True
    there = await desk.ledger.read(lambda conn: people.visit(conn, job.asker.platform, "", job.asker.chat))
    return visit.scope_id is not None and there.scope_id == visit.scope_id


async def pair_here(desk: Desk, visit: Visit, pair: int) -> PairRow:
    """Return a pair that can be seen from here: one's own, or one of this server or chat. Raises `UserError`."""
    row = await desk.ledger.read(lambda conn: pairs.by_id(conn, pair))
    if row is None or row.deleted is not None:
        raise UserError("This one has been deleted.", code="deleted_pair")
    mine = visit.person_id is not None and row.person_id == visit.person_id
    if not (mine or visit.owner or await desk.ledger.read(lambda conn: pairs.here(conn, pair, visit.scope_id))):
        raise UserError("This one has been deleted.", code="deleted_pair")  # what is elsewhere is not admitted
    return row


async def remove_pair(desk: Desk, visit: Visit, row: PairRow) -> Reply:
    """Take a pair away whose removal was allowed and confirmed."""
    platform = visit.actor.platform
    messages = await desk.ledger.read(lambda conn: outbox.messages_of(conn, row.job_id, platform))
    await desk.queue.take_away(row.id)
    gone = Text(say(visit.language, "delete.done"))
    erase = tuple(Posted.read(message) for message in messages)
    return Reply((gone,), private=True, erase=erase, language=visit.language)
