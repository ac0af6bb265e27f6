"""Which way of making a story a server likes best, learned from votes: Thompson sampling. Knows counts of ratings.

Only votes of people who agreed to it, about pairs of people who did, are learned from. An admin can switch it off.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from bot.ballot import CONSENT_VERSION
from bot.desk import Desk, Visit
from bot.replies import say
from db import consent
from db.votes import Tally

STORY_CANDIDATES = (1, 4)
"""Ways of writing a story: the first draft, or the best of four by TuneTale's own measure."""
BEST = 5
"""The highest score."""

_rng = random.Random()


def choose(variants: Sequence[int], tallies: Mapping[int, Tally], rng: random.Random) -> int:
    """Draw a variant by Thompson sampling; the better rated the more often, the less known the more widely tried.

    Ratings as fractions of BEST are added to a Beta(1, 1) prior: success for what was given, failure for what was not
    (Agrawal & Goyal 2012, "Analysis of Thompson sampling", extend the Bernoulli case to rewards in [0, 1] like this).
    """

    def draw(variant: int) -> float:
        tally = tallies.get(variant, Tally(0, 0))
        given = tally.total / BEST
        return rng.betavariate(1 + given, 1 + tally.count - given)

    return max(variants, key=draw)


async def candidates(desk: Desk, visit: Visit, rng: random.Random = _rng) -> int | None:
    """Return how many candidates to write for a story asked for here; None, the owner's choice, where that is off."""
    scope_id = visit.scope_id
    if scope_id is None or not visit.settings.learning:
        return None
    tallies = await desk.ledger.read(lambda conn: consent.learned(conn, scope_id, CONSENT_VERSION))
    return choose(STORY_CANDIDATES, tallies, rng)


async def told(desk: Desk, visit: Visit) -> list[str]:
    """Return a line about what was learned here, and whether it is used; none before there is anything."""
    scope_id, language = visit.scope_id, visit.language
    if scope_id is None:
        return []
    tallies = await desk.ledger.read(lambda conn: consent.learned(conn, scope_id, CONSENT_VERSION))
    known = [(count, tally) for count, tally in sorted(tallies.items()) if tally.mean is not None]
    if not known:
        return []
    each = [
        say(language, "variants.each", candidates=count, mean=f"{tally.mean:.2f}", count=tally.count)
        for count, tally in known
    ]
    how = say(language, "variants.on" if visit.settings.learning else "variants.off")
    return [say(language, "variants.line", each="; ".join(each)) + " " + how]
