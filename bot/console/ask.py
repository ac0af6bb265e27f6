"""Asks the engine from the terminal: submits, shows progress, waits for the answers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console as Screen

from bot.console.platform import Console, asker_for
from bot.console.progress import Bars
from bot.console.sources import Place
from bot.deliver import deliver_forever
from bot.replies import say
from engine.errors import UserError
from engine.jobs import Answer, Job, Language, Request, Result
from engine.policy import Policy
from engine.service import running
from engine.settings import EngineSettings

OWN_MACHINE = Policy(per_person=sys.maxsize, per_chat=sys.maxsize, total=sys.maxsize)
"""Whoever sits at the terminal may fill the queue: a folder is one wish for each file in it."""


@dataclass(frozen=True)
class Wish:
    """A request, what to call it on the screen, and where its answer goes."""

    request: Request
    label: str
    place: Place
    then: Callable[[Result], Wish] | None = None
    """What to wish for with the result in hand; a `UserError` that it raises is the answer."""


async def ask(
    wishes: Sequence[Wish], settings: EngineSettings, store: Path | None, screen: Screen, language: Language
) -> list[tuple[Answer, ...]]:
    """Return the answers to each wish, in order: its own, and those to what followed. All are worked on side by side.

    Raises `UserError` when the engine cannot start. When interrupted, the jobs are cancelled.
    """
    platform = Console()
    with ExitStack() as loading:
        if screen.is_terminal:
            loading.enter_context(screen.status(say(language, "stage.start")))
        async with running(settings, store, policy=OWN_MACHINE) as service:
            loading.close()
            jobs = [await service.queue.submit(wish.request, asker_for(wish.place)) for wish in wishes]
            bars = Bars(screen, language)

            async def follow(job: Job, wish: Wish) -> tuple[Answer, ...]:
                bars.add(job.id, wish.label)
                answer = await platform.answer(job.id)
                bars.done(job.id, failed=answer.result is None)
                if wish.then is None or answer.result is None:
                    return (answer,)
                try:
                    following = wish.then(answer.result)
                except UserError as error:
                    return answer, _refused(answer, error)
                job = await service.queue.submit(following.request, asker_for(following.place))
                jobs.append(job)
                return answer, *await follow(job, following)

            # A group: if delivery itself fails, nobody waits for an answer that will never come.
            async with asyncio.TaskGroup() as group:
                background = [
                    group.create_task(deliver_forever(service.queue, platform)),
                    group.create_task(bars.follow(service.queue)),
                ]
                try:
                    answers = await asyncio.gather(*map(follow, tuple(jobs), wishes))
                except asyncio.CancelledError:
                    for job in jobs:
                        await service.queue.cancel(job.id)
                    raise
                finally:
                    for task in background:
                        task.cancel()
            return answers


def _refused(answer: Answer, error: UserError) -> Answer:
    return replace(
        answer, result=None, folder=None, error_code=error.code, error_message=error.message, fault=error.fault
    )
