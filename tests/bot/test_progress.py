"""Bars where somebody looks at them, silence where nobody does."""

from __future__ import annotations

import asyncio
import io

from rich.console import Console as Screen

from bot.console.progress import Bars
from engine.jobs import Progress
from engine.queue import Queue


class Standing:
    """A queue of which only the progress is asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def progress(self, job_id: int) -> Progress | None:
        self.asked.set()
        return Progress("compose", 0.5) if job_id == 1 else None


async def shown(*, terminal: bool) -> str:
    out = io.StringIO()
    screen = Screen(file=out, force_terminal=terminal, width=100, color_system=None)
    bars, queue = Bars(screen, "en"), Standing()
    bars.add(1, "storm.txt")
    follower = asyncio.create_task(bars.follow(queue))  # type: ignore[arg-type]
    await queue.asked.wait()
    bars.add(2, "calm.txt")
    bars.done(2, failed=True)
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)
    return out.getvalue()


async def test_a_terminal_shows_stage_and_label_of_every_job() -> None:
    text = await shown(terminal=True)
    for part in ("storm.txt", "Composing", "calm.txt", "Failed"):
        assert part in text


async def test_a_log_stays_empty() -> None:
    assert await shown(terminal=False) == ""


def test_the_fake_has_the_queues_shape() -> None:
    assert hasattr(Queue, "progress")
