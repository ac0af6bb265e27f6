"""Every scenario runs on both platforms."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.scenario import Driver
from tests.fakes.clock import FakeClock
from tests.fakes.discord.driver import discord_driver
from tests.fakes.telegram.driver import telegram_driver


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["telegram", "discord"])
async def driver(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[Driver]:
    if request.param == "telegram":
        async with telegram_driver(clock) as telegram:
            yield telegram
    else:
        async with discord_driver(clock) as discord:
            yield discord
