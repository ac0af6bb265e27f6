"""From the outbox to a platform: what is handed over, tried again, or given up."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bot.deliver import MAX_ATTEMPTS, RETRY_S, deliver
from engine.errors import Transient, TuneTaleError, UserError
from engine.jobs import Answer, Asker, Platform


@dataclass
class Outbox:
    """A queue of which only the answers are used; remembers what became of each."""

    waiting: list[Answer]
    fates: list[tuple[object, ...]] = field(default_factory=list)

    async def next_answer(self, platform: Platform) -> Answer | None:
        assert platform == "console"
        return self.waiting.pop(0) if self.waiting else None

    async def answered(self, answer_id: int, message_id: str | None) -> None:
        self.fates.append((answer_id, "sent", message_id))

    async def answer_failed(self, answer_id: int, error: str, retry_in_s: float | None) -> None:
        self.fates.append((answer_id, error, retry_in_s))


@dataclass
class Wall:
    """A platform that takes an answer, or raises what the test says."""

    errors: dict[int, TuneTaleError]
    platform: Platform = "console"

    async def send(self, answer: Answer) -> str | None:
        if answer.id in self.errors:
            raise self.errors[answer.id]
        return f"message {answer.id}"


def answer(number: int, attempt: int = 1) -> Answer:
    return Answer(number, number, Asker("console", "1", "/x"), "nonce", attempt)


async def test_every_answer_meets_its_own_fate() -> None:
    outbox = Outbox([answer(1), answer(2), answer(3, attempt=3), answer(4)])
    wall = Wall({2: UserError("The folder is gone."), 3: Transient("The site is down.")})
    assert await deliver(outbox, wall) == 2  # type: ignore[arg-type]
    assert outbox.fates == [
        (1, "sent", "message 1"),
        (2, "The folder is gone.", None),
        (3, "The site is down.", RETRY_S * 4),
        (4, "sent", "message 4"),
    ]


async def test_an_answer_is_not_tried_for_ever() -> None:
    outbox = Outbox([answer(1, attempt=MAX_ATTEMPTS)])
    assert await deliver(outbox, Wall({1: Transient("The site is down.")})) == 0  # type: ignore[arg-type]
    assert outbox.fates == [(1, "The site is down.", None)]


async def test_a_bug_of_the_platform_is_not_hidden() -> None:
    class Broken(Wall):
        async def send(self, answer: Answer) -> str | None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await deliver(Outbox([answer(1)]), Broken({}))  # type: ignore[arg-type]
