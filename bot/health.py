"""How the program is, for machines: `/health` as JSON and `/metrics` for Prometheus, on the loopback address only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from bot.desk import Desk
from db import pairs
from engine.errors import TuneTaleError, UserError
from engine.jobs import VERSION

LOOPBACK = "127.0.0.1"


async def health(desk: Desk) -> tuple[bool, dict[str, object]]:
    """Return whether all is well, and the facts: well is a store that answers and platforms that are connected."""
    lags = desk.lags()
    facts: dict[str, object] = {"version": VERSION, "mode": desk.mode, "platforms": lags}
    try:
        waiting, running = await desk.overview.depth()
    except TuneTaleError as error:
        return False, facts | {"ok": False, "store": error.message}
    ok = all(lag is not None for lag in lags.values())
    return ok, facts | {"ok": ok, "store": "ok", "queued": waiting, "running": running}


@asynccontextmanager
async def serving(desk: Desk, port: int) -> AsyncIterator[int | None]:
    """Serve health and metrics on a loopback port while the body runs, and give the port; 0: none.

    Raises `UserError` when the port is taken.
    """
    if port == 0:
        yield None
        return
    runner = web.AppRunner(application(desk), access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, LOOPBACK, port).start()
        except OSError as error:
            raise UserError(
                f"Port {port} for health is taken ({error.strerror}); please choose another [health] port.",
                code="port_taken",
            ) from error
        yield port
    finally:
        await runner.cleanup()


def application(desk: Desk) -> web.Application:
    """Return the two pages as an application."""

    async def show_health(_: web.Request) -> web.Response:
        ok, facts = await health(desk)
        return web.json_response(facts, status=200 if ok else 503)

    async def show_metrics(_: web.Request) -> web.Response:
        depth = await desk.overview.depth()
        votes = await desk.ledger.read(pairs.votes)
        text = desk.metrics.text(depth, votes, desk.lags())
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    app = web.Application()
    app.add_routes([web.get("/health", show_health), web.get("/metrics", show_metrics)])
    return app
