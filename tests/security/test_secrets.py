"""Sentinel secrets through the whole program at DEBUG, with forced errors: in no log, store, reply or child.

The program and its worker are real processes; Telegram is the fake server on loopback, and Discord refuses.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.fakes.telegram.errors import ApiError
from tests.fakes.telegram.people import person
from tests.fakes.telegram.server import TOKEN, FakeTelegram, fake_telegram

DISCORD = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.SENTINELsentinelSENTINELsentinel"
KEY = "sk-SENTINEL-of-a-model-server-0123456789"
HOOK = "SENTINEL-webhook-secret-0123456789"
SECRETS = (TOKEN, DISCORD, KEY, HOOK)
PATIENCE_S = 60.0


def config(folder: Path, fake: FakeTelegram) -> Path:
    """Write a configuration that holds every kind of secret in every way."""
    (folder / "key").write_text(KEY)
    (folder / "telegram.token").write_text(TOKEN)
    path = folder / "config.toml"
    path.write_text(
        f"""
[store]
path = "{folder}/store.sqlite"
[engine.stages]
storyteller = "openai"
[engine.server]
api_key_file = "{folder}/key"
[telegram]
token_file = "{folder}/telegram.token"
base_url = "{fake.base_url}"
base_file_url = "{fake.base_file_url}"
webhook_secret = "{HOOK}"
"""
    )
    for name in ("key", "telegram.token", "config.toml"):
        (folder / name).chmod(0o600)
    return path


def family(pid: int) -> Iterator[bytes]:
    """Yield command line and, of the children, environment of a program, as the kernel shows them."""
    yield Path(f"/proc/{pid}/cmdline").read_bytes()
    for child in psutil.Process(pid).children(recursive=True):
        yield Path(f"/proc/{child.pid}/cmdline").read_bytes()
        yield Path(f"/proc/{child.pid}/environ").read_bytes()


async def test_secrets_stay_where_they_are(tmp_path: Path) -> None:
    async with fake_telegram() as fake:
        with (tmp_path / "log").open("wb") as log:
            program = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.security.program", "run", "--config", str(config(tmp_path, fake)),
                stdout=log, stderr=log, cwd=Path(__file__).parents[2], env={**os.environ, "DISCORD_TOKEN": DISCORD},
            )  # fmt: skip
            try:
                mei = person(fake, "Mei")

                async def shows(words: str) -> None:
                    bot = fake.world.bot
                    await fake.until(
                        lambda: any(words in m.text for m in fake.world.in_chat(mei.private) if m.sender is bot), words
                    )

                mei.says(mei.private, "/compose A calm day by the sea.")
                await shows("slow strings")
                fake.refuse(ApiError(500, "Internal Server Error"), times=2)
                mei.says(mei.private, "/compose This one shall fail.")
                await shows("Incident")
                mei.says(mei.private, "/mydata")
                await fake.until(lambda: fake.made("sendDocument"), "my data")
                seen = list(family(program.pid))
            finally:
                program.send_signal(signal.SIGTERM)
                await asyncio.wait_for(program.wait(), PATIENCE_S)
        assert program.returncode == 0
        said = " ".join(message.text for message in fake.world.messages.values()) + repr(fake.calls)
        files = b"".join(file.data for file in fake.world.files.values())
    logged = (tmp_path / "log").read_text()
    assert [word for word in ("forced: environ", " DEBUG ", "telegram", "discord") if word not in logged] == []
    assert len(seen) >= 3, "the worker was looked at"
    kept = [path for path in tmp_path.rglob("store*") if path.is_file()]
    kept += [path for path in (tmp_path / "store-files").rglob("*") if path.is_file()]
    assert len(kept) >= 3
    for secret in SECRETS:
        assert secret not in logged, "in the log"
        assert secret not in said and secret.encode() not in files, "in a reply"
        assert not any(secret.encode() in facts for facts in seen), "in a child or a command line"
        assert not any(secret.encode() in path.read_bytes() for path in kept), "on the disk"
