"""Plain stories for the blind test: made ahead, one at a time, only while nobody waits for anything.

A plain story is told to the same music with flat emotion. TuneTale asks for it in its own name ("house"), so it takes
nobody's turn or quota; the story's answer comes back here and is joined to the pair whose music it tells. When that
pair goes, the plain story goes with it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from bot.deliver import deliver
from bot.desk import Desk
from db import deals
from engine.errors import Transient, UserError
from engine.jobs import (
    Answer,
    Asker,
    ComposeRequest,
    ComposeResult,
    FileSource,
    Platform,
    StoryRequest,
    request_from_json,
    result_from_json,
)

log = logging.getLogger(__name__)

PAUSE_S = 60.0
"""Between two looks whether there is time for a plain story."""
LOOKED_AT = 20
"""Pairs that are looked at: of some the audio is gone."""
HOUSE = "tunetale"


class PlainStories:
    """The house as a platform: its answers are kept, not posted."""

    platform: Platform = "house"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def send(self, answer: Answer) -> str | None:
        """Join a finished (or failed) job to its pair; raises `UserError` when that is gone, and the job with it."""
        base_id = int(answer.asker.reply_to or 0)
        joined = await self._desk.ledger.write(lambda conn: deals.join_plain(conn, base_id, answer.job_id))
        if not joined:
            raise UserError("The pair of a plain story is gone.", code="gone")
        return str(base_id)

    async def make_one(self) -> int | None:
        """Ask for a plain story when nothing else waits or runs; return the job."""
        if self._desk.mode != "open" or await self._desk.overview.depth() != (0, 0):
            return None
        for base_id in await self._desk.ledger.read(lambda conn: deals.wants_plain(conn, LOOKED_AT)):
            request = await self._request(base_id)
            if request is not None:
                asker = Asker("house", HOUSE, HOUSE, str(base_id))
                return (await self._desk.queue.submit(request, asker, dedupe=f"plain:{base_id}")).id
        return None

    async def _request(self, base_id: int) -> StoryRequest | None:
        found = await self._desk.ledger.read(lambda conn: deals.material(conn, base_id))
        if found is None:
            return None
        try:
            asked, result = request_from_json(found.args), result_from_json(found.result)
        except ValidationError:
            return None
        if isinstance(asked, StoryRequest) and isinstance(asked.source, FileSource):
            plain = replace(asked, plain=True, title=None)
        elif isinstance(asked, ComposeRequest) and isinstance(result, ComposeResult) and result.files.audio is not None:
            path = self._desk.queue.folder / found.folder / result.files.audio
            plain = StoryRequest(FileSource(str(path), "music"), plain=True)
        else:
            return None
        assert isinstance(plain.source, FileSource)
        return plain if await asyncio.to_thread(Path(plain.source.path).is_file) else None


async def tend_forever(desk: Desk) -> None:
    """Make plain stories as time allows, until cancelled."""
    house = PlainStories(desk)
    while True:
        try:
            await deliver(desk.queue, house)
            await house.make_one()
        except Transient as error:
            log.warning("plain stories have to wait: %s", error.message)
        await asyncio.sleep(PAUSE_S)
