"""The blind test in chat: `/vote` and its buttons, what may be heard elsewhere (`/publish`), and `/consent`.

What is dealt is decided in `bot.dealing`, what an answer makes of a ballot in `bot.rating`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

from bot import dealing, rating
from bot.config import VoteSettings
from bot.contract import Actor, Audio, Button, Part, Place, Reply, Text
from bot.desk import Desk, Visit, use_case
from bot.exhibits import Exhibit, exhibit, learn_feelings
from bot.rating import Said
from bot.replies import say
from bot.tokens import RATINGS, write
from db import campaigns, consent, deals, pairs, votes
from db.deals import DealRow
from db.votes import Connection
from engine.errors import UserError
from engine.jobs import Language

RESERVED_S = 1_800.0
"""A deal that nobody answers within half an hour is given to others."""
CONSENT_VERSION = consent.WORDS_VERSION
"""Of the words in the catalogue's section [consent]; changed words ask again."""
_MINUTE_S = 60.0

_rng = random.Random()  # whom chance gives what must not be guessable


@dataclass(frozen=True)
class Dealt:
    """A deal, and what is to be heard and read."""

    deal: DealRow
    shown: Exhibit


@use_case
async def vote(desk: Desk, actor: Actor, place: Place, after: int | None = None) -> Reply:
    """Deal a pair to rate, privately: the same again until it is answered, skipped or taken back.

    `after` is one's own deal before, whose server or chat goes on being asked about, wherever the button is pressed.
    """
    visit = await _person(desk, actor, place)
    if after is not None:
        before = await desk.ledger.read(lambda conn: _own(conn, visit, after))
        visit = replace(visit, scope_id=before.scope_id)
    now, folder = desk.clock.now(), desk.queue.folder
    most_bytes, shares = desk.most_bytes(place), desk.config.votes
    found = await desk.ledger.write(lambda conn: deal(conn, visit, now, folder, most_bytes, _rng, shares))
    return _sheet(found, visit.language)


@use_case
async def answer(desk: Desk, actor: Actor, place: Place, deal_id: int, score: str | int) -> Reply:
    """Take the answer to a deal."""
    visit = await _person(desk, actor, place)
    value, now, dwell_s = rating.score_of(score), desk.clock.now(), desk.config.votes.dwell_s
    given = await desk.ledger.write(lambda conn: take_answer(conn, visit, deal_id, value, now, dwell_s))
    language = visit.language
    parts = (Text(say(language, "vote.thanks", score=value, count=given)), Text(say(language, "vote.forward"), "small"))
    row = (Button(say(language, "vote.next"), write("deal_next", deal_id)),)
    return Reply(parts, (row,), private=True, replaces=True, language=language)


@use_case
async def skip(desk: Desk, actor: Actor, place: Place, deal_id: int) -> Reply:
    """Leave a deal unanswered: it is not dealt to this person again."""
    visit = await _person(desk, actor, place)
    await desk.ledger.write(lambda conn: deals.skip(conn, _own(conn, visit, deal_id).id))
    row = (Button(say(visit.language, "vote.next"), write("deal_next", deal_id)),)
    text = Text(say(visit.language, "vote.skipped"))
    return Reply((text,), (row,), private=True, replaces=True, language=visit.language)


@use_case
async def publish(desk: Desk, actor: Actor, place: Place, pair: int | None = None, *, on: bool = True) -> Reply:
    """Let one's own pair be heard in blind tests everywhere, or take that back. None: the newest one made here."""
    visit = await _person(desk, actor, place)
    now = desk.clock.now()
    number = await desk.ledger.write(lambda conn: set_published(conn, visit, pair, on, now))
    key = "publish.on" if on else "publish.off"
    return Reply((Text(say(visit.language, key, pair=number)),), private=True, language=visit.language)


