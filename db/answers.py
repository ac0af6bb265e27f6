"""All answers as one tidy table: ballots, and what was said to repeats and hidden controls. People are hashes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, fields

from db.votes import KEY, Connection

# Ballots.
BALLOTS = (
    "SELECT vote.person_id, person.platform, person.key, vote.pair_id, vote.pair_id, 'match', vote.via, vote.score,"
    " vote.at, vote.delay_s, NULL FROM vote JOIN person ON person.id = vote.person_id WHERE vote.score NOT NULL"
)
# Answers of the blind test that are no ballots; of a campaign, all of them.
DEALS = (
    "SELECT deal.person_id, person.platform, person.key, deal.pair_id, deal.story_id, deal.condition, 'test',"
    " deal.score, deal.answered, deal.answered - deal.dealt, campaign.name FROM deal"
    " JOIN person ON person.id = deal.person_id LEFT JOIN campaign ON campaign.id = deal.campaign_id"
    " WHERE deal.state = 'answered'"
    " AND CASE WHEN ?1 IS NULL THEN deal.condition <> 'match' ELSE deal.campaign_id = ?1 END"
)
# What is known of the pairs.
PAIRS = (
    "SELECT pair.id, pair.kind, coalesce(chat.server_id, chat.id), pair.person_id, pair.distance, pair.valence_r,"
    " pair.arousal_r, pair.better_than_shuffled, pair.aligned_by, json_extract(job.args, '$.candidates'),"
    " json_extract(job.args, '$.sketches'),"
    " json_extract(job.result, '$.models.storyteller'), json_extract(job.result, '$.models.composer')"
    " FROM pair JOIN job ON job.id = pair.job_id JOIN chat ON chat.id = pair.chat_id"
    " WHERE ?1 IS NULL OR coalesce(chat.server_id, chat.id) = ?1"
)
# Who lets us learn from what they do.
CONSENTING = "SELECT person_id FROM consent WHERE version = ?"

DISCORD_EPOCH_S = 1_420_070_400.0
"""Discord's ids hold the milliseconds since 2015 in their upper 42 bits (docs.discord.com, reference, snowflakes)."""


@dataclass(frozen=True)
class AnswerRecord:
    """One answer: who (a keyed hash), about what, how, and what TuneTale's own measure says about the pair."""

    rater: str
    platform: str
    pair: int
    story: int
    condition: str
    via: str
    score: int
    at: float
    delay_s: float | None
    account_age_s: float | None
    campaign: str | None
    kind: str
    variant: str
    distance: float
    valence_r: float | None
    arousal_r: float | None
    better_than_shuffled: float
    aligned_by: str


HEADER = tuple(item.name for item in fields(AnswerRecord))
"""Names of the columns, in order."""


class Names:
    """What people are called in exports: 16 hexadecimal digits that only this store can give again."""

    def __init__(self, conn: Connection) -> None:
        (key,) = conn.execute(KEY).fetchone()
        self._key = bytes.fromhex(key)

    def __call__(self, person_id: int) -> str:
        """Return the name of a person (HMAC-SHA-256 of the row's id)."""
        return hmac.new(self._key, str(person_id).encode(), hashlib.sha256).hexdigest()[:16]


def records(
    conn: Connection,
    *,
    scope_id: int | None = None,
    campaign_id: int | None = None,
    consented: int | None = None,
) -> Iterator[AnswerRecord]:
    """Yield all answers about pairs of a server or chat (None: of all), or those of a campaign.

    With `consented`, a version of the consent's words, only answers of people who agreed to it about pairs of people
    who did.
    """
    names = Names(conn)
    pairs = {row[0]: row[1:] for row in conn.execute(PAIRS, (scope_id,))}
    agreed = None if consented is None else {person for (person,) in conn.execute(CONSENTING, (consented,))}
    hashes: dict[int, str] = {}
    sources = [conn.execute(DEALS, (campaign_id,))] + ([] if campaign_id is not None else [conn.execute(BALLOTS)])
    for source in reversed(sources):
        for person_id, platform, key, pair_id, story_id, condition, via, score, at, delay_s, campaign in source:
            if pair_id not in pairs:
                continue
            kind, _, maker_id, *fit, aligned_by, candidates, sketches, storyteller, composer = pairs[pair_id]
            if agreed is not None and not {person_id, maker_id} <= agreed:
                continue
            if person_id not in hashes:
                hashes[person_id] = names(person_id)
            distance, valence_r, arousal_r, better = fit
            yield AnswerRecord(
                rater=hashes[person_id],
                platform=platform,
                pair=pair_id,
                story=story_id,
                condition=condition,
                via=via,
                score=score,
                at=at,
                delay_s=delay_s,
                account_age_s=account_age(platform, key, at),
                campaign=campaign,
                kind=kind,
                variant=variant_name(storyteller or composer, candidates, sketches),
                distance=distance,
                valence_r=valence_r,
                arousal_r=arousal_r,
                better_than_shuffled=better,
                aligned_by=aligned_by,
            )


def variant_name(model: str | None, candidates: int | None, sketches: int | None) -> str:
    """Return what a way of making a pair is called: the model, and how many candidates it wrote or sketches it heard,
    where that was asked for."""
    name = model or "unknown"
    if candidates is not None and candidates > 1:
        return f"{name}, best of {candidates}"
    return name if sketches is None else f"{name}, sketches: {sketches}"


def account_age(platform: str, key: str, at: float) -> float | None:
    """Return how old an account was, in seconds; None where the platform's id does not say."""
    if platform != "discord" or not key.isascii() or not key.isdigit():
        return None
    return max(0.0, at - (DISCORD_EPOCH_S + (int(key) >> 22) / 1000))
