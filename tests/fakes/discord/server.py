"""The fake Discord on a loopback port, and how the unmodified client library is pointed at it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import yarl
from aiohttp import web
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.fakes.clock import FakeClock
from tests.fakes.discord.gateway import Gateway
from tests.fakes.discord.interactions import Interactions
from tests.fakes.discord.limits import Limits
from tests.fakes.discord.registry import Command
from tests.fakes.discord.wire import UnknownField
from tests.fakes.discord.world import JSON, ApiError, World

TOKEN = "MTA.fake.discord-token-for-tests"
PATIENCE_S = 60.0
"""No test waits so long unless it fails."""
REMEMBERED = 20_000
"""Calls that are kept for tests to look at."""


@dataclass(frozen=True)
class Call:
    """One request of the bot: what it was, what was answered, and when on the world's clock."""

    method: str
    route: str
    path: str
    status: int
    code: int
    at: float


class Server:
    """World, gateway and REST together."""

    def __init__(self, base: str, clock: FakeClock | None = None) -> None:
        self.base = base
        self.world = World(clock)
        self.gateway = Gateway(self.world, TOKEN, base)
        self.gateway.changed = self.changed
        self.interactions = Interactions(self.world, f"{base}/cdn")
        self.limits = Limits(self.world.clock)
        self.commands: list[Command] = []
        self.guild_commands: dict[int, int] = {}
        """How many commands were registered for single servers."""
        self.calls: deque[Call] = deque(maxlen=REMEMBERED)
        self.violations: list[str] = []
        self.token_valid = True
        self.up = True
        self.last_interaction: JSON | None = None
        self._expected: dict[int, int] = {}
        self._unexpected: list[str] = []
        self._waiting: set[asyncio.Future[None]] = set()
        self._holds: list[tuple[str, asyncio.Event]] = []

    # --- for tests --------------------------------------------------------------------------------------------------

    async def until(self, true: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Wait until something holds; looked at after every request of the bot and every `changed`."""
        async with asyncio.timeout(patience_s):
            while not true():
                self.check()  # who has broken a rule will not get there
                await self.change()

    async def change(self) -> None:
        """Wait for the bot's next request, or the next `changed`."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def changed(self) -> None:
        """Let everybody who waits look again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def expect(self, *codes: int) -> None:
        """Let the bot be refused with these codes; every other refusal fails the test."""
        for code in codes:
            self._expected[code] = self._expected.get(code, 0)

    def refused(self, code: int) -> int:
        """Return how often the bot was refused with a code."""
        return self._expected.get(code, 0)

    def go_down(self) -> None:
        """Answer 503 to everything and break the gateway, as in an outage."""
        self.up = self.gateway.open = False
        self.gateway.break_off()

    def come_back(self) -> None:
        self.up = self.gateway.open = True
        self.changed()

    @contextmanager
    def holding(self, route: str) -> Iterator[None]:
        """Keep requests of a route waiting: they take effect when the block ends."""
        gate = asyncio.Event()
        self._holds.append((route, gate))
        try:
            yield
        finally:
            self._holds.remove((route, gate))
            gate.set()

    def check(self) -> None:
        """Fail if the bot did what no bot may do, or was refused where the test did not expect it."""
        if faults := self.faults():
            raise AssertionError("\n".join(faults))

    def faults(self) -> list[str]:
        """Return what the bot has done wrong so far."""
        return self.violations + self.gateway.violations + self.limits.violations + self._unexpected

    def unanswered(self) -> list[str]:
        """Return what people did in the present session without getting an answer."""
        session = self.gateway.session
        return [
            f"interaction {one.id} of {one.user.name} was not answered"
            for one in self.interactions.known.values()
            if session is not None and one.session == session.id and not one.answered
        ]

    def forgive(self) -> None:
        """Forget refusals so far that no code names, such as a wrong token."""
        self._unexpected.clear()

    def count(self, route: str) -> int:
        """Return how many requests of a route succeeded."""
        return sum(call.route == route and call.status < 400 for call in self.calls)

    # --- serving ----------------------------------------------------------------------------------------------------

    def route(
        self, name: str, major: str, handle: Callable[[web.Request], Awaitable[web.Response]], *, bot: bool = True
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Wrap a handler: outage, token, rate limits, refusals, and the record of the call."""

        async def serve(request: web.Request) -> web.Response:
            for held, gate in list(self._holds):
                if held == name:
                    self.changed()
                    await gate.wait()
            response, code = await self._serve(request, name, request.match_info.get(major, ""), handle, bot=bot)
            call = Call(request.method, name, request.path, response.status, code, self.world.clock.now())
            self.calls.append(call)
            if code in self._expected:
                self._expected[code] += 1
            elif code or response.status == 401:
                self._unexpected.append(f"{request.method} {request.path}: {response.text}")
            self.changed()
            return response

        return serve

    async def _serve(
        self,
        request: web.Request,
        name: str,
        major: str,
        handle: Callable[[web.Request], Awaitable[web.Response]],
        *,
        bot: bool,
    ) -> tuple[web.Response, int]:
        if not self.up:
            return web.Response(status=503, text="upstream connect error"), 0
        if bot and (request.headers.get("Authorization") != f"Bot {TOKEN}" or not self.token_valid):
            return reply({"message": "401: Unauthorized", "code": 0}, 401), 0
        headers, too_many = self.limits.admit(name, major)
        if too_many is not None:
            return reply(too_many.body, 429, too_many.headers), 0
        try:
            response = await handle(request)
        except ApiError as error:
            body = {"message": error.message, "code": error.code} | ({"errors": error.errors} if error.errors else {})
            return reply(body, error.status, headers), error.code
        except UnknownField as error:
            self.violations.append(f"{request.method} {request.path}: unknown field {error}")
            return reply({"message": "Invalid Form Body", "code": 50035}, 400, headers), 0
        except Exception as error:
            self.violations.append(f"{request.method} {request.path}: the fake broke: {error!r}")
            raise
        response.headers.update(headers)
        return response, 0


def reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return JSON as Discord does; the client wants the content type without a charset."""
    data = json.dumps(body).encode()
    return web.Response(body=data, status=status, headers={"Content-Type": "application/json"} | (headers or {}))


@asynccontextmanager
async def fake_discord(*, clock: FakeClock | None = None) -> AsyncIterator[Server]:
    """Run a Discord and point the client library at it; at the end fail the test if the bot broke a rule."""
    from tests.fakes.discord.rest import application

    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(f"http://127.0.0.1:{listening.getsockname()[1]}", clock)
    runner = web.AppRunner(application(server), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE = f"{server.base}/api/v10"
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(server.gateway.url)
    try:
        yield server
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before
        await server.gateway.close(1001)
        await runner.cleanup()
    server.check()
