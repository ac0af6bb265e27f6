"""The beginning and the end: token, menus, polling and webhook, a server of one's own."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from bot.config import Config, TelegramSettings
from bot.desk import Desk
from bot.telegram import serve
from bot.telegram.service import ALLOWED_UPDATES
from db.store import Store
from engine.errors import Transient, UserError
from engine.jobs import FileSource
from engine.queue import Queue
from tests.bot.telegram.conftest import Town
from tests.contract.stage import stage
from tests.fakes.clock import FakeClock
from tests.fakes.telegram.driver import TelegramDriver
from tests.fakes.telegram.people import person
from tests.fakes.telegram.server import TOKEN, fake_telegram


async def desk_for(folder: Path, clock: FakeClock, settings: TelegramSettings) -> tuple[Store, Desk]:
    store = await Store.open(folder / "store.sqlite")
    queue = Queue(store, folder, clock=clock)
    return store, Desk(queue, queue.ledger, Config(telegram=settings), clock)


async def test_what_is_asked_for_by_name(town: Town) -> None:
    assert town.fake.made("getUpdates")[0]["allowed_updates"] == list(map(str, ALLOWED_UPDATES))
    assert {"message", "callback_query", "message_reaction"} <= set(ALLOWED_UPDATES)
    assert "edited_message" not in ALLOWED_UPDATES


async def test_the_menu_is_set_in_both_languages(town: Town) -> None:
    commands = town.fake.methods.commands
    assert set(commands) == {"", "zh"} and set(commands[""]) == set(commands["zh"])
    assert {"story", "compose", "queue", "cancel", "help", "language", "privacy", "mydata", "forgetme"} <= set(
        commands[""]
    )
    assert "Turn music into" in commands[""]["story"] and "故事" in commands["zh"]["story"]


async def test_a_refused_token_is_one_sentence_without_the_token(
    clock: FakeClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "123456:BBsentinelSENTINELsentinelSENTINEL00"
    async with fake_telegram(clock.now) as fake:
        settings = TelegramSettings(base_url=fake.base_url, base_file_url=fake.base_file_url)
        store, desk = await desk_for(tmp_path, clock, settings)
        async with store:
            with pytest.raises(UserError) as refused:
                await serve(SecretStr(secret), desk, asyncio.Event())
    assert refused.value.code == "bad_token"
    assert secret not in str(refused.value) + caplog.text


async def test_a_token_that_is_revoked_ends_the_bot(
    driver: TelegramDriver, clock: FakeClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with stage(driver, tmp_path, clock) as here:
        mei = person(driver.fake, "Mei")
        mei.says(mei.private, "/help")
        await driver.fake.until(lambda: any(m.sender.is_bot for m in driver.fake.world.in_chat(mei.private)), "help")
        driver.fake.token = "1:another"
        mei.says(mei.private, "/help")
        running, here._running = here._now, None
        with pytest.raises(UserError) as refused:
            await running.serving
        await running.store.close()
    assert refused.value.code == "bad_token"
    assert TOKEN not in caplog.text


async def test_telegram_is_not_there(clock: FakeClock, tmp_path: Path) -> None:
    async with fake_telegram(clock.now) as fake:
        fake.down = True
        store, desk = await desk_for(tmp_path, clock, TelegramSettings(base_url=fake.base_url))
        async with store:
            with pytest.raises(Transient) as failed:
                await serve(SecretStr(TOKEN), desk, asyncio.Event())
    assert failed.value.code == "no_telegram"


async def test_updates_come_by_webhook_with_its_secret(clock: FakeClock, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/updates"
    async with fake_telegram(clock.now) as fake:
        settings = TelegramSettings(
            base_url=fake.base_url, webhook_url=url, webhook_port=port, webhook_secret=SecretStr("s3cret")
        )
        store, desk = await desk_for(tmp_path, clock, settings)
        async with store:
            stop = asyncio.Event()
            serving = asyncio.create_task(serve(SecretStr(TOKEN), desk, stop))
            await fake.until(lambda: fake.webhook is not None, "a webhook")
            assert fake.webhook is not None and fake.webhook.allowed_updates == list(map(str, ALLOWED_UPDATES))
            mei = person(fake, "Mei")
            mei.says(mei.private, "/help")
            await fake.until(lambda: len([*fake.world.in_chat(mei.private)]) == 2, "help")
            async with aiohttp.ClientSession() as stranger, stranger.post(url, json={"update_id": 1}) as answer:
                assert answer.status == 403
            assert not fake.made("getUpdates")
            stop.set()
            await serving


async def test_a_server_of_ones_own_gives_large_files(clock: FakeClock, tmp_path: Path) -> None:
    async with fake_telegram(clock.now, local=True) as fake:
        driver = TelegramDriver(fake, clock)
        config = Config(telegram=TelegramSettings(local=True))
        async with stage(driver, tmp_path, clock, config=config) as here:
            mei = person(fake, "Mei")
            sent = mei.sends(mei.private, "audio", b"ID3" + bytes(25 << 20), caption="/story")
            assert sent.media is not None
            await fake.until(lambda: any("number 1" in m.text for m in fake.world.in_chat(mei.private)), "an answer")
            source = getattr((await here.engine.takes()).job.request, "source", None)
            assert isinstance(source, FileSource) and Path(source.path).stat().st_size > 25 << 20


async def test_no_token_in_any_log(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mei = town.person()
    mei.sends(mei.private, "audio", b"ID3", caption="/story")
    await town.shows(mei.private, "request is number 1")
    town.fake.down = True
    mei.says(mei.private, "/help")
    await town.here.engine.finishes(await town.here.engine.takes())
    town.fake.down = False
    await town.shows(mei.private, button="Why?")
    assert TOKEN not in caplog.text and TOKEN.split(":")[1] not in caplog.text
