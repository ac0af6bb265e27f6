"""The platforms beside the engine: started, kept up, and stopped so that nothing is lost. Knows no platform's library.

A stop goes in order: no new work is begun, what runs may finish (or goes back, uncharged), answers that are ready are
handed over, then the platforms close, then the store. A second signal skips whatever still waits.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import math
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from bot.config import Config
from bot.desk import Desk
from bot.health import LOOPBACK, serving
from bot.plain import tend_forever
from bot.upkeep import tidy_forever
from db import outbox
from engine.clock import Clock, SystemClock
from engine.errors import Transient, UserError, incident_id
from engine.jobs import Platform
from engine.policy import Policy
from engine.service import Service, running

log = logging.getLogger(__name__)

Serve = Callable[[SecretStr, Desk, asyncio.Event], Awaitable[None]]
"""Serves a platform until the event is set.

Raises `UserError` for what the owner must change (a refused token), anything else when it should be started again.
"""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 300.0
"""Before a platform is started again; doubles with each failure (Discord allows 1,000 logins a day)."""
STEADY_S = 300.0
"""A platform that was up so long starts again with the first pause."""
FLUSH_S = 10.0
"""Seconds for answers that are ready when the program ends; the others are sent after the next start."""
CLOSE_S = 10.0
"""Seconds for the platforms to close."""
PLATFORMS: tuple[Platform, ...] = ("discord", "telegram")


@dataclass
class Stop:
    """What signals ask for: the first to end well, the second to end now."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    now: asyncio.Event = field(default_factory=asyncio.Event)

    def signal(self) -> None:
        """Take one more signal."""
        (self.now if self.asked.is_set() else self.asked).set()


def tokens(config: Config, environment: Mapping[str, str]) -> dict[Platform, SecretStr]:
    """Return the tokens of the configured platforms. Raises `UserError` when there is none at all."""
    given = {"discord": config.discord, "telegram": config.telegram}
    found = {name: given[name].secret(environment) for name in PLATFORMS}
    chosen = {name: token for name, token in found.items() if token is not None}
    if not chosen:
        raise UserError(
            "No chat platform is configured; set DISCORD_TOKEN or TELEGRAM_TOKEN, or the tokens in config.toml (see "
            "docs/setup-discord.md and docs/setup-telegram.md), or use --until-idle to finish the jobs in the store.",
            code="no_platform",
        )
    return chosen


async def run(
    config: Config,
    store: Path,
    secrets: Mapping[Platform, SecretStr],
    *,
    stop: Stop | None = None,
    serves: Mapping[Platform, Serve] | None = None,
    clock: Clock | None = None,
) -> None:
    """Run engine and platforms until a signal. Raises `UserError` for what the owner must change."""
    stop, clock = stop or Stop(), clock or SystemClock()
    serves = serves if serves is not None else {name: _serve_of(name) for name in secrets}
    limits = config.limits
    policy = Policy(
        per_person=limits.per_person,
        per_chat=limits.per_chat,
        total=limits.total,
        work_s=60.0 * limits.work_minutes or math.inf,
    )
    with _signals(stop):
        async with AsyncExitStack() as stack:
            engine = running(config.engine, store, policy=policy, clock=clock)
            starting = asyncio.create_task(stack.enter_async_context(engine))
            await _unless(stop.asked, starting)  # models may take minutes to load
            if starting.cancelled():
                log.info("ended before the models were loaded")
                return
            service = starting.result()
            await stack.enter_async_context(_hurried(stop.now, service))
            desk = Desk(service.queue, service.queue.ledger, config, clock)
            await desk.restore()
            async with serving(desk, config.health.port) as port:
                _say_features(config, store, secrets, service, desk, port)
                await _serve(service, desk, secrets, serves, stop)
    log.info("ended")


