"""The commands about ratings: the blind test, statistics, publishing, consent, and campaigns for admins."""

from __future__ import annotations

from bot import ballot, campaigns, statistics
from bot.contract import Actor, Place, Reply
from bot.desk import Desk
from bot.telegram.options import Misread, number

OFF = frozenset({"off", "no", "關", "否"})
CONSENT = {"yes": True, "on": True, "no": False, "off": False}
CAMPAIGN_OPTIONS = ("raters", "each", "pairs")


async def vote(desk: Desk, actor: Actor, place: Place, text: str, pair: int | None) -> Reply:
    """`/vote`."""
    return await ballot.vote(desk, actor, place)


async def stats(desk: Desk, actor: Actor, place: Place, text: str, pair: int | None) -> Reply:
    """`/stats`."""
    return await statistics.stats(desk, actor, place)


async def publish(desk: Desk, actor: Actor, place: Place, text: str, pair: int | None) -> Reply:
    """`/publish`, `/publish 12`, `/publish off`; in reply to a card: that pair."""
    words = text.lower().split()
    on = not OFF & set(words)
    numbers = [word for word in words if word not in OFF and word != "on"]
    return await ballot.publish(desk, actor, place, number(numbers[0]) if numbers else pair, on=on)


async def consent(desk: Desk, actor: Actor, place: Place, text: str, pair: int | None) -> Reply:
    """`/consent`, `/consent yes`, `/consent no`."""
    return await ballot.agree(desk, actor, place, CONSENT.get(text.strip().lower()))


async def campaign(desk: Desk, actor: Actor, place: Place, text: str) -> Reply:
    """`/admin campaign create spring raters=30 each=12`, `… add spring pairs=1,2,3`, `… start spring` and so on."""
    words = text.split()
    options = dict(word.partition("=")[::2] for word in words if "=" in word)
    unknown = [name for name in options if name not in CAMPAIGN_OPTIONS]
    if unknown:
        raise Misread("unknown_option", name=unknown[0][:50], options=", ".join(CAMPAIGN_OPTIONS))
    plain = [word for word in words if "=" not in word]
    action, name, *rest = [*plain, "", ""][: max(2, len(plain))]
    return await campaigns.campaign(
        desk,
        actor,
        place,
        action.lower() or "show",
        name,
        raters=number(options["raters"]) if "raters" in options else None,
        each=number(options["each"]) if "each" in options else None,
        pairs=options.get("pairs") or " ".join(rest) or None,
    )


async def export(desk: Desk, actor: Actor, place: Place) -> Reply:
    """`/admin export`."""
    return await statistics.export(desk, actor, place)


COMMANDS = {"vote": vote, "stats": stats, "publish": publish, "consent": consent}
"""Each takes what stands behind it, and the pair of the card that it replies to."""
