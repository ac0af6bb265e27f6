"""The world outside of the program that is killed: a file that remembers what was sent and what people see.

A write is whole and stays whatever happens to the process (one `os.write` to a file opened for appending), as a message
that a platform has accepted stays.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.contract import Letter, Note, Posted, Reply
from engine.jobs import Platform


class World:
    """What happened outside, in order."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, **event: Any) -> int:
        """Add an event; return its number, counted from 1."""
        os.write(self._file, json.dumps(event).encode() + b"\n")
        return len(self.events)

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events."""
        data = os.pread(self._file, 10_000_000, 0)
        return [json.loads(line) for line in data.splitlines()]

    def those(self, at: str) -> list[dict[str, Any]]:
        """Return the events of one sort."""
        return [event for event in self.events if event["at"] == at]

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


@dataclass
class Messenger:
    """A platform that shows the same nonce once, as Discord does. A letter has two messages; the second one can be
    turned from the progress message, as on Telegram, which may be done again and again."""

    world: World
    platform: Platform = "telegram"

    async def post(self, letter: Letter, note: Note) -> Posted:
        sent: Mapping[int, str] = letter.sent
        for index in range(2):
            if index not in sent:
                number = self.world.note(at="accepted", nonce=f"{letter.nonce}-{index}", pair=letter.reply.pair)
                await note(index, str(number))
        if letter.progress is not None:
            self.world.note(at="edited", message=letter.progress.message)
            return letter.progress
        return Posted(letter.chat, sent.get(0, "0"))

    async def edit(self, posted: Posted, reply: Reply) -> None:
        self.world.note(at="progress", message=posted.message)

    async def private_chat(self, person: str) -> str:
        return person

    def most_bytes(self, chat: str) -> int:
        return 50_000_000

    def lag_s(self) -> float | None:
        return 0.0
