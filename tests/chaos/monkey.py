"""The platform that the town serves, and the one that kills it: at random moments, all of them seeded.

Updates come as long as kills are left, and again until they are confirmed. A message is accepted when it arrives; with
`nonces` the platform shows the same nonce once, as Discord does, without it shows each that it is sent.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.town import LEASE_S

OPEN = 6
"""Updates without a message that the platform allows itself."""
KILL_SHARE = 0.2
"""How likely a kill is at each thing that happens."""
STOP_SHARE = 0.04
"""Share of kills that stop a worker for longer than its lease instead."""
MAIN_SHARE = 0.1
"""Share of kills that hit the whole program."""
PAUSE_SHARE = 0.15
"""Share of those that stop the whole program for longer than a lease, and let it go on."""


@dataclass(frozen=True)
class Accepted:
    """A message that the platform took."""

    update: str
    nonce: str
    kind: str
    life: int
    """Which run of the program sent it."""


@dataclass
class Chaos:
    """What has happened."""

    kills: Counter[str] = field(default_factory=Counter)
    updates: int = 0
    confirmed: int = 0
    accepted: list[Accepted] = field(default_factory=list)
    """Every message that the platform took."""

    @property
    def doubled(self) -> int:
        """How many messages too many a platform without nonces shows."""
        return len(self.accepted) - len({each.update for each in self.accepted})

    @property
    def unexplained(self) -> int:
        """How many of these were not sent by another run of the program than the first: no kill explains them."""
        return len(self.accepted) - len({(each.nonce, each.life) for each in self.accepted})

    def messages(self, nonces: bool) -> Counter[str]:
        """Return how many messages a person sees, by update."""
        shown = {(each.update, each.nonce if nonces else str(i)) for i, each in enumerate(self.accepted)}
        return Counter(update for update, _ in shown)


class Monkey:
    """Serves one town and kills it `kills` times."""

    def __init__(
        self,
        address: str,
        store: Path,
        kills: int,
        seed: int,
        *,
        kind: str = "light",
        open_: int = OPEN,
        kill_share: float = KILL_SHARE,
        main_share: float = MAIN_SHARE,
    ) -> None:
        self.chaos = Chaos()
        self._kind, self._most_open, self._kill_share, self._main_share = kind, open_, kill_share, main_share
        self._lives = 0
        self._log = store.with_suffix(".log")
        self.town: asyncio.subprocess.Process | None = None
        self._address, self._store, self._kills = address, store, kills
        self._random = random.Random(seed)
        self._waiting: asyncio.Event = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether nothing is left but to finish in peace."""
        return sum(self.chaos.kills.values()) >= self._kills

    async def run(self) -> None:
        """Start the town again and again until it has ended by itself."""
        async with self._serving():
            while True:
                self._lives += 1
                with self._log.open("ab") as log:
                    self.town = await asyncio.create_subprocess_exec(
                        sys.executable, "-m", "tests.chaos.town", str(self._store), self._address, self._kind,
                        stderr=log,
                    )  # fmt: skip
                if await self.town.wait() == 0:
                    return
                if self.town.returncode != -signal.SIGKILL:
                    last = self._log.read_text(errors="replace")[-3_000:]
                    raise AssertionError(f"the town ended with {self.town.returncode}, which nobody asked for: {last}")

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self._serve, self._address)
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            message = json.loads(await reader.readline() or b"null")
            if message is not None:
                self._maybe_kill(message)
                writer.write(json.dumps(await self._answer(message)).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        match message["at"]:
            case "poll":
                return await self._updates(message["after"])
            case "send":
                self.chaos.accepted.append(Accepted(message["job"], message["nonce"], message["kind"], self._lives))
                self._waiting.set()
                self._maybe_kill(message)
                return {"message": len(self.chaos.accepted)}
            case _:
                return {}

    async def _updates(self, after: int) -> dict[str, Any]:
        """Return what is not confirmed; wait while enough is open, as a long poll does."""
        self.chaos.confirmed = max(self.chaos.confirmed, after)
        answered = {each.update for each in self.chaos.accepted}
        while (
            not self.over
            and self.chaos.updates - len(answered) >= self._most_open
            and self.chaos.confirmed == self.chaos.updates
        ):
            self._waiting.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._waiting.wait(), 1.0)
            answered = {each.update for each in self.chaos.accepted}
        if not self.over:
            self.chaos.updates += max(0, self._most_open - (self.chaos.updates - len(answered)))
        waiting = range(self.chaos.confirmed + 1, self.chaos.updates + 1)
        return {"updates": list(waiting), "over": self.over and not waiting}

    def _maybe_kill(self, message: dict[str, Any]) -> None:
        """Kill or stop the town, or the process that has just called."""
        if self.over or self._random.random() > self._kill_share:
            return
        caller: int | None = message.get("pid")
        hit_main = self._random.random() < self._main_share
        assert self.town is not None
        if hit_main and self.town.returncode is None:
            pause = self._random.random() < PAUSE_SHARE
            self.chaos.kills["main paused" if pause else "main"] += 1
            if pause:
                self.town.send_signal(signal.SIGSTOP)
                asyncio.get_running_loop().call_later(1.25 * LEASE_S, self._go_on, self.town)
            else:
                self.town.kill()
            return
        if hit_main or caller is None:
            return
        stop = message["at"] != "fetch" and self._random.random() < STOP_SHARE
        with suppress(ProcessLookupError):
            os.kill(caller, signal.SIGSTOP if stop else signal.SIGKILL)
            self.chaos.kills["worker stopped" if stop else "fetch" if message["at"] == "fetch" else "worker"] += 1

    def _go_on(self, town: asyncio.subprocess.Process) -> None:
        if town.returncode is None:
            town.send_signal(signal.SIGCONT)
