"""`/admin …`: reads the sub-command and calls the core, which checks the right and keeps the record."""

from __future__ import annotations

import difflib

from bot import admin
from bot.contract import Actor, Place, Reply
from bot.desk import Desk
from bot.telegram import orders_votes
from bot.telegram.options import Misread, number

EVERYWHERE = "everywhere"
"""The word by which an owner means the whole program."""
SUBCOMMANDS = (
    "show",
    "set",
    "pause",
    "drain",
    "resume",
    "cancel",
    "block",
    "unblock",
    "delete",
    "health",
    "export",
    "campaign",
)


async def run(
    desk: Desk, actor: Actor, place: Place, text: str, *, person: str | None = None, pair: int | None = None
) -> Reply:
    """Carry out an admin's command; `person` and `pair` are those of the message that it replies to.

    Raises `Misread` for what is no sub-command, or lacks what it is about.
    """
    name, _, rest = text.partition(" ")
    name, rest = name.lower(), rest.strip()
    everywhere = rest.split()[-1:] == [EVERYWHERE]
    first = next(iter(rest.split()), "")
    match name:
        case "" | "show":
            return await admin.show(desk, actor, place)
        case "set":
            setting, _, value = rest.replace("=", " ", 1).partition(" ")
            if not setting:
                raise Misread("admin_lacks", name=name, what="links off")
            return await admin.change(desk, actor, place, setting, value.strip())
        case "pause":
            return await admin.pause(desk, actor, place, everywhere=everywhere)
        case "drain":
            return await admin.drain(desk, actor, place, everywhere=everywhere)
        case "resume":
            return await admin.resume(desk, actor, place, everywhere=everywhere)
        case "cancel":
            return await admin.cancel(desk, actor, place, number(rest))
        case "block" | "unblock":
            whom = first if first.isdigit() else person
            if whom is None:
                raise Misread("admin_whom", name=name)
            act = admin.block if name == "block" else admin.unblock
            return await act(desk, actor, place, whom, everywhere=everywhere)
        case "delete":
            return await admin.delete(desk, actor, place, number(rest) if rest or pair is None else pair)
        case "health":
            return await admin.health(desk, actor, place)
        case "export":
            return await orders_votes.export(desk, actor, place)
        case "campaign":
            return await orders_votes.campaign(desk, actor, place, rest)
    close = difflib.get_close_matches(name, SUBCOMMANDS, n=1)
    if close:
        raise Misread("admin_did_you_mean", name=name[:50], close=close[0])
    raise Misread("admin_unknown", name=name[:50], options=", ".join(SUBCOMMANDS))
