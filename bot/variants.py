"""Which way of making things a server likes best, learned from votes: Thompson sampling. Knows counts of ratings.

Only votes of people who agreed to it, about pairs of people who did, are learned from. An admin can switch it off.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import get_args

from bot.ballot import CONSENT_VERSION
from bot.desk import Desk, Visit
from bot.replies import say
from db import consent
from db.consent import Kind
from db.votes import Tally

STORY_CANDIDATES = (1, 4)
"""Ways of writing a story: the first draft, or the best of four by TuneTale's own measure."""
KINDS: tuple[Kind, ...] = get_args(Kind)
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
    return await _chosen(desk, visit, "story", STORY_CANDIDATES, rng)


async def sketches(desk: Desk, visit: Visit, rng: random.Random = _rng) -> int | None:
    """Return how many sketches to make for music asked for here; None, the owner's choice, where that is off.

    The choice is between composing at once and as many sketches as the owner has set, so it never costs more than the
    owner expects; there is none where the composer does not sketch.
    """
    stages = desk.config.engine.stages
    if stages.backend("composer") != "embedded" or stages.sketches == 0:
        return None
    return await _chosen(desk, visit, "compose", (0, stages.sketches), rng)


async def told(desk: Desk, visit: Visit) -> list[str]:
    """Return a line about each kind of which something was learned here, and whether it is used."""
    language = visit.language
    lines = []
    for kind in KINDS:
        tallies = await _learned(desk, visit, kind)
        each = [
            say(language, f"variants.{kind}_each", variant=variant, mean=f"{tally.mean:.2f}", count=tally.count)
            for variant, tally in sorted(tallies.items())
            if tally.mean is not None
        ]
        if each:
            lines.append(say(language, f"variants.{kind}", each="; ".join(each)))
    if lines:
        lines[-1] += " " + say(language, "variants.on" if visit.settings.learning else "variants.off")
    return lines


async def _chosen(desk: Desk, visit: Visit, kind: Kind, offered: Sequence[int], rng: random.Random) -> int | None:
    if visit.scope_id is None or not visit.settings.learning:
        return None
    return choose(offered, await _learned(desk, visit, kind), rng)


async def _learned(desk: Desk, visit: Visit, kind: Kind) -> dict[int, Tally]:
    scope_id = visit.scope_id
    if scope_id is None:
        return {}
    return await desk.ledger.read(lambda conn: consent.learned(conn, scope_id, CONSENT_VERSION, kind))
