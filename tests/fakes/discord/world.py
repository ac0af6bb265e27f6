"""What there is on the fake Discord: people, servers, channels, messages, and the rules that hold between them.

Knows no HTTP and no JSON. Refusals are `ApiError` with the codes of Discord's documentation (topics/opcodes-and-status-
codes). Times are seconds since the epoch on the world's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from discord import Permissions

from tests.fakes.clock import FakeClock

JSON = dict[str, Any]
Kind = Literal["text", "dm", "group", "thread"]

EPOCH_S = 1_420_070_400
"""Discord's epoch, 1 January 2015."""
NOW = 1_800_000_000.0
"""When a world begins that is given no clock."""
NONCE_MEMORY_S = 300.0
"""How long a nonce is remembered; the documentation says "a few minutes"."""
MAX_EMOJI = 20
"""Different emoji on one message."""
MIB = 1 << 20
EPHEMERAL = 1 << 6
LOADING = 1 << 7
BOT_PERMISSIONS = Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    embed_links=True,
    attach_files=True,
    read_message_history=True,
    add_reactions=True,
)
"""What a server grants when it adds the bot as docs/setup-discord.md says."""
PERSON_PERMISSIONS = BOT_PERMISSIONS | Permissions(use_application_commands=True)


class ApiError(Exception):
    """A refusal as Discord words it: HTTP status, its own code, a message."""

    def __init__(self, status: int, code: int, message: str, errors: Any = None) -> None:
        super().__init__(f"{status} {code}: {message} {errors or ''}")
        self.status, self.code, self.message, self.errors = status, code, message, errors


@dataclass(eq=False)
class User:
    id: int
    name: str
    locale: str = "en-US"
    bot: bool = False
    blocks_bot: bool = False
    installed: bool = False
    """Whether the person has installed the app for themselves."""


@dataclass(eq=False)
class Guild:
    id: int
    name: str
    locale: str = "en-US"
    bot_in: bool = True
    attachment_limit: int = 10 * MIB
    everyone_sees_all_commands: bool = False
    """Whether an admin has overruled the commands' default permissions."""
    members: dict[int, Permissions] = field(default_factory=dict)
    channels: list[Channel] = field(default_factory=list)


@dataclass(eq=False)
class Channel:
    id: int
    kind: Kind
    name: str
    guild: Guild | None = None
    parent: Channel | None = None
    recipients: tuple[User, ...] = ()
    bot_permissions: Permissions = BOT_PERMISSIONS
    locked: bool = False
    archived: bool = False
    deleted: bool = False
    messages: dict[int, Message] = field(default_factory=dict)


@dataclass(eq=False)
class File:
    """An attachment: its bytes and what is said about them."""

    id: int
    name: str
    data: bytes
    description: str | None = None
    content_type: str | None = None
    claimed_size: int | None = None
    """The size that Discord states, when it is not that of the bytes."""

    @property
    def size(self) -> int:
        return len(self.data) if self.claimed_size is None else self.claimed_size


@dataclass
class Reactors:
    """Who reacted with one emoji; insertion order is the order in which it happened."""

    normal: dict[int, None] = field(default_factory=dict)
    burst: dict[int, None] = field(default_factory=dict)


@dataclass(eq=False)
class Message:
    id: int
    channel: Channel
    author: User
    content: str
    created: float
    embeds: list[JSON] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    components: list[JSON] = field(default_factory=list)
    flags: int = 0
    nonce: str | None = None
    reply_to: int | None = None
    only_for: User | None = None
    pings: frozenset[str] = frozenset()
    edited: float | None = None
    edits: int = 0
    deleted: bool = False
    reactions: dict[str, Reactors] = field(default_factory=dict)


