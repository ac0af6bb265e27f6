"""Neural storytellers through the whole engine: queue, worker process, tiny model or fake server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bot.config import Config
from bot.console.ask import OWN_MACHINE
from bot.console.doctor import findings, write_sample
from bot.console.platform import Console, asker_for
from bot.console.sources import Place
from bot.deliver import deliver_forever
from bot.wishes import story_request
from engine.jobs import Answer, FileSource, StoryResult
from engine.music.audiocraft.environment import environment_folder, is_ready
from engine.service import running
from engine.settings import (
    EngineSettings,
    ServerSettings,
    StageSettings,
    WritingSettings,
)
from tests.fakes.openai_server import FakeServer, good, serving, status
from tests.fakes.tiny_llama import PARAGRAPHS, PIECES

ANSWER_TIMEOUT_S = 120.0
KEY = "sk-sentinel-9876543210"


async def tell(settings: EngineSettings, folder: Path) -> Answer:
    """Ask for a story of a short piece, as the command line does."""
    write_sample(folder / "sample.wav")
    request = story_request(FileSource(str(folder / "sample.wav"), "sample.wav"), words=80)
    console = Console()
    async with running(settings, policy=replace(OWN_MACHINE, transient_delay_s=0.0)) as service:
        delivery = asyncio.create_task(deliver_forever(service.queue, console))
        try:
            job = await service.queue.submit(request, asker_for(Place(folder / "out", None)))
            return await asyncio.wait_for(console.answer(job.id), ANSWER_TIMEOUT_S)
        finally:
            delivery.cancel()


def by(server: FakeServer) -> EngineSettings:
    return EngineSettings(
        stages=StageSettings(storyteller="openai"),
        server=ServerSettings(url=server.url, model="tiny", retries=0, api_key_variable="TUNETALE_TEST_KEY"),
        writing=WritingSettings(candidates=1, rewrites=0),
    )


async def test_a_job_outlives_a_server_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNETALE_TEST_KEY", KEY)
    with serving(status(500), good("".join(PIECES))) as server:
        answer = await tell(by(server), tmp_path)
    assert isinstance(answer.result, StoryResult), answer.error_message
    assert answer.result.story.paragraphs == PARAGRAPHS
    assert answer.result.models["storyteller"] == "openai/tiny"
    assert [headers["authorization"] for headers, _ in server.requests] == [f"Bearer {KEY}"] * 2
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()
    assert KEY not in "".join(capfd.readouterr())


def test_the_doctor_runs_every_neural_backend_tiny() -> None:
    story, music, *audiocraft = [
        each for each in findings(Config(), run_jobs=False, deep=True) if "by a tiny" in each.text
    ]
    assert story.good and music.good, (story.text, music.text)
    if is_ready(environment_folder(EngineSettings())):
        (third,) = audiocraft
        assert third.good and "MusicGen by audiocraft" in third.text, third.text
    else:
        assert audiocraft == []
    assert "transformers/llama" in story.text
    assert "T5 (t5)" in music.text and "MusicGen (musicgen)" in music.text
