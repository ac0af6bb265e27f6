"""The terminal as a platform: an answer is handed over by putting its files in the folder that was asked for."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path
from typing import Literal

from bot.console.sources import Place
from engine import vault
from engine.errors import UserError
from engine.jobs import (
    Answer,
    Asker,
    ComposeResult,
    MusicFiles,
    Result,
    StoryFiles,
    StoryResult,
    result_to_json,
)
from engine.whole import whole


def asker_for(place: Place) -> Asker:
    """Return the address of an answer: the folder is the chat, the stem is what is replied to."""
    return Asker("console", str(os.getuid()), str(place.folder), place.stem)


class Console:
    """Keeps what was handed over, by job, until the command line asks for it."""

    platform: Literal["console"] = "console"

    def __init__(self) -> None:
        self._answers: dict[int, asyncio.Future[Answer]] = {}

    def answer(self, job_id: int) -> asyncio.Future[Answer]:
        """Return the future answer to a job."""
        if job_id not in self._answers:
            self._answers[job_id] = asyncio.get_running_loop().create_future()
        return self._answers[job_id]

    async def send(self, answer: Answer) -> str | None:
        """Copy the files to their place, write the result beside them, and remember the answer.

        Raises `UserError` when they cannot be written; the answer then carries that error.
        """
        folder: Path | None = None
        refused: UserError | None = None
        if isinstance(answer.result, StoryResult | ComposeResult) and answer.folder is not None:
            folder = Place(Path(answer.asker.chat), answer.asker.reply_to).resolve(answer.result.seed)
            try:
                result = await asyncio.to_thread(put_files, answer.result, Path(answer.folder), folder)
                answer = dataclasses.replace(answer, result=result)
            except OSError as error:
                refused = UserError(f"The files could not be written to {folder}: {error}.", code="unwritable_out")
                answer = dataclasses.replace(
                    answer, result=None, error_code=refused.code, error_message=refused.message, fault=refused.fault
                )
        self.answer(answer.job_id).set_result(answer)
        if refused is not None:
            raise refused
        return None if folder is None else str(folder)


def put_files(result: StoryResult | ComposeResult, source: Path, target: Path) -> Result:
    """Copy a result's files from `source` to `target` and return the result with absolute paths.

    Every file appears whole or not at all; doing it twice changes nothing.
    """
    target.mkdir(parents=True, exist_ok=True)
    names = {field: name for field, name in vars(result.files).items() if name is not None}
    paths = {field: str(target / name) for field, name in names.items()} | {"json": str(target / "result.json")}
    for name in names.values():
        with whole(target / name) as unfinished:
            unfinished.write_bytes(vault.current().read(source / name))
    placed = _with_paths(result, paths)
    with whole(target / "result.json") as unfinished:
        unfinished.write_text(result_to_json(placed) + "\n", encoding="utf-8")
    return placed


def _with_paths(result: StoryResult | ComposeResult, paths: dict[str, str]) -> StoryResult | ComposeResult:
    if isinstance(result, StoryResult):
        return dataclasses.replace(result, files=StoryFiles(**paths))
    return dataclasses.replace(result, files=MusicFiles(**paths))
