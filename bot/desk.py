"""What every use case in chat needs: queue, store, settings, time; and how it ends in a reply whatever happens.

    adapter ──Actor, Place──▶ use case (bot.commands, privacy, admin, voting, press) ──▶ Reply
                                   │ begins with `desk.visit`: who is it, where, in which language, may they?

Knows no platform and no markup.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec

from bot.config import Config
from bot.contract import Actor, Place, Posted, Reply, Status
from bot.places import PlaceSettings
from engine.clock import Clock
from engine.jobs import Answer, Language
from engine.ledger import Ledger
from engine.queue import Queue

log = logging.getLogger(__name__)
P = ParamSpec("P")


@dataclass(frozen=True)
class Visit:
    """One person's act in one place, looked up in the store once."""

    actor: Actor
    place: Place
    language: Language
    settings: PlaceSettings
    """Of the server, or of the chat where there is none."""
    person_id: int | None
    """The person's row; None for somebody never seen and for shared identities."""
    chat_id: int | None
    """The chat's row; None for a chat never seen."""
    scope_id: int | None
    """The row that settings belong to: the server's, or the chat's."""
    owner: bool
    """Whether they own this installation (`[limits] owners`)."""


class Desk:
    """The one object that all use cases share; made by `tunetale run`, handed to each platform."""

    def __init__(self, queue: Queue, ledger: Ledger, config: Config, clock: Clock) -> None:
        self.queue = queue
        self.ledger = ledger
        self.config = config
        self.clock = clock

    async def visit(self, actor: Actor, place: Place, *, add: bool = False) -> Visit:
        """Look up who acts where; with `add` people and chats get their rows, so no id is None (but for `shared`)."""
        raise NotImplementedError

    async def posted(self, job: int | None, posted: Posted, language: Language) -> None:
        """Remember the message that follows a job: call it once the `Reply` with this `job` is out. None: nothing.

        From then on the core edits it through `Messenger.edit`, also after a restart, and hands it to `Messenger.post`
        as `Letter.progress` when the answer is there.
        """
        raise NotImplementedError

    async def status(self, job: int) -> Status | None:
        """Return where a job stands; None for an unknown one."""
        raise NotImplementedError

    async def card(self, answer: Answer) -> Reply:
        """Return what a finished job has to say: title, story, picture, read-along, fit, models, seed, buttons; or why
        it failed, with a button to try again."""
        raise NotImplementedError


def use_case(
    body: Callable[Concatenate[Desk, Actor, Place, P], Awaitable[Reply]],
) -> Callable[Concatenate[Desk, Actor, Place, P], Awaitable[Reply]]:
    """Make a use case end in a `Reply`, never in an exception (but cancellation).

    `UserError` and `Transient` become their sentence in the person's language, privately; anything else an incident id,
    with the trace in the log.
    """

    @functools.wraps(body)
    async def safe(desk: Desk, actor: Actor, place: Place, /, *args: P.args, **kwargs: P.kwargs) -> Reply:
        raise NotImplementedError

    return safe
