"""0️⃣–5️⃣ under result cards: put there by us, heard as raw events, read again after a restart.

Every reaction is told to `Ballots`, which decides what it means; here they are only recognised.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import discord

from bot.ballots import Ballots
from bot.contract import Posted
from bot.discord.trouble import TROUBLE
from bot.discord.who import reactor_of
from bot.rating import Reaction
from engine.errors import TuneTaleError

log = logging.getLogger(__name__)

DIGITS = tuple(f"{digit}\ufe0f\u20e3" for digit in range(6))
"""Keycap emoji of the scale, 0 to 5."""
_SCORES = {emoji: score for score, emoji in enumerate(DIGITS)} | {
    emoji.replace("\ufe0f", ""): score for score, emoji in enumerate(DIGITS)
}


def score_of(emoji: discord.PartialEmoji | str) -> int | None:
    """Return the score that an emoji stands for; None for any other emoji."""
    return _SCORES.get(str(emoji))


class Reactions:
    """Seeds, hears and reconciles; its own tasks end with `close`."""

    def __init__(self, client: discord.Client, ballots: Ballots) -> None:
        self._client = client
        self._ballots = ballots
        self._tasks: set[asyncio.Task[None]] = set()

    # --- seeding ----------------------------------------------------------------------------------------------------

    def seed(self, posted: Posted) -> None:
        """Put the six digits under a card, in the background: Discord takes four reactions a second in a channel."""
        self._start(self._begin(posted, self._ballots.now()))

    async def _begin(self, posted: Posted, since: float) -> None:
        await self._seed(posted, DIGITS)
        # Who was quicker than the note that this message is a card has not been counted yet.
        await self._reread(posted, since)

    async def _seed(self, posted: Posted, digits: tuple[str, ...]) -> None:
        message = self._message(posted)
        for emoji in digits:
            try:
                await message.add_reaction(emoji)
            except TROUBLE as error:
                # Not allowed, full of others' emoji, gone: the card can still be rated by the digits that are there.
                log.info("no %s under %s: %r", emoji, posted, error)
                return

    # --- hearing ----------------------------------------------------------------------------------------------------

    async def heard(self, event: discord.RawReactionActionEvent) -> None:
        """Take a reaction that somebody put there or took away."""
        score = score_of(event.emoji)
        me = self._client.user
        if score is None or me is None or event.user_id == me.id or (event.member is not None and event.member.bot):
            return
        if event.message_author_id not in (None, me.id):
            return  # under somebody else's message; only an addition says whose it is
        posted = Posted(str(event.channel_id), str(event.message_id))
        added = event.event_type == "REACTION_ADD"
        try:
            await self._ballots.reacted(
                reactor_of(event.user_id), posted, Reaction(score, super=event.burst), added=added
            )
        except TuneTaleError as error:
            log.warning("a reaction under %s was not counted: %s", posted, error.message)

    async def cleared(self, channel_id: int, message_id: int) -> None:
        """Read a message again from which somebody has removed all reactions (or all of one emoji)."""
        await self._reread(Posted(str(channel_id), str(message_id)), self._ballots.now())

    # --- reading again ----------------------------------------------------------------------------------------------

    def catch_up(self, since: float) -> None:
        """Read the cards whose reactions may have changed while nobody listened; `since`: when listening began."""
        self._start(self._catch_up(since))

    async def _catch_up(self, since: float) -> None:
        try:
            cards = await self._ballots.unsure("discord")
        except TuneTaleError as error:
            log.warning("reactions are not read again: %s", error.message)
            return
        for posted, _ in cards:
            missing = await self._reread(posted, since)
            if missing:
                await self._seed(posted, missing)

    async def _reread(self, posted: Posted, since: float) -> tuple[str, ...]:
        """Bring the ballots of a card in line with its reactions; return the digits that we have not put there."""
        missing: list[str] = []

        async def snapshot() -> dict[str, set[Reaction]]:
            missing[:], found = await self._read(posted)
            return found

        try:
            changed = await self._ballots.reconcile("discord", posted, since, snapshot)
        except TROUBLE as error:
            log.info("reactions under %s could not be read: %r", posted, error)
            return ()
        except TuneTaleError as error:
            log.warning("reactions under %s were not counted: %s", posted, error.message)
            return ()
        if changed:
            log.info("%d ballots under %s changed meanwhile", changed, posted)
        return tuple(missing)

    async def _read(self, posted: Posted) -> tuple[list[str], dict[str, set[Reaction]]]:
        """Return the digits that are not ours, and who shows which; lists are read only where somebody else is."""
        message = await self._message(posted).fetch()
        found: dict[str, set[Reaction]] = {}
        mine: set[int] = set()
        for reaction in message.reactions:
            score = score_of(str(reaction.emoji))
            if score is None:
                continue
            if reaction.me:
                mine.add(score)
            kinds = (
                (discord.ReactionType.normal, reaction.normal_count - reaction.me),
                (discord.ReactionType.burst, reaction.burst_count),
            )
            for kind, others in kinds:
                if others <= 0:
                    continue
                async for user in reaction.users(type=kind):
                    if not user.bot:
                        shown = Reaction(score, super=kind is discord.ReactionType.burst)
                        found.setdefault(str(user.id), set()).add(shown)
        return [emoji for score, emoji in enumerate(DIGITS) if score not in mine], found

    # --- inside -----------------------------------------------------------------------------------------------------

    def _message(self, posted: Posted) -> discord.PartialMessage:
        return self._client.get_partial_messageable(int(posted.chat)).get_partial_message(int(posted.message))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop what is under way; after a restart it is done again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
