"""`tunetale run` with scripted workers and platforms: started again, stopped in order, nothing lost."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot import deliver
from bot import running as module
from bot.config import Config
from bot.contract import Posted
from bot.deliver import attend
from bot.desk import Desk
from bot.running import FIRST_PAUSE_S, LONGEST_PAUSE_S, Stop, pause, run, tokens
from db.store import Store
from engine.errors import Transient, UserError
from engine.jobs import Asker
from engine.queue import Queue
from engine.settings import EngineSettings, WorkerSettings
from tests.fakes.chat import FakeMessenger
from tests.fakes.director import PATIENCE_S, Director, directing
from tests.fakes.house import scripted_engine

TOKEN = SecretStr("123456:secret")
CONFIG = replace(Config(), engine=EngineSettings(worker=WorkerSettings(grace_s=PATIENCE_S, start_timeout_s=PATIENCE_S)))


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's own start, but for its workers, which are scripted, and for pauses, which are short."""

    monkeypatch.setattr(module, "running", scripted_engine())
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.0)


class Platform:
    """A platform that is up until it is told to close; `troubles` are raised first, one at each start."""

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.messenger = FakeMessenger()
        self.up, self.closed = asyncio.Event(), asyncio.Event()
        self.starts = 0
        self.desk: Desk | None = None

    async def __call__(self, token: SecretStr, desk: Desk, stop: asyncio.Event) -> None:
        assert token is TOKEN
        self.starts += 1
        if self.troubles:
            raise self.troubles.pop(0)
        self.desk = desk
        attending = asyncio.create_task(attend(desk, self.messenger))
        self.up.set()
        await stop.wait()
        attending.cancel()
        await asyncio.gather(attending, return_exceptions=True)
        self.closed.set()


async def serving(path: Path, stop: Stop, **platforms: Platform) -> None:
    names = {name: TOKEN for name in platforms}
    async with asyncio.timeout(PATIENCE_S):
        await run(CONFIG, path / "store.sqlite", names, stop=stop, serves=platforms)  # type: ignore[arg-type]


async def up(*platforms: Platform) -> None:
    async with asyncio.timeout(PATIENCE_S):
        for platform in platforms:
            await platform.up.wait()


async def submit(platform: Platform, director: Director, name: str) -> int:
    assert platform.desk is not None
    return (await platform.desk.queue.submit(director.request(name), Asker("telegram", "1", "1"))).id


async def test_both_platforms_until_a_signal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    discord, telegram, stop = Platform(), Platform(), Stop()
    task = asyncio.create_task(serving(tmp_path, stop, discord=discord, telegram=telegram))
    await up(discord, telegram)
    os.kill(os.getpid(), signal.SIGTERM)
    await task
    assert discord.closed.is_set() and telegram.closed.is_set() and stop.asked.is_set()
    for line in ("discord: on", "telegram: on", "composer: scripted", "links: on", "health: off", "mode: open"):
        assert line in caplog.text
    assert "secret" not in caplog.text


async def test_a_platform_that_is_down_comes_back_and_the_other_never_notices(tmp_path: Path) -> None:
    discord = Platform(Transient("Discord is down."), ZeroDivisionError(), Transient("Discord is down."))
    telegram, stop = Platform(), Stop()
    task = asyncio.create_task(serving(tmp_path, stop, discord=discord, telegram=telegram))
    await up(discord, telegram)
    stop.signal()
    await task
    assert (discord.starts, telegram.starts) == (4, 1)


async def test_a_bug_in_the_housekeeping_does_not_end_the_bots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed = asyncio.Event()

    async def broken(desk: Desk) -> None:
        failed.set()
        raise ZeroDivisionError

    monkeypatch.setattr(module, "tidy_forever", broken)
    telegram, stop = Platform(), Stop()
    task = asyncio.create_task(serving(tmp_path, stop, telegram=telegram))
    await up(telegram)
    await failed.wait()
    await asyncio.sleep(0)
    assert not task.done()
    stop.signal()
    await task
    assert "ZeroDivisionError" in caplog.text


async def test_a_refused_token_ends_everything_with_its_sentence(tmp_path: Path) -> None:
    discord, telegram = Platform(UserError("Discord refused the token.", code="bad_token")), Platform()
    with pytest.raises(UserError, match="Discord refused the token"):
        await serving(tmp_path, Stop(), discord=discord, telegram=telegram)


async def test_p9_a_stop_lets_running_jobs_finish_and_hands_over_their_answers(tmp_path: Path) -> None:
    telegram, stop = Platform(), Stop()
    async with directing() as director:
        task = asyncio.create_task(serving(tmp_path, stop, telegram=telegram))
        await up(telegram)
        await submit(telegram, director, "a")
        call = await director.call("a")
        stop.signal()
        await asyncio.sleep(0)
        assert not telegram.closed.is_set()
        call.order("return")
        await task
    assert len(telegram.messenger.letters) == 1


