"""How fast the Discord adapter is: `python -m benchmarks.discord`. Client library and fake server share this process.

Every command goes the whole way: gateway event, unmodified discord.py, use case, durable write (synchronous=FULL on a
real file), answer over HTTP on loopback. The limits of the fourth part are those of `tests.fakes.discord.limits`.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from bot.config import Config
from bot.contract import Letter, Reply, Text
from bot.desk import Desk
from bot.discord.client import TuneTaleClient
from bot.discord.pace import Pace
from bot.discord.service import serve
from db.store import Store
from engine.clock import SystemClock
from engine.jobs import Asker, ComposeRequest
from engine.policy import Policy
from engine.queue import Queue
from engine.service import running
from engine.settings import EngineSettings
from tests.fakes.clock import FakeClock
from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import TOKEN, Server, fake_discord
from tests.fakes.discord.world import Channel

COMMANDS, TOGETHER = 3_000, 50
SPEED_GOAL = 300.0  # interactions per second
ASKED, ASK_GAP_S = 300, 0.05
FIRST_ANSWER_GOAL_MS = 300.0
CHANNELS, LETTERS = 16, 6
MEMORY_COMMANDS, WARM_UP = 5_000, 1_000
MEMORY_GOAL = 0.05
UNLIMITED = Policy(per_person=10**6, per_chat=10**6, total=10**6)
BUSY = "The storm came up fast. All night they were afraid. At dawn the sea lay calm, and they laughed with joy. " * 4


class RealTime(FakeClock):
    """The fake server on the machine's time."""

    def now(self) -> float:
        """Return the time of this machine."""
        return time.time()


@dataclass(frozen=True)
class Scene:
    """A connected bot, somebody who uses it, and where."""

    server: Server
    client: TuneTaleClient
    mei: Person
    hall: Channel

    def forget(self) -> None:
        """Empty the fake's own memory, which is not what is measured."""
        self.server.interactions.forget()
        self.server.calls.clear()
        for channel in self.server.world.channels.values():
            channel.messages.clear()


@asynccontextmanager
async def scene(queue: Queue, *, paced: bool = False) -> AsyncIterator[Scene]:
    """Connect a bot to a fake Discord."""
    async with fake_discord(clock=RealTime()) as server:
        mei = Person(server, server.world.user("Mei"))
        hall = server.world.channel(server.world.guild("Music school", [mei.user]), "hall")
        desk = Desk(queue, queue.ledger, Config(), SystemClock())
        client = TuneTaleClient(desk, pace=Pace() if paced else Pace(per_s=1e6), guild_ready_s=0.01)
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(SecretStr(TOKEN), desk, stop, client=client))
        await asyncio.sleep(0)
        await client.wait_until_ready()
        yield Scene(server, client, mei, hall)
        stop.set()
        await serving


@asynccontextmanager
async def no_op_engine() -> AsyncIterator[Queue]:
    """Give a queue on a real file whose jobs nobody works on."""
    with tempfile.TemporaryDirectory() as folder:
        async with await Store.open(Path(folder) / "store.sqlite") as store:
            yield Queue(store, Path(folder), policy=UNLIMITED)


async def answered(here: Scene, ask: Callable[[int], Interaction], count: int, together: int) -> float:
    """Give commands, so many at a time, wait for each first answer, and return how many a second."""
    numbers = iter(range(count))

    async def one_after_the_other() -> None:
        for i in numbers:
            asked = ask(i)
            await here.server.until(lambda asked=asked: bool(asked.answered))  # type: ignore[misc]

    start = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(together)))
    return count / (time.perf_counter() - start)


async def speeds() -> tuple[float, float, float]:
    """Return commands a second with one durable write each: `/language`, and `/compose` (which queues a job); and the
    milliseconds of processor of one `/language`, bot and fake server together, which hold whatever else is done."""
    async with no_op_engine() as queue, scene(queue) as here:
        choices = ("en", "zh-TW")
        await answered(here, lambda i: here.mei.command(here.hall, "language", language=choices[i % 2]), 200, 10)
        busy = time.process_time()
        language = await answered(
            here, lambda i: here.mei.command(here.hall, "language", language=choices[i % 2]), COMMANDS, TOGETHER
        )
        each = 1000 * (time.process_time() - busy) / COMMANDS
    async with no_op_engine() as queue, scene(queue) as here:
        people = [Person(here.server, here.server.world.user(f"P{i}")) for i in range(100)]
        for person in people:
            assert here.hall.guild is not None
            here.hall.guild.members[person.user.id] = here.hall.guild.members[here.mei.user.id]
        compose = await answered(
            here,
            lambda i: people[i % 100].command(here.hall, "compose", text=f"Story {i}. The end."),
            COMMANDS // 10,
            TOGETHER,
        )
    return language, compose, each


