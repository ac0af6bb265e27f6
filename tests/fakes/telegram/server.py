"""The fake service: the Bot API over HTTP on loopback, for the unmodified client library.

Point the client at `base_url` and `base_file_url`. An unknown method, an unknown or mistyped field, a call before a
`retry_after` has passed, or a button that is never answered is a fault, and `check` raises for it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import ValidationError

from tests.fakes.telegram import calls
from tests.fakes.telegram.calls import CALLS, Upload, read_call
from tests.fakes.telegram.errors import ApiError, too_many
from tests.fakes.telegram.flood import Flood
from tests.fakes.telegram.methods import Methods
from tests.fakes.telegram.updates import Updates
from tests.fakes.telegram.uploads import MAX_UPLOAD
from tests.fakes.telegram.world import World

TOKEN = "987654321:AAtestTESTtestTESTtestTESTtestTESTte"
_AGAIN_S = 0.05
"""Before an update is pushed again to a webhook that did not take it; the real service waits longer."""
PATIENCE_S = 60.0
"""No test waits so long unless it fails."""


@dataclass
class Trouble:
    """What the service answers instead of doing what it is asked to."""

    error: ApiError
    method: str | None
    chat_id: int | None
    times: int


class FakeTelegram:
    """A running service. `world` is what people see; `calls` is every call that was made, in order."""

    def __init__(self, now: Callable[[], float], *, flood: bool, local: bool) -> None:
        self.now = now
        self.world = World(now, self._changed)
        self.updates = Updates(now)
        self.methods = Methods(self.world, self.fault, local=local)
        self.flood = Flood(now) if flood else None
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.counts: Counter[str] = Counter()
        """How often each method was called."""
        self.refused = 0
        """Calls that were answered with 429."""
        self.faults: list[str] = []
        self.down = False
        self.token = TOKEN
        self.webhook: calls.SetWebhook | None = None
        self._troubles: list[Trouble] = []
        self._lost: list[str] = []
        self._holds: dict[int | None, float] = {}
        self._change = asyncio.Event()
        self._polling: asyncio.Event | None = None
        self._url = ""

    @property
    def base_url(self) -> str:
        return f"{self._url}/bot"

    @property
    def base_file_url(self) -> str:
        return f"{self._url}/file/bot"

    # --- for tests ------------------------------------------------------------------------------------------------

    def fault(self, what: str) -> None:
        """Record something that no correct bot does."""
        self.faults.append(what)
        self._changed()

    def check(self) -> None:
        """Raise for every fault so far, and for buttons whose spinner still turns."""
        unanswered = [q.data for q in self.methods.queries.values() if not q.answered]
        assert not self.faults, self.faults
        assert not unanswered, f"never answered: {unanswered}"

    async def until(self, seen: Callable[[], Any], what: str = "") -> Any:
        """Wait until `seen` returns something true, and return it."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    self._change.clear()
                    assert not self.faults, self.faults
                    if found := seen():
                        return found
                    await self._change.wait()
        except TimeoutError:
            screen = "\n".join(f"  {m.chat.name}: {m.text[:200]!r} {m.labels()}" for m in self.world.messages.values())
            raise AssertionError(f"never seen: {what}; on the screens:\n{screen}") from None

    async def change(self) -> None:
        """Return after the next thing that anybody can see. Raises AssertionError on a fault."""
        self._change.clear()
        await self._change.wait()
        assert not self.faults, self.faults

    def refuse(self, error: ApiError, *, method: str | None = None, chat_id: int | None = None, times: int = 1) -> None:
        """Answer the next calls (of a method, or of one that sends or edits; to a chat) with an error."""
        self._troubles.append(Trouble(error, method, chat_id, times))

    def hold(self, retry_after: int, *, method: str | None = None, chat_id: int | None = None) -> None:
        """Answer the next call with 429; any call to that chat before the time is over is a fault."""
        self.refuse(too_many(retry_after), method=method, chat_id=chat_id)

    def lose_answer(self, method: str) -> None:
        """Do what the next call of a method asks for, but break the connection instead of answering."""
        self._lost.append(method)

    def made(self, method: str) -> list[dict[str, Any]]:
        """Return the fields of every call of a method that was made."""
        return [fields for name, fields in self.calls if name == method]

    # --- the service ----------------------------------------------------------------------------------------------

    def push(self, kind: str, payload: dict[str, Any]) -> None:
        """Something happened that the bot may want to know."""
        self.updates.push(kind, payload)

    def _changed(self) -> None:
        self._change.set()

    async def call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if self.down:
            return _abort(request)
        try:
            self._authorise(request.match_info["token"])
            fields, files = await self._read(request, method)
            result = await self._perform(method, fields, files)
        except ApiError as error:
            body: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
            if error.parameters:
                body["parameters"] = error.parameters
            return web.json_response(body, status=error.code)
        if method in self._lost:
            self._lost.remove(method)
            return _abort(request)
        return web.json_response({"ok": True, "result": result})

    def _authorise(self, token: str) -> None:
        if token != self.token:
            raise ApiError(401, "Unauthorized")

    async def _read(self, request: web.Request, method: str) -> tuple[calls.Call, dict[str, Upload]]:
        if method not in CALLS:
            self.fault(f"unknown method {method}")
            raise ApiError(404, "Not Found")
        try:
            form = await _form(request)
        except web.HTTPRequestEntityTooLarge:
            raise ApiError(413, "Request Entity Too Large") from None
        try:
            call, attached = read_call(method, form)
        except (ValidationError, json.JSONDecodeError) as error:
            self.fault(f"{method}: {error}")
            raise ApiError(400, f"Bad Request: {error}") from None
        self.calls.append((method, call.model_dump(exclude_unset=True)))
        self.counts[method] += 1
        self._changed()
        return call, attached

    async def _perform(self, method: str, call: calls.Call, attached: dict[str, Upload]) -> Any:
        chat_id: int | None = getattr(call, "chat_id", None)
        self._check_hold(method, chat_id)
        for trouble in self._troubles:
            kinds = (None, method, *(("send/edit",) if method.startswith(("send", "edit")) else ()))
            if trouble.method in kinds and trouble.chat_id in (None, chat_id) and method != "getUpdates":
                trouble.times -= 1
                self._troubles = [t for t in self._troubles if t.times > 0]
                self._note_hold(trouble.error, trouble.chat_id)
                raise trouble.error
        if self.flood is not None and chat_id is not None and method.startswith(("send", "edit")):
            wait = None if method == "sendChatAction" else self.flood.retry_after(chat_id)
            if wait is not None:
                self.refused += 1
                self._note_hold(too_many(wait), chat_id)
                raise too_many(wait)
        match call:
            case calls.GetUpdates():
                return await self._get_updates(call)
            case calls.SetWebhook():
                self.webhook = call if call.url else None
                self._set_allowed(call.allowed_updates, call.drop_pending_updates)
                return True
            case calls.DeleteWebhook():
                self.webhook = None
                self._set_allowed(None, call.drop_pending_updates)
                return True
        return self.methods.perform(call, attached)

    def _check_hold(self, method: str, chat_id: int | None) -> None:
        if method == "getUpdates":
            return
        for held in {None, chat_id}:
            if (left := self._holds.get(held, 0.0) - self.now()) > 0:
                self.fault(f"{method} to {chat_id} {left:.1f} s before its time")

    def _note_hold(self, error: ApiError, chat_id: int | None) -> None:
        if "retry_after" in error.parameters:
            self._holds[chat_id] = self.now() + error.parameters["retry_after"]

    def _set_allowed(self, allowed: list[str] | None, drop: bool) -> None:
        if allowed is not None:
            self.updates.allowed = allowed
        if drop:
            self.updates.forget()

    async def _get_updates(self, call: calls.GetUpdates) -> list[dict[str, Any]]:
        if self.webhook is not None:
            raise ApiError(
                409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook first"
            )
        self._set_allowed(call.allowed_updates, False)
        if call.offset is not None:
            self.updates.confirm(call.offset - 1)
            self._changed()
        if self._polling is not None:
            self._polling.set()
        mine = self._polling = asyncio.Event()
        until = asyncio.get_running_loop().time() + call.timeout
        while not (waiting := self.updates.repeats() or self.updates.waiting()):
            if mine.is_set():
                raise ApiError(
                    409,
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                )
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                break
            self.updates.arrived.clear()
            stops = [asyncio.ensure_future(event.wait()) for event in (self.updates.arrived, mine)]
            await asyncio.wait(stops, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for stop in stops:
                stop.cancel()
        return [update.json() for update in waiting[: call.limit]]

    async def deliver_by_webhook(self) -> None:
        """Push updates to the webhook one after the other, again and again until each is taken; run as a task."""
        async with aiohttp.ClientSession() as session:
            while True:
                self.updates.arrived.clear()
                for update in self.updates.waiting():
                    if self.webhook is None:
                        break
                    while not await self._hand_over(session, self.webhook, update.json()):  # noqa: ASYNC110
                        await asyncio.sleep(_AGAIN_S)
                    self.updates.confirm(update.id)
                    self._changed()
                await self.updates.arrived.wait()

    async def _hand_over(self, session: aiohttp.ClientSession, webhook: calls.SetWebhook, update: Any) -> bool:
        headers = {"X-Telegram-Bot-Api-Secret-Token": webhook.secret_token} if webhook.secret_token else {}
        try:
            async with session.post(webhook.url, json=update, headers=headers) as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    async def file(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            return _abort(request)
        found = [f for f in self.world.files.values() if f.path == request.match_info["path"]]
        if request.match_info["token"] != self.token or not found:
            return web.json_response({"ok": False, "error_code": 404, "description": "Not Found"}, status=404)
        return web.Response(body=found[0].data, content_type="application/octet-stream")


async def _form(request: web.Request) -> dict[str, Any]:
    """Read a form. Files stay in memory: `Request.post` leaves temporary files open, also when it is cut off midway."""
    if request.content_type != "multipart/form-data":
        return dict(await request.post())
    form: dict[str, Any] = {}
    left = request.client_max_size
    async for part in await request.multipart():
        if not isinstance(part, aiohttp.BodyPartReader) or part.name is None:
            raise ApiError(400, "Bad Request: a part without a name")
        data = bytearray()
        while chunk := await part.read_chunk():
            data += chunk
            left -= len(chunk)
            if left < 0:
                raise web.HTTPRequestEntityTooLarge(max_size=request.client_max_size, actual_size=len(data))
        if part.filename is None:
            form[part.name] = data.decode()
        else:
            kind = part.headers.get("Content-Type", "application/octet-stream")
            form[part.name] = Upload(name=part.filename, data=bytes(data), type=kind)
    return form


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@asynccontextmanager
async def fake_telegram(
    now: Callable[[], float] = time.time, *, flood: bool = False, local: bool = False
) -> AsyncIterator[FakeTelegram]:
    """Run the service; at the end every fault is raised."""
    fake = FakeTelegram(now, flood=flood, local=local)
    app = web.Application(client_max_size=2 * MAX_UPLOAD)
    app.router.add_route("*", "/bot{token}/{method}", fake.call)
    app.router.add_get("/file/bot{token}/{path:.+}", fake.file)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake._url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    delivery = asyncio.create_task(fake.deliver_by_webhook())
    try:
        yield fake
        fake.check()
    finally:
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)
        await runner.cleanup()
