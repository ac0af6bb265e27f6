"""The test's side of `tests.fakes.worker`: waits for jobs to call, and tells them what to do."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from engine.jobs import ComposeRequest

WORKER = Path(__file__).with_name("worker.py")

PATIENCE_S = 20.0
"""No test waits so long unless it fails."""


def command(*mode: str) -> tuple[str, ...]:
    """Return the command line of a scripted worker."""
    return (sys.executable, str(WORKER), *mode)


@dataclass(frozen=True)
class Call:
    """A job that has called and waits for orders."""

    name: str
    pid: int
    folder: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def order(self, text: str) -> None:
        """Tell the job what to do."""
        self.writer.write(f"{text}\n".encode())

    async def obeyed(self, text: str) -> None:
        """Tell the job what to do and wait until it has done so."""
        self.order(text)
        assert await asyncio.wait_for(self.reader.readline(), PATIENCE_S) == b"ok\n"

    async def over(self) -> None:
        """Wait until the job has ended or its process is gone."""
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(self.reader.read(), PATIENCE_S) == b""


class Director:
    """Where jobs call."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._calls: defaultdict[str, asyncio.Queue[Call]] = defaultdict(asyncio.Queue)
        self._writers: list[asyncio.StreamWriter] = []

    def request(self, name: str) -> ComposeRequest:
        """Return a request whose job will call under this name."""
        return ComposeRequest(f"{self.address}|{name}")

    async def call(self, name: str) -> Call:
        """Wait for the next call under this name."""
        return await asyncio.wait_for(self._calls[name].get(), PATIENCE_S)

    def called(self, name: str) -> bool:
        """Return whether a call under this name waits to be taken."""
        return not self._calls[name].empty()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        who = json.loads(await reader.readline())
        self._calls[who["name"]].put_nowait(Call(**who, reader=reader, writer=writer))

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def directing() -> AsyncIterator[Director]:
    """Give a director with an open line."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own can be too long for a socket's address
        director = Director(f"{folder}/line")
        server = await asyncio.start_unix_server(director._answer, director.address)
        try:
            yield director
        finally:
            director.close()
            server.close()
            await server.wait_closed()
