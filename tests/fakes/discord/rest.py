"""The routes of the fake Discord. Every route that is not here is a violation."""

from __future__ import annotations

import json
import re
from typing import Any

from aiohttp import web

from tests.fakes.discord import drafts, payloads
from tests.fakes.discord.drafts import Uploads
from tests.fakes.discord.registry import register
from tests.fakes.discord.server import Server, reply
from tests.fakes.discord.wire import Answer, Callback, DirectChannel, NewMessage, Outgoing, UnknownField, read
from tests.fakes.discord.world import MIB, ApiError, Channel, Message

MESSAGE = "/channels/{channel}/messages/{message}"
APP = "/applications/{application}"
HOOK = "/webhooks/{application}/{token}"
EMOJI = re.compile(r"[0-9#*]\ufe0f\u20e3|[^\x00-\x7f]{1,12}|\w{2,32}:\d+")


def application(server: Server) -> web.Application:
    """Return the web application of a server."""
    app = web.Application(client_max_size=drafts.MAX_REQUEST + MIB)
    rest = Rest(server)
    api = "/api/v10"
    for method, path, name, major, handle, bot in (
        ("GET", "/users/@me", "me", "", rest.me, True),
        ("GET", "/oauth2/applications/@me", "application", "", rest.about, True),
        ("PUT", APP + "/commands", "register commands", "", rest.register, True),
        ("PUT", APP + "/guilds/{guild}/commands", "register commands", "guild", rest.register, True),
        ("POST", "/interactions/{id}/{token}/callback", "callback", "token", rest.callback, False),
        ("POST", HOOK, "webhook", "token", rest.follow_up, False),
        ("GET", HOOK + "/messages/{name}", "webhook", "token", rest.get_answer, False),
        ("PATCH", HOOK + "/messages/{name}", "webhook", "token", rest.edit_answer, False),
        ("DELETE", HOOK + "/messages/{name}", "webhook", "token", rest.delete_answer, False),
        ("GET", "/channels/{channel}", "channel", "channel", rest.channel, True),
        ("POST", "/users/@me/channels", "open dm", "", rest.open_dm, True),
        ("POST", "/channels/{channel}/messages", "create message", "channel", rest.create, True),
        ("GET", MESSAGE, "message", "channel", rest.message, True),
        ("PATCH", MESSAGE, "edit message", "channel", rest.edit, True),
        ("DELETE", MESSAGE, "delete message", "channel", rest.delete, True),
        ("PUT", MESSAGE + "/reactions/{emoji}/@me", "react", "channel", rest.react, True),
        ("DELETE", MESSAGE + "/reactions/{emoji}/{user}", "react", "channel", rest.unreact, True),
        ("GET", MESSAGE + "/reactions/{emoji}", "list reactions", "channel", rest.reactors, True),
    ):
        app.router.add_route(method, api + path, server.route(name, major, handle, bot=bot))
    app.router.add_get("/cdn/attachments/{file}/{name}", server.route("cdn", "", rest.download, bot=False))
    app.router.add_get("/gateway", server.gateway.serve)
    app.router.add_route("*", "/{unknown:.*}", rest.unknown)
    return app


