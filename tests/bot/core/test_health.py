"""Health and metrics as a monitor reads them."""

from __future__ import annotations

import socket

import aiohttp
import pytest

from bot import commands
from bot.contract import Upload
from bot.health import LOOPBACK, health, serving
from engine.errors import Transient, UserError
from tests.fakes.chat import ANNA, BEN, GROUP, Room, file_of


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


async def work(at: Room) -> None:
    await commands.story(at.desk, ANNA, GROUP, Upload("x.mp3", 4, file_of(b"song")))
    await at.finish()
    await at.deliver()
    await commands.rate(at.desk, BEN, GROUP, 1, 4, via="button")
    await commands.compose(at.desk, ANNA, GROUP, "A calm day.")
    await at.fail(UserError("No.", code="no_beats"))
    await at.deliver()
    await commands.compose(at.desk, ANNA, GROUP, "A calm day.")
    at.desk.messengers["telegram"] = at.messenger


async def test_metrics_and_health_over_http(here: Room) -> None:
    await work(here)
    port = free_port()
    async with serving(here.desk, port) as served, aiohttp.ClientSession() as session:
        assert served == port
        async with session.get(f"http://{LOOPBACK}:{port}/metrics") as response:
            lines = (await response.text()).splitlines()
            assert response.status == 200 and response.content_type == "text/plain"
        async with session.get(f"http://{LOOPBACK}:{port}/health") as response:
            facts = await response.json()
            assert response.status == 200 and facts["ok"] and facts["queued"] == 1
    for line in (
        'tunetale_jobs{state="queued"} 1.0',
        'tunetale_jobs{state="running"} 0.0',
        'tunetale_results_total{kind="story"} 1.0',
        'tunetale_errors_total{code="no_beats"} 1.0',
        'tunetale_stage_seconds_sum{kind="story",stage="listen"} 1.5',
        'tunetale_platform_lag_seconds{platform="telegram"} 0.25',
        "tunetale_votes 1.0",
    ):
        assert line in lines, line


async def test_a_platform_out_of_reach_and_a_store_that_fails_are_not_well(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.desk.messengers["telegram"] = here.messenger
    assert (await health(here.desk))[0]
    monkeypatch.setattr(here.messenger, "lag_s", lambda: None)
    assert not (await health(here.desk))[0]

    async def broken() -> tuple[int, int]:
        raise Transient("The disk is full.", code="store")

    monkeypatch.setattr(here.desk.overview, "depth", broken)
    ok, facts = await health(here.desk)
    assert not ok and facts["store"] == "The disk is full."


async def test_off_by_default_and_a_taken_port_is_said(here: Room) -> None:
    async with serving(here.desk, here.desk.config.health.port) as port:
        assert port is None
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        with pytest.raises(UserError, match="is taken"):
            async with serving(here.desk, int(taken.getsockname()[1])):
                raise AssertionError
