"""The rules of voting: what an event makes of a ballot, and what a snapshot of reactions says. Pure; knows no platform.

One person has one ballot for a pair, whether they say it with a reaction, a button or in the blind test; the newest
act wins. Reactions are remembered even where they do not count, because a platform shows them until they are taken
away, and because a restart can only be understood by what is different from before:

    Said      a button or the blind test: that is the ballot (None: taken back)
    Added     a reaction: that is the ballot
    Removed   a reaction went: if it was the ballot, the one reaction that is left is, or none
    Seen      all reactions of a person, read from the platform after a time in which events were missed

The order of missed events is unknown. One digit more than before is newer than everything before; several more leave
a ballot that is still shown as it is, and otherwise none until the person makes it clear.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from bot.contract import Actor
from db.votes import BallotRow, PairRef, Via
from engine.errors import UserError

SCORES = range(6)
"""0 (not similar) to 5 (very similar), as in the paper's poll."""
MOST_PER_MINUTE = 30
"""Votes by button that one person can mean in a minute: two seconds each."""
SHARED_IDS: Mapping[str, frozenset[str]] = {
    "telegram": frozenset({"1087968824", "136817688", "777000"}),  # anonymous admin, channel identity, Telegram itself
}
"""Ids behind which there are many people."""

NO_BALLOT = BallotRow(score=None, via="button", at=float("-inf"), reactions=0)
"""Before the first event."""


@dataclass(frozen=True)
class Reaction:
    """A digit that is shown under a card; on Discord a super reaction is shown apart from a plain one."""

    digit: int
    super: bool = False

    @property
    def bit(self) -> int:
        """Its place in `BallotRow.reactions`."""
        return 1 << (self.digit + len(SCORES) * self.super)


@dataclass(frozen=True)
class Said:
    """A button, or an answer of the blind test; None takes the ballot back."""

    score: int | None
    at: float
    via: Via = "button"


@dataclass(frozen=True)
class Added:
    """A reaction that appeared."""

    reaction: Reaction
    at: float


@dataclass(frozen=True)
class Removed:
    """A reaction that went, taken away by anybody."""

    reaction: Reaction
    at: float


@dataclass(frozen=True)
class Seen:
    """Everything that is shown of a person now; `at` is when events began to be heard again."""

    reactions: frozenset[Reaction]
    at: float


Event = Said | Added | Removed | Seen


def shared(platform: str, key: str) -> bool:
    """Return whether many people stand behind an id of a platform."""
    return key in SHARED_IDS.get(platform, frozenset())


def refusal(pair: PairRef | None, actor: Actor, recent: int = 0, *, blocked: bool = False) -> UserError | None:
    """Return why a vote cannot be taken; `recent` is how many votes by button the person gave in the last minute,
    `blocked` whether an admin keeps them out where the pair was made."""
    if actor.shared or shared(actor.platform, actor.person):
        return UserError(
            "Votes count for single people only, not for channels or anonymous admins; please vote as yourself.",
            code="not_a_person",
        )
    if pair is None:
        return UserError("This pair is not known here; please use the buttons of a newer card.", code="unknown_pair")
    if pair.deleted:
        return UserError("This pair was deleted, so it cannot be rated any more.", code="deleted_pair")
    if (pair.platform, pair.maker) == (actor.platform, actor.person):
        return UserError("You made this pair yourself, so the rating is up to the others.", code="own_pair")
    if blocked:
        return UserError("Your ratings do not count here; please ask an admin.", code="blocked")
    if recent >= MOST_PER_MINUTE:
        return UserError(
            f"That was {recent} votes within a minute, and {MOST_PER_MINUTE} is the most; "
            "please take your time and listen first.",
            code="too_many_votes",
        )
    return None


def score_of(text: str | int) -> int:
    """Read a score from what a platform hands over. Raises `UserError` for anything but 0 to 5."""
    digits = str(text).strip()
    if len(digits) == 1 and digits.isascii() and digits.isdigit() and int(digits) in SCORES:
        return int(digits)
    raise UserError(
        "A rating is a whole number from 0 (not similar) to 5 (very similar); please give one of these.",
        code="bad_score",
    )


def after(ballot: BallotRow, event: Event) -> BallotRow:
    """Return the ballot after an event. An act that is older than the ballot's own changes only what is shown."""
    match event:
        case Said(score, at, via):
            return replace(ballot, score=score, via=via, at=at) if at >= ballot.at else ballot
        case Added(reaction, at):
            shown = replace(ballot, reactions=ballot.reactions | reaction.bit)
            return replace(shown, score=reaction.digit, via="reaction", at=at) if at >= ballot.at else shown
        case Removed(reaction, at):
            return _settled(replace(ballot, reactions=ballot.reactions & ~reaction.bit), at)
        case Seen(reactions, at):
            return _seen(ballot, reactions, at)


def _seen(ballot: BallotRow, reactions: Collection[Reaction], at: float) -> BallotRow:
    bits = 0
    for reaction in reactions:
        bits |= reaction.bit
    if bits == ballot.reactions:
        return ballot
    new = digits(bits) - digits(ballot.reactions)
    shown = replace(ballot, reactions=bits)
    if new and at >= ballot.at:
        if len(new) == 1:
            return replace(shown, score=next(iter(new)), via="reaction", at=at)
        if ballot.via != "reaction" and ballot.score is not None:
            return shown  # what somebody said is clearer than two new digits
        return _settled(replace(shown, via="reaction"), at)
    return _settled(shown, at)


def _settled(ballot: BallotRow, at: float) -> BallotRow:
    """Return a ballot that agrees with the reactions that are left, if it was given by one of them."""
    shown = digits(ballot.reactions)
    if ballot.via != "reaction" or ballot.score in shown:
        return ballot
    return replace(ballot, score=next(iter(shown)) if len(shown) == 1 else None, at=max(at, ballot.at))


def digits(reactions: int) -> frozenset[int]:
    """Return the digits that a bit set of reactions shows."""
    return frozenset(digit for digit in SCORES if reactions & (Reaction(digit).bit | Reaction(digit, True).bit))


def still(ballot: BallotRow, reactions: Collection[Reaction]) -> frozenset[Reaction]:
    """Return the reactions that were known already: all that is seen of somebody whose new ones do not count."""
    return frozenset(reaction for reaction in reactions if ballot.reactions & reaction.bit)


def reconcile(
    known: Mapping[str, BallotRow], seen: Mapping[str, Collection[Reaction]], at: float
) -> dict[str, BallotRow]:
    """Return the ballots of one card that a snapshot of its reactions changes, by the person's key.

    `known` are all ballots of the pair on this platform, `seen` everybody who counts and has reacted; who is not in
    `seen` shows nothing any more.
    """
    changed = {}
    for key in known.keys() | seen.keys():
        before = known.get(key, NO_BALLOT)
        now = after(before, Seen(frozenset(seen.get(key, ())), at))
        if now != before:
            changed[key] = now
    return changed