class Rest:
    """One method for each route."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._world = server.world
        self._base = f"{server.base}/cdn"

    async def unknown(self, request: web.Request) -> web.Response:
        self._server.violations.append(f"unknown route {request.method} {request.path}")
        return reply({"message": "404: Not Found", "code": 0}, 404)

    # --- the application --------------------------------------------------------------------------------------------

    async def me(self, request: web.Request) -> web.Response:
        return reply(payloads.user(self._world.bot) | {"mfa_enabled": False, "verified": True, "flags": 0})

    async def about(self, request: web.Request) -> web.Response:
        about = {
            "id": str(self._world.bot.id),
            "name": self._world.bot.name,
            "icon": None,
            "description": "",
            "summary": "",
            "verify_key": "0" * 64,
            "flags": 0,
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": payloads.user(self._world.bot),
            "team": None,
        }
        return reply(about)

    async def register(self, request: web.Request) -> web.Response:
        self._own(request)
        body = await request.json()
        self._server.commands = register(body)
        if "guild" in request.match_info:
            guild = int(request.match_info["guild"])
            if guild not in self._world.guilds:
                raise ApiError(403, 50001, "Missing Access")
            self._server.guild_commands[guild] = len(self._server.commands)
        return reply(
            [
                {"contexts": None, "integration_types": [0], "description": "", "type": 1}
                | sent
                | {"id": str(self._world.new_id()), "application_id": str(self._world.bot.id), "version": "1"}
                for sent in body
            ]
        )

    def _own(self, request: web.Request) -> None:
        if request.match_info["application"] != str(self._world.bot.id):
            raise ApiError(403, 20012, "You are not authorized to perform this action on this application")

    # --- interactions -----------------------------------------------------------------------------------------------

    async def callback(self, request: web.Request) -> web.Response:
        body, uploads = await _body(request)
        if request.query.get("with_response") != "1":
            raise UnknownField("callback without with_response")
        number, token = int(request.match_info["id"]), request.match_info["token"]
        return reply(self._server.interactions.answer(number, token, read(Callback, body), uploads))

    def _interaction(self, request: web.Request) -> Any:
        return self._server.interactions.by_token(int(request.match_info["application"]), request.match_info["token"])

    async def follow_up(self, request: web.Request) -> web.Response:
        body, uploads = await _body(request)
        interaction = self._interaction(request)
        sent = self._server.interactions.follow_up(interaction, read(Answer, body), uploads)
        return reply(payloads.message(sent, self._base))

    async def get_answer(self, request: web.Request) -> web.Response:
        found = self._server.interactions.message(self._interaction(request), request.match_info["name"])
        return reply(payloads.message(found, self._base))

    async def edit_answer(self, request: web.Request) -> web.Response:
        body, uploads = await _body(request)
        interaction, name = self._interaction(request), request.match_info["name"]
        edited = self._server.interactions.edit(interaction, name, read(Outgoing, body), uploads)
        return reply(payloads.message(edited, self._base))

    async def delete_answer(self, request: web.Request) -> web.Response:
        self._world.delete(self._server.interactions.message(self._interaction(request), request.match_info["name"]))
        return web.Response(status=204)

    # --- channels and messages --------------------------------------------------------------------------------------

    def _channel(self, request: web.Request, *needed: str) -> Channel:
        return self._world.channel_for_bot(int(request.match_info["channel"]), *needed)

    def _message(self, request: web.Request, *needed: str) -> Message:
        return self._world.message_for_bot(self._channel(request, *needed), int(request.match_info["message"]))

    async def channel(self, request: web.Request) -> web.Response:
        return reply(payloads.channel(self._channel(request)))

    async def open_dm(self, request: web.Request) -> web.Response:
        wanted = int(read(DirectChannel, await request.json()).recipient_id)
        if wanted not in self._world.users or self._world.users[wanted].bot:
            raise ApiError(400, 50033, "Invalid Recipient(s)")
        return reply(payloads.channel(self._world.dm(self._world.users[wanted])))

    async def create(self, request: web.Request) -> web.Response:
        body, uploads = await _body(request)
        message = read(NewMessage, body)
        channel = self._channel(request, "send_messages", *_needs(message, uploads))
        if message.enforce_nonce and message.nonce is not None:
            before = self._world.sent_before(channel, message.nonce)
            if before is not None:
                return reply(payloads.message(before, self._base))
        found = drafts.facts(self._world, channel, message, uploads, self._base, limit=_limit(channel))
        reference = message.message_reference
        if reference is not None:
            if not (channel.kind == "dm" or channel.bot_permissions.read_message_history):
                raise ApiError(403, 160002, "You cannot reply without permission to read message history")
            original = channel.messages.get(int(reference.message_id))
            if original is None or original.deleted:
                if reference.fail_if_not_exists:
                    raise ApiError(400, 50035, "Invalid Form Body", {"message_reference": "Unknown message"})
                reference = None
        channel.archived = False  # posting in an archived thread opens it
        sent = self._world.post(
            channel,
            self._world.bot,
            nonce=message.nonce,
            reply_to=None if reference is None else int(reference.message_id),
            **found,
        )
        return reply(payloads.message(sent, self._base))

    async def message(self, request: web.Request) -> web.Response:
        found = self._message(request, "read_message_history")
        return reply(payloads.message(found, self._base, reader=self._world.bot))

    async def edit(self, request: web.Request) -> web.Response:
        body, uploads = await _body(request)
        change = read(Outgoing, body)
        message = self._message(request, *_needs(change, uploads))
        if message.author is not self._world.bot:
            raise ApiError(403, 50005, "Cannot edit a message authored by another user")
        drafts.edit(self._world, message, change, uploads, self._base, limit=_limit(message.channel))
        return reply(payloads.message(message, self._base))

    async def delete(self, request: web.Request) -> web.Response:
        message = self._message(request)
        if message.author is not self._world.bot and not message.channel.bot_permissions.manage_messages:
            raise ApiError(403, 50013, "Missing Permissions")
        self._world.delete(message)
        return web.Response(status=204)

    # --- reactions --------------------------------------------------------------------------------------------------

    async def react(self, request: web.Request) -> web.Response:
        message, emoji = self._message(request, "read_message_history"), _emoji(request)
        if emoji not in message.reactions:
            message = self._message(request, "read_message_history", "add_reactions")
        self._world.react(message, self._world.bot, emoji)
        return web.Response(status=204)

    async def unreact(self, request: web.Request) -> web.Response:
        who = request.match_info["user"]
        user = self._world.bot if who == "@me" else self._world.users.get(int(who))
        if user is None:
            raise ApiError(404, 10013, "Unknown User")
        needed = () if user is self._world.bot else ("manage_messages",)
        message = self._message(request, *needed)
        if message.channel.kind == "dm" and user is not self._world.bot:
            raise ApiError(403, 50003, "Cannot execute action on a DM channel")
        self._world.unreact(message, user, _emoji(request))
        return web.Response(status=204)

    async def reactors(self, request: web.Request) -> web.Response:
        message = self._message(request, "read_message_history")
        query = dict(request.query)
        limit, after, kind = int(query.pop("limit", 25)), int(query.pop("after", 0)), int(query.pop("type", 0))
        if query:
            raise UnknownField(", ".join(query))
        if not 1 <= limit <= 100 or kind not in (0, 1):
            raise ApiError(400, 50035, "Invalid Form Body")
        found = message.reactions.get(_emoji(request))
        ids = [] if found is None else sorted(found.burst if kind else found.normal)
        page = [one for one in ids if one > after][:limit]
        return reply([payloads.user(self._world.users[one]) for one in page])

    # --- files ------------------------------------------------------------------------------------------------------

    async def download(self, request: web.Request) -> web.Response:
        found = self._world.files.get(int(request.match_info["file"]))
        if found is None:
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=found.data, headers={"Content-Type": found.content_type or "application/octet-stream"})


def _needs(body: Outgoing, uploads: Uploads) -> list[str]:
    return ["attach_files"] * bool(uploads) + ["embed_links"] * bool(body.embeds)


def _limit(channel: Channel) -> int:
    return MIB * 10 if channel.guild is None else channel.guild.attachment_limit


def _emoji(request: web.Request) -> str:
    emoji = request.match_info["emoji"]
    if not EMOJI.fullmatch(emoji):
        raise ApiError(400, 10014, "Unknown Emoji")
    return emoji


async def _body(request: web.Request) -> tuple[Any, Uploads]:
    """Read JSON, or a form of `payload_json` and `files[n]`."""
    if request.content_type == "application/json":
        return await request.json(), {}
    if request.content_type != "multipart/form-data":
        raise UnknownField(f"content type {request.content_type}")
    uploads: Uploads = {}
    body: Any = None
    async for part in await request.multipart():
        name = getattr(part, "name", None) or ""
        if name == "payload_json":
            body = json.loads(await part.text())  # type: ignore[union-attr]
        elif found := re.fullmatch(r"files\[(\d+)\]", name):
            uploads[int(found[1])] = (part.filename or "", bytes(await part.read()))  # type: ignore[union-attr]
        else:
            raise UnknownField(f"form field {name!r}")
    return body, uploads
