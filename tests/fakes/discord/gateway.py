"""The fake gateway: HELLO, IDENTIFY, HEARTBEAT, RESUME and the events that the bot's intents cover.

Sessions outlive their connection, so that a RESUME replays what was missed; text frames, no compression.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web
from discord import Intents

from tests.fakes.discord import payloads
from tests.fakes.discord.world import JSON, Channel, Guild, Message, User, World

PRIVILEGED = Intents(members=True, presences=True, message_content=True).value
HEARTBEAT_MS = 41_250
REMEMBERED = 1000
"""Events that a session keeps for a RESUME."""
DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID_SESSION, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
AUTHENTICATION_FAILED, DISALLOWED_INTENTS, DECODE_ERROR = 4004, 4014, 4002


@dataclass(eq=False)
class Session:
    id: str
    intents: Intents
    sent: deque[JSON] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    socket: web.WebSocketResponse | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    last: int = 0
    """Number of the newest event."""
    delivered: int = 0
    """Number of the newest event that the bot has been sent."""

    def queue(self, name: str, data: JSON) -> None:
        self.last += 1
        self.sent.append({"op": DISPATCH, "t": name, "s": self.last, "d": data})
        self.wake.set()

    def next(self) -> JSON | None:
        """Return the next event to send."""
        if self.delivered == self.last:
            return None
        self.delivered += 1
        return self.sent[self.delivered - self.last - 1]


class Gateway:
    """All sessions of the one bot; `url` is where it is reached."""

    def __init__(self, world: World, token: str, base: str) -> None:
        self.url = base.replace("http", "ws", 1) + "/gateway"
        self.violations: list[str] = []
        self.identified = 0
        self.resumed = 0
        self.open = True
        self.changed: Callable[[], None] = lambda: None
        """Called when a bot has come."""
        self._world, self._token, self._base = world, token, base
        self._sessions: dict[str, Session] = {}
        world.tell = self.tell

    @property
    def session(self) -> Session | None:
        """The newest session, when there is one."""
        return next(reversed(self._sessions.values()), None)

    def tell(self, name: str, subject: Any) -> None:
        """Send an event to every session whose intents cover it."""
        for session in self._sessions.values():
            data = self._event(name, subject, session.intents)
            if data is not None:
                session.queue(name, data)

    async def close(self, code: int = 4000) -> None:
        """Break every connection; the sessions live on and can be resumed."""
        for session in self._sessions.values():
            if session.socket is not None:
                await session.socket.close(code=code)

    def break_off(self) -> None:
        """Cut every connection at once, without a goodbye."""
        for session in self._sessions.values():
            if session.socket is not None and session.socket._req is not None:
                transport = session.socket._req.transport
                if transport is not None:
                    transport.abort()

    def forget_sessions(self) -> None:
        """Let every RESUME fail, as after hours of absence."""
        self._sessions.clear()

    # --- the connection ---------------------------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if not self.open:
            return web.Response(status=503, text="upstream connect error")
        if request.query.get("v") != "10" or request.query.get("encoding") != "json":
            self.violations.append(f"gateway opened with {request.query_string}")
        socket = web.WebSocketResponse(max_msg_size=4096)  # Discord's limit for what a bot sends
        await socket.prepare(request)
        await socket.send_json({"op": HELLO, "t": None, "s": None, "d": {"heartbeat_interval": HEARTBEAT_MS}})
        session: Session | None = None
        pump: asyncio.Task[None] | None = None
        try:
            async for frame in socket:
                if frame.type is not WSMsgType.TEXT:
                    await socket.close(code=DECODE_ERROR)
                    break
                body = frame.json()
                if body["op"] == HEARTBEAT:
                    await socket.send_json({"op": ACK, "t": None, "s": None, "d": None})
                    continue
                found = await self._greet(socket, body)
                if found is not None:
                    session, session.socket, session.delivered = found[0], socket, found[1]
                    self.changed()
                    pump = asyncio.create_task(self._pump(session, socket))
        finally:
            if pump is not None:
                pump.cancel()
                with suppress(asyncio.CancelledError):
                    await pump
            if session is not None and session.socket is socket:
                session.socket = None
        return socket

    async def _greet(self, socket: web.WebSocketResponse, body: JSON) -> tuple[Session, int] | None:
        """Answer IDENTIFY or RESUME: return the session and how many of its events the bot has."""
        data = body["d"]
        if body["op"] not in (IDENTIFY, RESUME):
            self.violations.append(f"gateway opcode {body['op']}")
            return None
        if data["token"] != self._token:
            await socket.close(code=AUTHENTICATION_FAILED, message=b"Authentication failed.")
            return None
        if body["op"] == RESUME:
            known = self._sessions.get(data["session_id"])
            if known is None:
                await socket.send_json({"op": INVALID_SESSION, "t": None, "s": None, "d": False})
                return None
            self.resumed += 1
            known.queue("RESUMED", {"_trace": []})
            return known, int(data["seq"])
        if data["intents"] & PRIVILEGED:
            await socket.close(code=DISALLOWED_INTENTS, message=b"Disallowed intent(s).")
            return None
        self.identified += 1
        session = Session(secrets.token_hex(16), Intents._from_value(data["intents"]))
        self._sessions = {session.id: session}  # a new process; nobody resumes the old one
        session.queue("READY", self._ready(session))
        for guild in self._world.guilds.values():
            if guild.bot_in:
                session.queue("GUILD_CREATE", payloads.guild(self._world, guild))
        return session, 0

    async def _pump(self, session: Session, socket: web.WebSocketResponse) -> None:
        while not socket.closed:
            session.wake.clear()
            while (event := session.next()) is not None:
                with suppress(ConnectionResetError):
                    await socket.send_json(event)
            await session.wake.wait()

    def _ready(self, session: Session) -> JSON:
        return {
            "v": 10,
            "user": payloads.user(self._world.bot)
            | {"mfa_enabled": False, "verified": True, "email": None, "flags": 0},
            "guilds": [{"id": str(g.id), "unavailable": True} for g in self._world.guilds.values() if g.bot_in],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": self.url,
            "shard": [0, 1],
            "application": {"id": str(self._world.bot.id), "flags": 0},
            "relationships": [],
            "private_channels": [],
            "presences": [],
            "guild_join_requests": [],
            "_trace": [],
        }

    # --- the events -------------------------------------------------------------------------------------------------

    def _event(self, name: str, subject: Any, intents: Intents) -> JSON | None:
        """Return the event's data, or None when the bot does not get it."""
        match subject:
            case Guild():
                if name == "GUILD_DELETE":
                    return {"id": str(subject.id)} if intents.guilds else None
                return payloads.guild(self._world, subject) if intents.guilds else None
            case Channel(guild=guild):
                return payloads.channel(subject) if intents.guilds and guild and guild.bot_in else None
            case Message():
                return self._message_event(name, subject, intents)
            case (Message() as message, str(emoji)):
                if not self._sees(message.channel, intents.guild_reactions, intents.dm_reactions):
                    return None
                return _place(message) | {"emoji": {"id": None, "name": emoji}}
            case (Message() as message, User() as user, str(emoji), bool(burst)):
                if not self._sees(message.channel, intents.guild_reactions, intents.dm_reactions):
                    return None
                return self._reaction(name, message, user, emoji, burst=burst)
            case dict():  # an interaction
                return subject
            case _:
                raise AssertionError(f"no event {name} of {subject!r}")

    def _message_event(self, name: str, message: Message, intents: Intents) -> JSON | None:
        if name == "MESSAGE_REACTION_REMOVE_ALL":
            seen = self._sees(message.channel, intents.guild_reactions, intents.dm_reactions)
            return _place(message) if seen else None
        if not self._sees(message.channel, intents.guild_messages, intents.dm_messages):
            return None
        if name == "MESSAGE_DELETE":
            return {"id": str(message.id)} | payloads.where(message.channel)
        mine = message.author is self._world.bot or message.channel.kind == "dm"
        data = payloads.message(message, self._base, content_seen=mine) | payloads.where(message.channel)
        if message.channel.guild is not None:
            data["member"] = payloads.member(self._world, message.channel.guild, message.author)
        return data

    def _reaction(self, name: str, message: Message, user: User, emoji: str, *, burst: bool) -> JSON:
        data = _place(message) | {
            "user_id": str(user.id),
            "emoji": {"id": None, "name": emoji},
            "burst": burst,
            "type": int(burst),
        }
        if name == "MESSAGE_REACTION_ADD":
            data["message_author_id"] = str(message.author.id)
            if burst:
                data["burst_colors"] = ["#ff0000"]
            if message.channel.guild is not None:
                data["member"] = payloads.member(self._world, message.channel.guild, user)
        return data

    def _sees(self, channel: Channel, in_guild: bool, in_dm: bool) -> bool:
        if channel.guild is not None:
            return in_guild and channel.guild.bot_in and channel.bot_permissions.view_channel
        return in_dm and channel.kind == "dm"


def _place(message: Message) -> JSON:
    return {"message_id": str(message.id)} | payloads.where(message.channel)
