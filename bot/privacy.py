"""What people can do about their data: read the policy, take it with them, have it forgotten."""

from __future__ import annotations

import json
import math
from typing import Any

from bot.contract import Actor, Document, Place, Reply, Text
from bot.desk import Desk, Visit, use_case
from bot.replies import say
from db import about
from engine.errors import UserError
from engine.jobs import VERSION

_JSON = ("args", "result", "value")
"""Columns that hold JSON themselves: given as what they mean."""


@use_case
async def privacy(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Say what is kept, for how long, and what it is used for."""
    visit = await desk.visit(actor, place)
    keep = desk.config.retention
    lines = [
        Text(say(visit.language, "privacy.title"), "heading"),
        Text(say(visit.language, "privacy.kept")),
        Text(
            say(
                visit.language,
                "privacy.time",
                results=_days(visit, keep.results_days),
                again=say(visit.language, "privacy.hours", hours=math.ceil(keep.again_hours)),
                uploads=_days(visit, keep.uploads_days),
                audit=_days(visit, keep.audit_days),
                backups=_days(visit, keep.backups_days),
            )
        ),
        Text(say(visit.language, "privacy.use")),
        Text(say(visit.language, "privacy.rights")),
    ]
    return Reply(tuple(lines), private=True, language=visit.language)


@use_case
async def mydata(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Give the person everything that is kept about them, as one JSON file, privately."""
    visit = await desk.visit(actor, place)
    person_id = _person(visit)
    if person_id is None:
        return _nothing(visit)
    tables = await desk.ledger.read(lambda conn: about.about(conn, person_id))
    document = {"schema": 1, "version": VERSION, "tables": {name: _plain(rows) for name, rows in tables.items()}}
    data = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False).encode()
    count = sum(len(rows) for rows in tables.values())
    text = Text(say(visit.language, "mydata.here", rows=count, tables=len(tables)))
    return Reply((text, Document("tunetale-mydata.json", data=data)), private=True, language=visit.language)


@use_case
async def forgetme(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Delete everything about the person, after a confirmation: jobs, texts, files, pairs, votes, answers, consent."""
    visit = await desk.visit(actor, place)
    if _person(visit) is None:
        return _nothing(visit)

    async def deed() -> Reply:
        await desk.queue.forget(actor.platform, actor.person)
        await desk.inbox.sweep()
        return Reply((Text(say(visit.language, "forgetme.done")),), private=True, language=visit.language)

    return desk.confirm(visit, say(visit.language, "forgetme.sure"), deed)


def _person(visit: Visit) -> int | None:
    if visit.actor.shared:
        raise UserError("An identity that many people share has no data of its own.", code="not_a_person")
    return visit.person_id


def _nothing(visit: Visit) -> Reply:
    return Reply((Text(say(visit.language, "mydata.nothing")),), private=True, language=visit.language)


def _days(visit: Visit, days: float) -> str:
    return (
        say(visit.language, "privacy.days", days=math.ceil(days)) if days else say(visit.language, "privacy.for_ever")
    )


def _plain(rows: list[about.Row]) -> list[dict[str, Any]]:
    return [{name: _meaning(name, value) for name, value in row.items()} for row in rows]


def _meaning(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if name in _JSON and isinstance(value, str):
        return json.loads(value)
    return value
