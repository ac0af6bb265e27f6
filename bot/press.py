"""From a pressed button to its use case: the one handler that a platform needs for all buttons."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bot import ballot, commands
from bot.contract import Actor, Place, Reply
from bot.desk import Desk, use_case
from bot.tokens import Token, read
from engine.errors import UserError

Handler = Callable[[Desk, Actor, Place, Token, str | None], Awaitable[Reply]]
"""Takes what was pressed and the platform's id of the press."""


def _unknown() -> UserError:
    return UserError("This button is no longer known; please use the command instead.", code="unknown_button")


def _number(token: Token, index: int = 0) -> int:
    number = token.number(index)
    if number is None:
        raise _unknown()
    return number


async def _again(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await commands.again(desk, actor, place, _number(token), dedupe=dedupe)


async def _other(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await commands.other_way(desk, actor, place, _number(token), dedupe=dedupe)


async def _why(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await commands.why(desk, actor, place, _number(token))


async def _delete(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await commands.delete(desk, actor, place, _number(token))


async def _cancel(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await commands.cancel(desk, actor, place, _number(token))


async def _rate(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await commands.rate(desk, actor, place, _number(token), _number(token, 1), via="button")


async def _language(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await commands.language(desk, actor, place, token.arguments[0] if token.arguments else "")


async def _deal(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await ballot.answer(desk, actor, place, _number(token), _number(token, 1))


async def _skip(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await ballot.skip(desk, actor, place, _number(token))


async def _deal_next(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await ballot.vote(desk, actor, place, token.number())


async def _consent(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await ballot.agree(desk, actor, place, token.arguments == ("yes",))


async def _yes(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await _answer(desk, actor, place, token, yes=True)


async def _no(desk: Desk, actor: Actor, place: Place, token: Token, dedupe: str | None) -> Reply:
    return await _answer(desk, actor, place, token, yes=False)


async def _answer(desk: Desk, actor: Actor, place: Place, token: Token, *, yes: bool) -> Reply:
    visit = await desk.visit(actor, place)
    return await desk.confirmed(visit, token.arguments[0] if token.arguments else "", yes)


VERBS: dict[str, Handler] = {
    "again": _again,
    "other": _other,
    "why": _why,
    "delete": _delete,
    "cancel": _cancel,
    "rate": _rate,
    "language": _language,
    "deal": _deal,
    "deal_next": _deal_next,
    "skip": _skip,
    "consent": _consent,
    "yes": _yes,
    "no": _no,
}
"""What buttons can say."""


@use_case
async def press(desk: Desk, actor: Actor, place: Place, token: str, *, dedupe: str | None = None) -> Reply:
    """Do what the button says: `again:<job>`, `other:<pair>`, `why:<pair>`, `delete:<pair>`, `cancel:<job>`,
    `rate:<pair>:<0–5>`, `language:<code>`, `yes:<confirmation>`, `no:<confirmation>`, and what `VERBS` adds."""
    found = read(token)
    if found is None or found.verb not in VERBS:
        raise _unknown()
    return await VERBS[found.verb](desk, actor, place, found, dedupe)
