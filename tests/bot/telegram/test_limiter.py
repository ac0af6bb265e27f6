from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest
from telegram.error import RetryAfter

from bot.telegram.limiter import NEVER_WAIT, Busy, FloodGate, Pace, Urgency
from tests.fakes.clock import FakeClock

PRIVATE, OTHER, GROUP = 5, 6, -100


class Service:
    """Keeps when each call arrived, and refuses as it is told."""

    def __init__(self, clock: FakeClock, *, paced: bool = True) -> None:
        self.clock = clock
        self.gate = FloodGate(clock.now, sleep=clock.sleep, paced=paced)
        self.arrived: defaultdict[int | None, list[float]] = defaultdict(list)
        self.refusals: list[float] = []

    async def call(self, chat: int | None, endpoint: str = "sendMessage", urgency: Urgency | None = None) -> Any:
        async def answer() -> bool:
            if self.refusals:
                raise RetryAfter(timedelta(seconds=self.refusals.pop(0)))
            self.arrived[chat].append(self.clock.now())
            return True

        data = {} if chat is None else {"chat_id": chat}
        return await self.gate.process_request(answer, (), {}, endpoint, data, urgency)

    async def run(self, *calls: asyncio.Task[Any]) -> None:
        """Let time pass until all calls are over."""
        while not all(call.done() for call in calls):
            for _ in range(5):
                await asyncio.sleep(0)
            self.clock.advance(0.05)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0.0)


def most_in(times: list[float], seconds: float) -> int:
    return max(sum(start <= time < start + seconds for time in times) for start in times)


def test_a_pace_never_lets_more_through_than_it_says() -> None:
    pace = Pace(4, 0.25)
    times, now = [], 0.0
    for _ in range(100):
        now += pace.wait_s(now)
        pace.take(now)
        times.append(now)
    assert times[:4] == [0.0] * 4
    assert most_in(times, 60.0) <= 4 + 15
    assert pace.wait_s(now, 2) > pace.wait_s(now)


async def test_the_published_limits_are_kept_by_all_kinds_of_chats(clock: FakeClock) -> None:
    service = Service(clock)
    calls = [asyncio.create_task(service.call(chat)) for chat in [GROUP] * 10 + list(range(1, 150)) + [PRIVATE] * 10]
    await service.run(*calls)
    assert sum(call.exception() is None for call in calls) == len(calls)
    times = sorted(time for arrived in service.arrived.values() for time in arrived)
    assert most_in(times, 1.0) <= 30
    assert most_in(service.arrived[GROUP], 60.0) <= 20
    assert most_in(service.arrived[PRIVATE], 5.0) <= 7


async def test_a_call_that_would_wait_too_long_is_not_made(clock: FakeClock) -> None:
    service = Service(clock)
    calls = [asyncio.create_task(service.call(GROUP)) for _ in range(40)]
    await service.run(*calls)
    refused = [call for call in calls if isinstance(call.exception(), Busy)]
    assert refused
    assert len(refused) + len(service.arrived[GROUP]) == 40


async def test_progress_never_waits_and_leaves_room(clock: FakeClock) -> None:
    service = Service(clock)
    sent = 0
    with pytest.raises(Busy):
        for _ in range(10):
            await service.call(GROUP, "editMessageText", NEVER_WAIT)
            sent += 1
    assert 1 <= sent <= 2
    await service.call(GROUP)
    assert clock.now() == 0.0


async def test_nothing_is_sent_to_a_chat_before_its_pause_is_over(clock: FakeClock) -> None:
    service = Service(clock)
    service.refusals = [20.0]
    first = asyncio.create_task(service.call(PRIVATE))
    await asyncio.sleep(0)
    second = asyncio.create_task(service.call(PRIVATE, "answerCallbackQuery"))
    await service.call(OTHER)
    await service.run(first, second)
    assert service.arrived[OTHER] == [0.0]
    assert min(service.arrived[PRIVATE]) > 20.0
    assert len(service.arrived[PRIVATE]) == 2


async def test_a_long_pause_is_told_instead_of_waited_for(clock: FakeClock) -> None:
    service = Service(clock)
    service.refusals = [200.0]
    with pytest.raises(RetryAfter):
        await service.call(PRIVATE)
    with pytest.raises(RetryAfter) as refused:
        await service.call(PRIVATE)
    assert not isinstance(refused.value, Busy)
    assert refused.value.retry_after == timedelta(seconds=201)
    clock.advance(201)
    assert await service.call(PRIVATE)


async def test_pauses_of_two_chats_silence_the_bot(clock: FakeClock) -> None:
    service = Service(clock)
    service.refusals = [100.0, 50.0]
    for chat in (PRIVATE, OTHER):
        with pytest.raises(RetryAfter):
            await service.call(chat)
    with pytest.raises(RetryAfter):
        await service.call(7)
    with pytest.raises(RetryAfter):
        await service.call(None, "getMe")
    assert await service.call(None, "getUpdates")
    assert service.arrived[7] == []


async def test_a_call_is_not_repeated_for_ever(clock: FakeClock) -> None:
    service = Service(clock, paced=False)
    service.refusals = [1.0] * 5
    call = asyncio.create_task(service.call(PRIVATE))
    await service.run(call)
    assert isinstance(call.exception(), RetryAfter)
    assert service.refusals == []


async def test_at_the_end_nobody_waits(clock: FakeClock) -> None:
    service = Service(clock)
    service.refusals = [20.0]
    calls = [asyncio.create_task(service.call(PRIVATE)) for _ in range(4)]
    await asyncio.sleep(0)
    await service.gate.shutdown()
    assert all(isinstance(end, RetryAfter) for end in await asyncio.gather(*calls, return_exceptions=True))


async def test_silent_chats_are_forgotten(clock: FakeClock) -> None:
    service = Service(clock)
    for chat in range(1, 2_200):
        await service.call(chat)
        clock.advance(10.0)
    assert len(service.gate._lines) <= 2_001