@use_case
async def agree(desk: Desk, actor: Actor, place: Place, on: bool | None = None) -> Reply:
    """Say what consent is about and how it stands (None), give it, or take it back."""
    visit = await _person(desk, actor, place)
    person_id, now, language = _row(visit), desk.clock.now(), visit.language
    if on is True:
        await desk.ledger.write(lambda conn: consent.give(conn, person_id, CONSENT_VERSION, now))
    elif on is False:
        await desk.ledger.write(lambda conn: consent.withdraw(conn, person_id))
    version = await desk.ledger.read(lambda conn: consent.version_of(conn, person_id))
    given = version == CONSENT_VERSION
    parts = (
        Text(say(language, "consent.words", version=CONSENT_VERSION)),
        Text(say(language, "consent.given" if given else "consent.none")),
    )
    yes = Button(say(language, "consent.yes"), write("consent", "yes"))
    no = Button(say(language, "consent.no"), write("consent", "no"))
    return Reply(parts, ((no if given else yes,),), private=True, replaces=on is not None, language=language)


# --- in a transaction --------------------------------------------------------------------------------------------


def deal(
    conn: Connection,
    visit: Visit,
    now: float,
    folder: Path,
    most_bytes: int | None,
    rng: random.Random,
    shares: VoteSettings,
) -> Dealt:
    """Reserve a pair for a person, or return the one that waits for an answer. Raises `UserError` when there is none.

    What can no longer be played, or not be sent (`most_bytes`), is passed over.
    """
    person_id = _row(visit)
    deals.expire(conn, now)
    campaign = campaigns.running(conn, visit.scope_id)
    waiting = deals.open_of(conn, person_id)
    if waiting is not None:
        shown = exhibit(conn, waiting.pair_id, waiting.story_id, folder)
        if waiting.scope_id == visit.scope_id and shown is not None and _playable(shown, most_bytes):
            return Dealt(waiting, shown)
        deals.skip(conn, waiting.id)
    if campaign is not None:
        _check_campaign(conn, campaign, person_id)
    learn_feelings(conn)
    campaign_id = None if campaign is None else campaign.id
    rows = deals.choices(conn, person_id, visit.scope_id, campaign_id)
    again = deals.repeatable(conn, person_id, campaign_id, dealing.REPEAT_GAP)
    answered = deals.answered(conn, person_id)
    while (choice := dealing.choose(rows, again, answered, shares, rng, visit.language)) is not None:
        shown = exhibit(conn, choice.pair_id, choice.story_id, folder)
        if shown is not None and _playable(shown, most_bytes):
            made = deals.add(
                conn,
                person_id,
                choice.pair_id,
                choice.story_id,
                choice.condition,
                campaign_id=campaign_id,
                scope_id=visit.scope_id,
                now=now,
                expires=now + RESERVED_S,
            )
            return Dealt(made, shown)
        rows = [row for row in rows if row.pair_id != choice.pair_id]
        again = [pair_id for pair_id in again if pair_id != choice.pair_id]
    raise UserError(
        "There is nothing left here for you to rate; make something with /story or /compose, or come back later.",
        code="nothing_to_rate",
    )


def take_answer(conn: Connection, visit: Visit, deal_id: int, score: int, now: float, dwell_s: float) -> int:
    """Record the answer to a deal, and the ballot that it is; return how many the person has answered.

    Raises `UserError` for somebody else's deal, one that is over, a campaign that has ended, a pair that was deleted,
    and an answer given before anybody can have listened.
    """
    deals.expire(conn, now)
    found = _own(conn, visit, deal_id)
    campaign = None if found.campaign_id is None else campaigns.by_id(conn, found.campaign_id)
    if campaign is not None and not campaign.running:
        raise UserError("This listening test has ended, so the answer does not count any more.", code="campaign_over")
    if found.state != "open":
        raise UserError("This one is not open any more; /vote gives you another.", code="deal_over")
    for pair_id in (found.pair_id, found.story_id):
        pair = votes.pair(conn, pair_id)
        refused = rating.refusal(pair, visit.actor, votes.recent(conn, found.person_id, now - _MINUTE_S))
        if refused is not None:
            raise refused
    early_s = found.dealt + dwell_s - now
    if early_s > 0:
        raise UserError(
            f"Please listen and read first; your answer can be taken in {early_s:.0f} seconds.", code="too_early"
        )
    deals.answer(conn, found.id, score, now)
    if found.condition == "match":
        said = Said(score, now, "test")
        votes.change(
            conn,
            found.pair_id,
            found.person_id,
            lambda before: rating.after(before or rating.NO_BALLOT, said),
            scope_id=found.scope_id,
            delay_s=now - found.dealt,
        )
    deals.earn(conn, found.person_id)
    return deals.answered(conn, found.person_id)