async def keep_up(name: Platform, serve: Serve, token: SecretStr, desk: Desk, closing: asyncio.Event) -> None:
    """Serve a platform until `closing`, again and again when it fails. Raises `UserError` alone."""
    failures = 0
    while not closing.is_set():
        began = desk.clock.now()
        try:
            await serve(token, desk, closing)
        except UserError:
            raise
        except Transient as error:
            log.warning("%s: %s", name, error.message)
        except Exception:  # one platform's fault must not end the other; it starts again after a pause
            log.exception("incident %s: %s ended", incident_id(), name)
        if closing.is_set():
            return
        failures = 1 if desk.clock.now() - began >= STEADY_S else failures + 1
        pause_s = pause(failures)
        log.warning("%s starts again in %.0f s", name, pause_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await closing.wait()


def pause(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row."""
    return min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20), LONGEST_PAUSE_S)


async def _serve(
    service: Service, desk: Desk, secrets: Mapping[Platform, SecretStr], serves: Mapping[Platform, Serve], stop: Stop
) -> None:
    closing = asyncio.Event()
    platforms = [
        asyncio.create_task(keep_up(name, serves[name], token, desk, closing), name=name)
        for name, token in secrets.items()
    ]
    care = asyncio.create_task(_again_and_again(tidy_forever, desk))
    house = asyncio.create_task(_again_and_again(tend_forever, desk))
    asked = asyncio.create_task(stop.asked.wait())
    try:
        done, _ = await asyncio.wait({*platforms, care, house, asked}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # raises what the owner must change
        log.info("stopping: running requests may finish within %g s", desk.config.engine.worker.grace_s)
        await _unless(stop.now, service.supervisor.stop(desk.config.engine.worker.grace_s))
        await _unless(stop.now, _flushed(desk))
    finally:
        closing.set()
        for task in (care, house, asked):
            task.cancel()
        await _unless(stop.now, asyncio.wait(platforms, timeout=CLOSE_S))
        for task in platforms:
            task.cancel()
        await asyncio.gather(*platforms, care, house, asked, return_exceptions=True)
        await service.supervisor.stop(desk.config.engine.worker.grace_s)


async def _again_and_again(work: Callable[[Desk], Awaitable[None]], desk: Desk) -> None:
    """Do what never ends, and again a while after a bug in it: it must not end the bots."""
    while True:
        try:
            await work(desk)
        except Exception:  # a bug in the housekeeping must not end the bots; it is logged and tried again
            log.exception("incident %s: %s ended", incident_id(), getattr(work, "__name__", work))
        await asyncio.sleep(LONGEST_PAUSE_S)


async def _flushed(desk: Desk) -> None:
    """Wait until the connected platforms have taken what is ready, but not for ever."""

    async def empty() -> bool:
        connected = [name for name, lag_s in desk.lags().items() if lag_s is not None]
        return not await desk.ledger.read(lambda conn: any(outbox.open_on(conn, name) for name in connected))

    with suppress(TimeoutError):
        async with asyncio.timeout(FLUSH_S):
            while not await empty():  # noqa: ASYNC110  (others send them, who do not tell us)
                await asyncio.sleep(0.05)


async def _unless(now: asyncio.Event, work: Awaitable[object]) -> None:
    """Do something, but no longer than until `now`."""
    doing, hurry = asyncio.ensure_future(work), asyncio.create_task(now.wait())
    await asyncio.wait({doing, hurry}, return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if doing.done():
        doing.result()
    else:
        doing.cancel()
    await asyncio.gather(doing, hurry, return_exceptions=True)


@asynccontextmanager
async def _hurried(now: asyncio.Event, service: Service) -> AsyncIterator[None]:
    """End the engine without any grace as soon as `now` is set, whatever is waited for."""

    async def hurry() -> None:
        await now.wait()
        await service.supervisor.stop(0.0)

    hurrying = asyncio.create_task(hurry())
    try:
        yield
    finally:
        if not now.is_set():
            hurrying.cancel()
        await asyncio.gather(hurrying, return_exceptions=True)


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.signal)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _serve_of(name: Platform) -> Serve:
    serve: Serve = importlib.import_module(f"bot.{name}").serve
    return serve


def _say_features(
    config: Config, store: Path, secrets: Mapping[Platform, SecretStr], service: Service, desk: Desk, port: int | None
) -> None:
    """Write one line for each feature; which are on, never with which values."""
    for name in PLATFORMS:
        log.info("%s: %s", name, "on" if name in secrets else "off (no token)")
    for stage, model in service.supervisor.models.items():
        log.info("%s: %s", stage, model)
    log.info("links: %s", "on" if config.engine.media.links else "off")
    log.info("health: %s", "off" if port is None else f"http://{LOOPBACK}:{port}/health")
    log.info("store: %s; mode: %s; owners: %d", store, desk.mode, len(config.limits.owners))
