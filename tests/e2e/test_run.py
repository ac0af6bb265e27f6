"""`tunetale run` as its owner types it: what is wrong with tokens, files and stores is one sentence and exit code 2."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from tests.fakes.telegram.server import TOKEN, fake_telegram

PATIENCE_S = 120.0
"""For the models on a busy machine."""


async def start(folder: Path, *arguments: str, token: str = TOKEN) -> Process:
    """Start the program in a folder, as a service would."""
    environment = {**os.environ, "TELEGRAM_TOKEN": token, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = (sys.executable, "-m", "bot", "run", *arguments)
    return await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment, stdout=PIPE, stderr=PIPE)


async def refusal(process: Process) -> str:
    """Return the one sentence with which the program ends."""
    async with asyncio.timeout(PATIENCE_S):
        out, errors = await process.communicate()
    assert process.returncode == 2, errors.decode()
    assert out == b"" and b"Traceback" not in errors
    return errors.decode().strip().splitlines()[-1]


@pytest.mark.slow
async def test_a_second_program_and_a_refused_token(tmp_path: Path) -> None:
    async with fake_telegram() as fake:
        settings = f'[telegram]\nbase_url = "{fake.base_url}"\nbase_file_url = "{fake.base_file_url}"\n'
        (tmp_path / "config.toml").write_text(settings)
        first = await start(tmp_path)
        try:
            while not (tmp_path / "tunetale.sqlite").exists():
                assert first.returncode is None
                await asyncio.sleep(0.01)
            assert "another TuneTale" in await refusal(await start(tmp_path))
            fake.token = "1:another"  # BotFather's /revoke, before or while it runs
            sentence = await refusal(first)
        finally:
            if first.returncode is None:
                first.kill()
                await first.communicate()
    assert "BotFather" in sentence and TOKEN not in sentence


async def test_a_secret_that_others_may_read(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[telegram]\ntoken = "{TOKEN}"\n')
    config.chmod(0o644)
    sentence = await refusal(await start(tmp_path, token=""))
    assert "chmod 600" in sentence and TOKEN not in sentence


async def test_an_unknown_option(tmp_path: Path) -> None:
    assert "--tokn" in await refusal(await start(tmp_path, "--tokn", "x"))