def set_published(conn: Connection, visit: Visit, pair_id: int | None, on: bool, now: float) -> int:
    """Publish one's own pair, or take that back; return which. Raises `UserError` when it is not one's own."""
    person_id = _row(visit)
    if pair_id is None and visit.scope_id is not None:
        pair_id = pairs.newest(conn, person_id, visit.scope_id)
    found = None if pair_id is None else votes.pair(conn, pair_id)
    if found is None or found.deleted:
        raise UserError("There is no such pair; make one with /story or /compose first.", code="unknown_pair")
    if found.maker_id != person_id:
        raise UserError("Only who made a pair can publish it.", code="not_yours")
    if on:
        deals.publish(conn, found.id, now)
    else:
        deals.unpublish(conn, found.id)
    return found.id


def _check_campaign(conn: Connection, campaign: campaigns.CampaignRow, person_id: int) -> None:
    rated = campaigns.rated(conn, campaign.id)
    each = min(campaign.each, len(campaigns.votes(conn, campaign.id)))
    if rated.get(person_id, 0) >= each:
        raise UserError("You have rated everything in this listening test. Thank you!", code="campaign_done")
    complete = sum(1 for count in rated.values() if count >= each)
    if person_id not in rated and complete >= campaign.raters:
        raise UserError("This listening test has all the people it needs. Thank you!", code="campaign_full")


def _own(conn: Connection, visit: Visit, deal_id: int) -> DealRow:
    found = deals.by_id(conn, deal_id)
    if found is None or found.person_id != visit.person_id:
        raise UserError("This one was dealt to somebody else; /vote gives you your own.", code="not_your_deal")
    return found


def _playable(shown: Exhibit, most_bytes: int | None) -> bool:
    try:
        size = shown.audio.stat().st_size
    except OSError:
        return False
    return most_bytes is None or size <= most_bytes


# --- who, and what they see --------------------------------------------------------------------------------------


async def _person(desk: Desk, actor: Actor, place: Place) -> Visit:
    """Return the visit of a single person who is not kept out. Raises `UserError`."""
    if actor.shared or rating.shared(actor.platform, actor.person):
        raise UserError(
            "Votes count for single people only, not for channels or anonymous admins; please vote as yourself.",
            code="not_a_person",
        )
    visit = await desk.visit(actor, place, add=True)
    if await desk.blocked(visit):
        raise UserError("You cannot make anything here; please ask an admin.", code="blocked")
    return visit


def _row(visit: Visit) -> int:
    assert visit.person_id is not None  # `_person` has seen to it
    return visit.person_id


def _sheet(dealt: Dealt, language: Language) -> Reply:
    """Show music and story with the paper's words, six buttons, and a way out."""
    name = say(language, "vote.music")
    parts: list[Part] = [
        Text(say(language, "vote.title"), "heading"),
        Text(say(language, "vote.how")),
        Text(say(language, "vote.not_real"), "small"),
        Audio(
            dealt.shown.audio, f"music-{dealt.deal.id}{dealt.shown.suffix}", name, "TuneTale", dealt.shown.duration_s
        ),
    ]
    parts += [Text(paragraph, "quote") for paragraph in dealt.shown.paragraphs]
    numbers = [Button(str(value), write("deal", dealt.deal.id, value)) for value in RATINGS]
    out = Button(say(language, "vote.skip"), write("skip", dealt.deal.id))
    return Reply(tuple(parts), (tuple(numbers[:3]), tuple(numbers[3:]), (out,)), private=True, language=language)
