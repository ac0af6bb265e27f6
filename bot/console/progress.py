"""Progress bars on stderr, one for each job; nothing at all where stderr is no terminal."""

from __future__ import annotations

import asyncio

from rich.console import Console as Screen
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from bot.replies import say
from engine.jobs import Language
from engine.queue import Queue
from engine.report import STAGES

REFRESH_S = 0.1
"""Pause between two looks at the queue's progress."""
STAGE_SHARE = {stage: i / len(STAGES) for i, stage in enumerate(STAGES)}
"""Where each stage begins on the bar of the whole job."""


class Bars:
    """One bar per job; `follow` runs until cancelled."""

    def __init__(self, screen: Screen, language: Language) -> None:
        self._language = language
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[label]}", style="bold"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=screen,
            transient=True,
            disable=not screen.is_terminal,  # a log is no place for bars
        )
        self._tasks: dict[int, TaskID] = {}

    def add(self, job_id: int, label: str) -> None:
        """Show a bar for a job, also while others run."""
        start = say(self._language, "stage.start")
        self._tasks[job_id] = self._bars.add_task(start, total=1.0, label=label)

    async def follow(self, queue: Queue) -> None:
        """Show where each job stands until cancelled."""
        with self._bars:
            while True:
                for job_id, task in self._tasks.items():
                    progress = queue.progress(job_id)
                    if progress is not None:
                        share = STAGE_SHARE[progress.stage] + progress.fraction / len(STAGES)
                        stage = say(self._language, f"stage.{progress.stage}")
                        self._bars.update(task, description=stage, completed=share)
                await asyncio.sleep(REFRESH_S)

    def done(self, job_id: int, *, failed: bool) -> None:
        """Mark a job's bar as finished."""
        phrase = say(self._language, "stage.failed" if failed else "stage.done")
        self._bars.update(self._tasks[job_id], description=phrase, completed=1.0)
