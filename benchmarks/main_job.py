"""Both directions as a user meets them: cold from the command line, warm in a running engine, and their memory."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from rich.console import Console as Screen
from rich.table import Table

from bot.console.ask import OWN_MACHINE
from bot.console.platform import Console, asker_for
from bot.console.sources import Place
from bot.deliver import deliver_forever
from engine.jobs import ComposeRequest, FileSource, Request, StoryRequest
from engine.service import running
from engine.settings import EngineSettings

ROOT = Path(__file__).parents[1]
TUNETALE = (sys.executable, "-m", "bot")
RUNS = 3
"""Each figure is the median of so many runs."""
MIB = 2**20


def main() -> None:
    """Print the table."""
    table = Table("what", "measured", "goal")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = (ROOT / "examples" / "story-en.txt").read_text(encoding="utf-8")
        three, ten = folder / "three.mp3", folder / "ten.mp3"
        for path, seconds in ((three, 180), (ten, 600)):
            _run("compose", text, "--seconds", str(seconds), "--format", "mp3", "--out", str(folder / path.stem))
            (folder / path.stem / "music.mp3").rename(path)

        def row(what: str, seconds: Sequence[float], goal: float) -> None:
            table.add_row(what, f"{statistics.median(seconds):.2f} s", f"≤ {goal:g} s")

        story = ("story", str(three), "--out", str(folder / "s"))
        compose = ("compose", text, "--seconds", "60", "--out", str(folder / "m"))
        row("cold `tunetale story`, 3-minute mp3", [_timed(*story) for _ in range(RUNS)], 15)
        row("cold `tunetale compose --seconds 60`", [_timed(*compose) for _ in range(RUNS)], 15)
        warm_story, warm_compose = asyncio.run(_warm(three, text, folder))
        row("warm story, 3-minute mp3", warm_story, 4)
        row("warm compose, 60 s", warm_compose, 4)
        peak = _peak_memory(lambda: _timed("story", str(ten), "--out", str(folder / "t")))
        table.add_row("peak memory of all processes, story of 10 minutes", f"{peak / MIB:.0f} MiB", "≤ 2048 MiB")
        peak = _peak_memory(lambda: _timed("compose", text, "--seconds", "600", "--out", str(folder / "t")))
        table.add_row("peak memory of all processes, compose 10 minutes", f"{peak / MIB:.0f} MiB", "≤ 2048 MiB")
    Screen(width=120).print(table)


def _run(*arguments: str) -> None:
    subprocess.run([*TUNETALE, *arguments], check=True, capture_output=True, cwd=ROOT)


def _timed(*arguments: str) -> float:
    start = time.perf_counter()
    _run(*arguments)
    return time.perf_counter() - start


async def _warm(mp3: Path, text: str, folder: Path) -> tuple[list[float], list[float]]:
    """Return seconds from submit to delivered answer on a worker that has done one job of each kind before."""
    async with running(EngineSettings(), policy=OWN_MACHINE) as service:
        console = Console()
        delivery = asyncio.create_task(deliver_forever(service.queue, console))

        async def timed(request: Request) -> float:
            start = time.perf_counter()
            job = await service.queue.submit(request, asker_for(Place(folder / "w", None)))
            answer = await console.answer(job.id)
            assert answer.result is not None, answer.error_message
            return time.perf_counter() - start

        source = FileSource(str(mp3), mp3.name)
        stories = [await timed(StoryRequest(source, seed=seed)) for seed in range(RUNS + 1)]
        pieces = [await timed(ComposeRequest(text, 60.0, seed)) for seed in range(RUNS + 1)]
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)
    return stories[1:], pieces[1:]


def _peak_memory(work: Callable[[], object]) -> int:
    """Return the highest sum of resident bytes of the processes that `work` starts, sampled every 20 ms."""
    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.02):
            total = 0
            for process in psutil.Process().children(recursive=True):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak = max(peak, total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    over.set()
    watcher.join()
    return peak


if __name__ == "__main__":
    main()