async def first_answers_ms() -> list[float]:
    """Return how long people wait for the first answer while two real jobs are always at work."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            running(EngineSettings(), Path(folder) / "store.sqlite", policy=UNLIMITED) as service,
            scene(service.queue) as here,
        ):
            busy = asyncio.create_task(_keep_busy(service.queue))
            await asyncio.sleep(1.0)
            waits = await asyncio.gather(*(_first_answer_ms(here, i) for i in range(ASKED)))
            busy.cancel()
            with suppress(asyncio.CancelledError):
                await busy
    return list(waits)


async def _keep_busy(queue: Queue) -> None:
    asker = Asker("console", "busy", "busy")
    for seed in range(10_000):
        job = await queue.submit(ComposeRequest(BUSY, 60.0, seed), asker)
        while (position := await queue.position(job.id)) is not None and position > 2:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def _first_answer_ms(here: Scene, number: int) -> float:
    await asyncio.sleep(number * ASK_GAP_S)
    start = time.perf_counter()
    asked = here.mei.command(here.hall, ("language", "queue", "help", "privacy")[number % 4])
    await here.server.until(lambda: bool(asked.answered))
    return (time.perf_counter() - start) * 1000


async def under_limits() -> tuple[int, float, int]:
    """Post cards to many channels as fast as the limits allow; return requests, requests a second, and 429s."""
    async with no_op_engine() as queue, scene(queue, paced=True) as here:
        guild = here.hall.guild
        assert guild is not None
        rooms = [here.server.world.channel(guild, f"room {i}") for i in range(CHANNELS)]
        here.server.limits.enforced = True
        here.server.calls.clear()

        async def note(index: int, message: str) -> None:
            return None

        async def card(room: Channel, number: int) -> None:
            letter = Letter(str(room.id), Reply((Text(f"Card {number}"),), pair=1), f"{number:016d}")
            await here.client.messenger.post(letter, note)

        start = time.perf_counter()
        await asyncio.gather(*(card(room, i) for room in rooms for i in range(LETTERS)))
        await here.server.until(
            lambda: all(len(m.reactions) == 6 for room in rooms for m in room.messages.values()), patience_s=300.0
        )
        took_s = time.perf_counter() - start
        return len(here.server.calls), len(here.server.calls) / took_s, here.server.limits.refused


async def memory() -> tuple[float, float]:
    """Return the process's memory in MiB after the first commands, and after thousands more."""
    process = psutil.Process()
    async with no_op_engine() as queue, scene(queue) as here:
        sizes = []
        for count in (WARM_UP, *[500] * (MEMORY_COMMANDS // 500)):
            await answered(here, lambda i: here.mei.command(here.hall, "language", language="en"), count, 20)
            here.forget()
            gc.collect()
            sizes.append(process.memory_info().rss / 2**20)
    return sizes[0], sizes[-1]


def main() -> None:
    """Print one table: what was measured, the goal, and whether it was reached."""
    table = Table("Discord adapter", "measured", "goal", "reached")

    def row(what: str, measured: str, goal: str = "", reached: bool | None = None) -> None:
        table.add_row(what, measured, goal, "" if reached is None else "yes" if reached else "no")

    language, compose, each = asyncio.run(speeds())
    row(
        "interactions/s, one answer and one durable write each",
        f"{language:,.0f}",
        f"≥ {SPEED_GOAL:.0f}",
        language >= SPEED_GOAL,
    )
    row("  processor time of one", f"{each:.1f} ms ({1000 / each:,.0f}/s)")
    row("  of them such as queue a job (/compose)", f"{compose:,.0f}")
    requests, per_s, refused = asyncio.run(under_limits())
    row(
        f"429s in {requests:,} requests at full speed ({per_s:.0f}/s), limits enforced", f"{refused}", "0", refused == 0
    )
    before, after = asyncio.run(memory())
    grown = after / before - 1
    row(
        f"memory over {MEMORY_COMMANDS:,} commands",
        f"{before:.0f} → {after:.0f} MiB ({grown:+.1%})",
        "± 5 %",
        abs(grown) <= MEMORY_GOAL,
    )
    waits = sorted(asyncio.run(first_answers_ms()))
    p99 = statistics.quantiles(waits, n=100)[98]
    row(
        "first answer while two real jobs run, p50 / p99",
        f"{statistics.median(waits):.0f} / {p99:.0f} ms",
        f"≤ {FIRST_ANSWER_GOAL_MS:.0f} ms",
        p99 <= FIRST_ANSWER_GOAL_MS,
    )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
