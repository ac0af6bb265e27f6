"""How fast the Telegram side is: `python -m benchmarks telegram`.

The real handlers, the unmodified client library and a fake Bot API server in one process, as in the tests: a command is
one update, one durable job, one reply and one note of where the reply stands. No engine runs but in "first answer",
where the embedded engine tells real stories meanwhile. Floods are measured with the pace on against a server that
enforces the published limits to the letter.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from bot.config import Config, TelegramSettings
from bot.desk import Desk
from bot.telegram.limiter import FloodGate
from bot.telegram.service import serve
from db.store import Store
from engine.clock import SystemClock
from engine.policy import Policy
from engine.queue import Queue
from engine.settings import EngineSettings
from engine.supervisor import Supervisor
from tests.fakes.telegram.people import Person, group, person
from tests.fakes.telegram.server import TOKEN, FakeTelegram, fake_telegram

PEOPLE = 50
UPDATES = 1_000
COMMANDS = 5_000
ROUND = 500
ANSWERS = 100
FLOOD = 60
UPDATES_GOAL, ANSWER_GOAL_MS, MEMORY_GOAL = 250, 300, 0.05
TALE = "/compose seconds=10 The boat came home in the rain. Everybody on the pier sang until the lamps went out."
_FREE = Policy(per_person=10**9, per_chat=10**9, total=10**9)
_CLOCK = SystemClock()


@asynccontextmanager
async def house(folder: Path, *, engine: bool = False, paced: bool = False) -> AsyncIterator[tuple[FakeTelegram, Desk]]:
    """Run store, queue, adapter and fake server; with `engine` also a real worker."""
    files = folder / "files"
    files.mkdir(parents=True)
    async with await Store.open(folder / "store.sqlite") as store, fake_telegram(_CLOCK.now, flood=paced) as fake:
        queue = Queue(store, files, policy=_FREE)
        settings = TelegramSettings(base_url=fake.base_url, base_file_url=fake.base_file_url)
        desk = Desk(queue, queue.ledger, Config(telegram=settings), _CLOCK)
        supervisor = Supervisor(queue, EngineSettings())
        if engine:
            await supervisor.start()
        stop, gate = asyncio.Event(), FloodGate(_CLOCK.now, paced=paced)
        serving = asyncio.create_task(serve(SecretStr(TOKEN), desk, stop, gate=gate))
        try:
            await fake.until(lambda: fake.made("getUpdates"), "a poll")
            yield fake, desk
        finally:
            stop.set()
            await serving
            await supervisor.stop(0.0)


async def answered(fake: FakeTelegram, count: int) -> None:
    """Wait until the bot has sent so many messages."""
    await fake.until(lambda: fake.counts["sendMessage"] >= count, f"{count} replies")


async def settled(desk: Desk, count: int) -> None:
    """Wait until so many jobs are on the disk with the message that follows them."""
    query = "SELECT count(*) FROM follow"
    while await desk.ledger.read(lambda conn: conn.execute(query).fetchone()[0]) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def updates_per_s(folder: Path) -> tuple[float, float]:
    """Answer commands that have all arrived already; return updates a second, and milliseconds of processor each.

    The processor time is that of the bot and of the fake server; it holds whatever else the machine does.
    """
    async with house(folder) as (fake, desk):
        people = [person(fake, f"P{number}") for number in range(PEOPLE)]
        start, busy = time.perf_counter(), time.process_time()
        for number in range(UPDATES):
            who = people[number % PEOPLE]
            who.says(who.private, TALE)
        await answered(fake, UPDATES)
        await settled(desk, UPDATES)
        spent = time.process_time() - busy
        return UPDATES / (time.perf_counter() - start), 1000 * spent / UPDATES


async def first_answers_ms(folder: Path) -> list[float]:
    """Time from the command to the visible answer, one every 100 ms, while the engine works on what was asked for."""
    times: list[float] = []
    async with house(folder, engine=True) as (fake, _):
        for number in range(ANSWERS):
            who = person(fake, f"P{number}")
            start = time.perf_counter()
            who.says(who.private, TALE)
            await fake.until(lambda: any(m.sender.is_bot for m in fake.world.in_chat(who.private)), "an answer")  # noqa: B023
            times.append(1000 * (time.perf_counter() - start))
            await asyncio.sleep(0.1)
    return sorted(times)


async def refused_at_full_speed(folder: Path) -> tuple[int, float]:
    """Return how many calls were refused, and messages a second, with the pace on and everybody asking at once."""
    async with house(folder, paced=True) as (fake, _):
        people = [person(fake, f"P{number}") for number in range(FLOOD)]
        room = group(fake, "Music club", *people)
        start = time.perf_counter()
        for who in people:
            who.says(who.private, TALE)
            who.says(who.private, "/queue")
        for who in people[:10]:
            who.says(room, TALE)
        await answered(fake, 2 * FLOOD + 10)
        return fake.refused, (2 * FLOOD + 10) / (time.perf_counter() - start)


async def memory_growth(folder: Path) -> tuple[float, float]:
    """Return the resident MB after the first round of commands, and the growth from there to the last, as a share."""
    async with house(folder) as (fake, desk):
        people = [person(fake, f"P{number}") for number in range(PEOPLE)]
        process, sizes = psutil.Process(), []
        for done in range(0, COMMANDS, ROUND):
            for number in range(ROUND):
                ask(people[number % PEOPLE])
            await answered(fake, ROUND)
            await settled(desk, ROUND)
            await desk.ledger.write(lambda conn: conn.execute("DELETE FROM job").rowcount)
            # What the fake has seen is no memory of the bot's.
            fake.calls.clear()
            fake.counts.clear()
            fake.world.messages.clear()
            fake.updates.confirmed.clear()
            gc.collect()
            if done:
                sizes.append(process.memory_info().rss / 1e6)
        return sizes[0], sizes[-1] / sizes[0] - 1.0


def ask(who: Person) -> None:
    """Give one command."""
    who.says(who.private, TALE)


async def measure() -> None:
    """Run everything and print the table."""
    table = Table("what", "measured", "goal", title="Telegram, one process with the fake server")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        speed, each = await updates_per_s(folder / "speed")
        table.add_row("updates/s, one job and one reply each, no pace", f"{speed:,.0f}", f"≥ {UPDATES_GOAL}")
        table.add_row("  processor time of one", f"{each:.1f} ms ({1000 / each:,.0f}/s)", "")
        times = await first_answers_ms(folder / "answers")
        p99 = times[min(len(times) - 1, round(0.99 * len(times)))]
        table.add_row(
            "first answer, engine busy (ms; median, p99)",
            f"{times[len(times) // 2]:.0f}, {p99:.0f}",
            f"≤ {ANSWER_GOAL_MS}",
        )
        refused, pace = await refused_at_full_speed(folder / "flood")
        table.add_row(f"429 at full speed ({pace:.0f} messages/s)", str(refused), "0")
        size, growth = await memory_growth(folder / "memory")
        table.add_row(f"memory over {COMMANDS:,} commands ({size:.0f} MB)", f"{growth:+.1%}", f"± {MEMORY_GOAL:.0%}")
    console = Console()
    console.print(table)
    console.print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def main() -> None:
    """Print the table."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
