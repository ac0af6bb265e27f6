"""The life of an interaction: three seconds to answer, fifteen minutes of token, and what each may do.

From interactions/receiving-and-responding.mdx. Knows no HTTP.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.discord import drafts, payloads
from tests.fakes.discord.drafts import Uploads
from tests.fakes.discord.wire import Answer, Callback, Modal, Outgoing, UnknownField, read
from tests.fakes.discord.world import EPHEMERAL, JSON, LOADING, MIB, ApiError, Channel, Message, User, World

COMMAND, COMPONENT, SUBMIT = 2, 3, 5
MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, MODAL = 4, 5, 6, 7, 9
FIRST_ANSWER_S = 3.0
TOKEN_LIFE_S = 900.0
MAX_FOLLOW_UPS = 5
"""Of an app that is only installed by the person, not on the server."""
Answered = Literal["", "message", "deferred", "deferred update", "update", "modal"]


@dataclass(eq=False)
class Interaction:
    """What a person did, and what became of it."""

    id: int
    token: str
    type: int
    user: User
    channel: Channel
    created: float
    limit: int
    source: Message | None = None
    only_user_installed: bool = False
    session: str = ""
    """The gateway session to which it was sent; empty when nobody listened."""
    answered: Answered = ""
    first_answer_s: float | None = None
    original: Message | None = None
    follow_ups: list[Message] = field(default_factory=list)
    modal: Modal | None = None

    @property
    def thinking(self) -> bool:
        """Whether the person still sees "TuneTale is thinking…"."""
        return self.original is not None and not self.original.deleted and bool(self.original.flags & LOADING)


class Interactions:
    """All interactions of the world, by id and by token."""

    def __init__(self, world: World, base: str) -> None:
        self._world, self._base = world, base
        self.known: dict[int, Interaction] = {}
        self._by_token: dict[str, Interaction] = {}

    def begin(self, type: int, user: User, channel: Channel, **facts: Any) -> Interaction:
        guild = channel.guild
        bot_is_there = channel.kind == "dm" or (guild is not None and guild.bot_in)
        made = Interaction(
            id=self._world.new_id(),
            token=secrets.token_urlsafe(24),
            type=type,
            user=user,
            channel=channel,
            created=self._world.clock.now(),
            limit=MIB * 10 if guild is None else guild.attachment_limit,
            only_user_installed=not bot_is_there,
            **facts,
        )
        self.known[made.id] = made
        self._by_token[made.token] = made
        return made

    def forget(self) -> None:
        """Drop what is over, for runs of many thousands."""
        self.known.clear()
        self._by_token.clear()

    # --- the first answer -------------------------------------------------------------------------------------------

    def answer(self, interaction_id: int, token: str, callback: Callback, uploads: Uploads) -> JSON:
        """Take the first answer and return what Discord replies with_response=true."""
        found = self.known.get(interaction_id)
        now = self._world.clock.now()
        if found is None or found.token != token or now - found.created > FIRST_ANSWER_S:
            raise ApiError(404, 10062, "Unknown interaction")
        if found.answered:
            raise ApiError(400, 40060, "Interaction has already been acknowledged.")
        match callback.type:
            case 4:
                found.original = self._post(found, read(Answer, callback.data or {}), uploads)
                found.answered = "message"
            case 5:
                flags = read(Answer, callback.data or {}).flags or 0
                found.original = self._show(found, flags=flags | LOADING)
                found.answered = "deferred"
            case 9:
                if found.type == SUBMIT:
                    raise ApiError(400, 50035, "Invalid Form Body", "a modal cannot answer a modal")
                found.modal, found.answered = read(Modal, callback.data or {}), "modal"
            case _ if found.source is None:
                raise ApiError(400, 50035, "Invalid Form Body", "there is no message to update")
            case 6:
                found.original, found.answered = found.source, "deferred update"
            case 7:
                body = read(Answer, callback.data or {})
                drafts.edit(self._world, found.source, body, uploads, self._base, limit=found.limit)
                found.original, found.answered = found.source, "update"
        found.first_answer_s = now - found.created
        return self._reply(found, callback.type)

    def _reply(self, of: Interaction, type: int) -> JSON:
        about: JSON = {"id": str(of.id), "type": of.type}
        resource: JSON = {"type": type}
        if of.original is not None and type != DEFERRED_UPDATE:
            about |= {
                "response_message_id": str(of.original.id),
                "response_message_loading": bool(of.original.flags & LOADING),
                "response_message_ephemeral": bool(of.original.flags & EPHEMERAL),
            }
            resource["message"] = payloads.message(of.original, self._base)
        return {"interaction": about, "resource": resource}

    # --- later ------------------------------------------------------------------------------------------------------

    def by_token(self, application: int, token: str) -> Interaction:
        """Return the interaction whose token still lives. Raises `ApiError`."""
        found = self._by_token.get(token)
        if found is None or application != self._world.bot.id or not found.answered:
            raise ApiError(404, 10015, "Unknown Webhook")
        if self._world.clock.now() - found.created > TOKEN_LIFE_S:
            raise ApiError(401, 50027, "Invalid Webhook Token")
        return found

    def message(self, of: Interaction, name: str) -> Message:
        """Return the message `@original` or one of the follow-ups."""
        if name == "@original":
            message = of.original
        else:
            message = next((one for one in of.follow_ups if str(one.id) == name), None)
        if message is None or message.deleted:
            raise ApiError(404, 10008, "Unknown Message")
        return message

    def edit(self, of: Interaction, name: str, body: Outgoing, uploads: Uploads) -> Message:
        message = self.message(of, name)
        drafts.edit(self._world, message, body, uploads, self._base, limit=of.limit)
        message.flags &= ~LOADING
        return message

    def follow_up(self, of: Interaction, body: Outgoing, uploads: Uploads) -> Message:
        """Post a further message; after a deferred answer the first one takes the place of "thinking…"."""
        if of.thinking and of.original is not None:
            return self.edit(of, "@original", body, uploads)
        if of.only_user_installed and len(of.follow_ups) >= MAX_FOLLOW_UPS:
            raise ApiError(400, 40094, "This interaction has reached its maximum number of follow up messages")
        message = self._post(of, body, uploads)
        of.follow_ups.append(message)
        return message

    def _post(self, of: Interaction, body: Outgoing, uploads: Uploads) -> Message:
        found = drafts.facts(self._world, of.channel, body, uploads, self._base, limit=of.limit)
        if of.only_user_installed and of.channel.guild is not None:
            member = of.channel.guild.members[of.user.id]
            if not member.use_external_apps:
                found["flags"] |= EPHEMERAL
        return self._show(of, **found)

    def _show(self, of: Interaction, **found: Any) -> Message:
        if of.channel.deleted:
            raise ApiError(404, 10003, "Unknown Channel")
        if "flags" in found and found["flags"] & ~(EPHEMERAL | LOADING | drafts.SUPPRESS_EMBEDS):
            raise UnknownField(f"flags {found['flags']}")
        only_for = of.user if found["flags"] & EPHEMERAL else None
        return self._world.post(of.channel, self._world.bot, only_for=only_for, **found)