class World:
    """Everything there is. `tell` is called with each event that a gateway would send."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock(NOW)
        # Ids hold the time since 2015; a clock may begin earlier.
        self._shift = max(0.0, NOW - self.clock.now()) if self.clock.now() < EPOCH_S else 0.0
        self.tell: Callable[[str, Any], None] = lambda name, subject: None
        self._count = 0
        self.bot = User(self.new_id(), "TuneTale", bot=True)
        self.users: dict[int, User] = {self.bot.id: self.bot}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.files: dict[int, File] = {}

    def new_id(self) -> int:
        """Return a snowflake of this moment."""
        self._count += 1
        return (int((self.clock.now() + self._shift - EPOCH_S) * 1000) << 22) + self._count

    # --- making -----------------------------------------------------------------------------------------------------

    def user(self, name: str, **facts: Any) -> User:
        made = User(self.new_id(), name, **facts)
        self.users[made.id] = made
        return made

    def guild(self, name: str, members: Iterable[User] = (), **facts: Any) -> Guild:
        made = Guild(self.new_id(), name, **facts)
        self.guilds[made.id] = made
        for member in members:
            made.members[member.id] = PERSON_PERMISSIONS
        if made.bot_in:
            self.tell("GUILD_CREATE", made)
        return made

    def channel(self, guild: Guild, name: str) -> Channel:
        return self._channel("text", name, guild=guild)

    def thread(self, parent: Channel, name: str) -> Channel:
        return self._channel("thread", name, guild=parent.guild, parent=parent, bot_permissions=parent.bot_permissions)

    def group(self, name: str, people: Iterable[User]) -> Channel:
        return self._channel("group", name, recipients=tuple(people))

    def dm(self, user: User) -> Channel:
        for channel in self.channels.values():
            if channel.kind == "dm" and channel.recipients == (user,):
                return channel
        return self._channel("dm", user.name, recipients=(user,))

    def _channel(self, kind: Kind, name: str, **facts: Any) -> Channel:
        made = Channel(self.new_id(), kind, name, **facts)
        self.channels[made.id] = made
        if made.guild is not None:
            made.guild.channels.append(made)
            self.tell("THREAD_CREATE" if kind == "thread" else "CHANNEL_CREATE", made)
        return made

    def file(self, name: str, data: bytes, **facts: Any) -> File:
        made = File(self.new_id(), name, data, **facts)
        self.files[made.id] = made
        return made

    # --- finding ----------------------------------------------------------------------------------------------------

    def channel_for_bot(self, channel_id: int, *needed: str) -> Channel:
        """Return a channel in which the bot may do what is needed; refuse as Discord does."""
        channel = self.channels.get(channel_id)
        if channel is None or channel.deleted:
            raise ApiError(404, 10003, "Unknown Channel")
        if channel.kind == "group" or (
            channel.guild is not None and not (channel.guild.bot_in and channel.bot_permissions.view_channel)
        ):
            raise ApiError(403, 50001, "Missing Access")
        if channel.kind == "dm":
            if channel.recipients[0].blocks_bot and "send_messages" in needed:
                raise ApiError(403, 50007, "Cannot send messages to this user")
            return channel
        for name in needed:
            asked = "send_messages_in_threads" if name == "send_messages" and channel.kind == "thread" else name
            if not getattr(channel.bot_permissions, asked):
                raise ApiError(403, 50013, "Missing Permissions")
        if channel.locked and channel.archived and needed:
            raise ApiError(400, 50083, "Tried to perform an operation on an archived thread, such as editing")
        return channel

    def message_for_bot(self, channel: Channel, message_id: int) -> Message:
        message = channel.messages.get(message_id)
        if message is None or message.deleted or message.only_for is not None:
            raise ApiError(404, 10008, "Unknown Message")
        return message

    # --- messages ---------------------------------------------------------------------------------------------------

    def post(self, channel: Channel, author: User, content: str = "", **facts: Any) -> Message:
        message = Message(self.new_id(), channel, author, content, self.clock.now(), **facts)
        channel.messages[message.id] = message
        if message.only_for is None:
            self.tell("MESSAGE_CREATE", message)
        return message

    def sent_before(self, channel: Channel, nonce: str) -> Message | None:
        """Return the bot's message with this nonce, when it is not too old to be remembered."""
        oldest = self.clock.now() - NONCE_MEMORY_S
        for message in reversed(channel.messages.values()):
            if message.created < oldest:
                return None
            if message.nonce == nonce and message.author is self.bot:
                return message
        return None

    def delete(self, message: Message) -> None:
        message.deleted = True
        if message.only_for is None:
            self.tell("MESSAGE_DELETE", message)

    def delete_channel(self, channel: Channel) -> None:
        channel.deleted = True
        self.tell("THREAD_DELETE" if channel.kind == "thread" else "CHANNEL_DELETE", channel)

    def kick_bot(self, guild: Guild) -> None:
        guild.bot_in = False
        self.tell("GUILD_DELETE", guild)

    # --- reactions --------------------------------------------------------------------------------------------------

    def react(self, message: Message, user: User, emoji: str, *, burst: bool = False) -> None:
        if emoji not in message.reactions:
            if len(message.reactions) >= MAX_EMOJI:
                raise ApiError(400, 30010, "Maximum number of reactions reached (20)")
            message.reactions[emoji] = Reactors()
        reactors = message.reactions[emoji]
        side = reactors.burst if burst else reactors.normal
        if user.id not in side:
            side[user.id] = None
            self.tell("MESSAGE_REACTION_ADD", (message, user, emoji, burst))

    def unreact(self, message: Message, user: User, emoji: str, *, burst: bool = False) -> None:
        reactors = message.reactions.get(emoji)
        side = {} if reactors is None else reactors.burst if burst else reactors.normal
        if reactors is None or user.id not in side:
            raise ApiError(404, 10014, "Unknown Emoji")
        del side[user.id]
        if not reactors.normal and not reactors.burst:
            del message.reactions[emoji]
        self.tell("MESSAGE_REACTION_REMOVE", (message, user, emoji, burst))

    def clear_reactions(self, message: Message, emoji: str | None = None) -> None:
        """Do what a moderator does with "Remove all reactions"."""
        if emoji is None:
            message.reactions.clear()
            self.tell("MESSAGE_REACTION_REMOVE_ALL", message)
        else:
            del message.reactions[emoji]
            self.tell("MESSAGE_REACTION_REMOVE_EMOJI", (message, emoji))