async def test_p9_a_second_signal_ends_at_once_and_the_job_comes_again_uncharged(tmp_path: Path) -> None:
    telegram, stop = Platform(), Stop()
    async with directing() as director:
        task = asyncio.create_task(serving(tmp_path, stop, telegram=telegram))
        await up(telegram)
        job_id = await submit(telegram, director, "a")
        await director.call("a")
        stop.signal()
        stop.signal()
        await task
    async with await Store.open(tmp_path / "store.sqlite") as store:
        job = await Queue(store, tmp_path / "files").job(job_id)
    assert job is not None and (job.state, job.attempt) == ("queued", 0)


async def test_p9_a_signal_while_the_models_load_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with directing() as director:
        monkeypatch.setattr(module, "running", scripted_engine(["stuck", director.address]))
        task = asyncio.create_task(serving(tmp_path, Stop(), telegram=Platform()))
        loading = await director.call("stuck")
        os.kill(os.getpid(), signal.SIGTERM)
        await task
        await loading.over()
    assert "ended before the models were loaded" in caplog.text
    assert {file.name for file in tmp_path.iterdir()} == {"store.sqlite", "store.sqlite.lock"}


async def test_p9_a_second_signal_also_ends_what_waits_after_a_refused_token(tmp_path: Path) -> None:
    class Refused(Platform):
        async def __call__(self, token: SecretStr, desk: Desk, stop: asyncio.Event) -> None:
            self.desk = desk
            self.up.set()
            await self.closed.wait()
            raise UserError("Discord refused the token.", code="bad_token")

    discord, stop = Refused(), Stop()
    async with directing() as director:
        task = asyncio.create_task(serving(tmp_path, stop, discord=discord))
        await up(discord)
        await submit(discord, director, "a")
        call = await director.call("a")
        discord.closed.set()  # while a job runs that would never end
        stop.signal()
        stop.signal()
        with pytest.raises(UserError, match="refused the token"):
            await task
        await call.over()


async def test_answers_that_nobody_takes_do_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_S", 0.05)
    monkeypatch.setattr(deliver, "RETRY_S", 0.05)
    telegram, stop = Platform(), Stop()
    telegram.messenger.troubles = [Transient("503") for _ in range(99)]
    async with directing() as director:
        task = asyncio.create_task(serving(tmp_path, stop, telegram=telegram))
        await up(telegram)
        await submit(telegram, director, "a")
        (await director.call("a")).order("return")
        stop.signal()
        await task
    telegram = Platform()  # it is kept, and handed over after the next start
    stop = Stop()
    posted = asyncio.Event()
    post = telegram.messenger.post

    async def noticed(letter: object, note: object) -> Posted:
        posted.set()
        return await post(letter, note)  # type: ignore[arg-type]

    telegram.messenger.post = noticed  # type: ignore[method-assign]
    task = asyncio.create_task(serving(tmp_path, stop, telegram=telegram))
    async with asyncio.timeout(PATIENCE_S):
        await posted.wait()
    stop.signal()
    await task


def test_pauses_grow_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", FIRST_PAUSE_S)
    assert [pause(failures) for failures in (1, 2, 3, 99)] == [2.0, 4.0, 8.0, LONGEST_PAUSE_S]


def test_tokens_come_from_environment_file_or_value(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from file\n")
    file.chmod(0o600)
    discord = replace(Config().discord, token=SecretStr("from value"), token_file=str(file))
    config = replace(Config(), discord=discord)
    read: Callable[[dict[str, str]], str] = lambda env: tokens(config, env)["discord"].get_secret_value()  # noqa: E731
    assert read({"DISCORD_TOKEN": "from environment"}) == "from environment"
    assert read({"DISCORD_TOKEN": " "}) == "from file"
    config = replace(config, discord=replace(discord, token_file=""))
    assert read({}) == "from value"
    assert set(tokens(config, {"TELEGRAM_TOKEN": "x"})) == {"discord", "telegram"}
    file.chmod(0o640)
    with pytest.raises(UserError, match="others on this machine may read it"):
        discord.secret({})
    with pytest.raises(UserError, match="cannot be read"):
        replace(discord, token_file=str(tmp_path / "none")).secret({})


def test_without_any_token_there_is_nothing_to_run() -> None:
    with pytest.raises(UserError, match="No chat platform is configured") as caught:
        tokens(Config(), {})
    assert caught.value.code == "no_platform"
