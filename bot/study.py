"""Hands a table of answers to the program that works out statistics, and takes its report. Loads nothing heavy itself.

numpy, scipy, statsmodels and matplotlib live in a child process that ends with its report, so the main process neither
loads nor waits for them.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bot.contract import Picture
from db.answers import HEADER, AnswerRecord
from engine.errors import Crashed, UserError
from engine.jobs import Language
from engine.process import environment

MOST_S = 120.0
"""100,000 votes take about ten seconds on a busy machine."""
_turn = asyncio.Semaphore(1)
"""One study at a time: it keeps a core busy."""


def tidy_csv(records: Iterable[AnswerRecord]) -> str:
    """Return answers as CSV, one row each, with a header; what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for record in records:
        writer.writerow(getattr(record, name) for name in HEADER)
    return text.getvalue()


async def study(table: str, plots: Path | None, language: Language) -> dict[str, Any]:
    """Return the report of `engine.evaluation.study` on a table; pictures go to `plots`.

    Raises `UserError` when the pictures cannot be written, `Crashed` when the program does not end well.
    """
    drawn = [] if plots is None else ["--plots", str(plots)]
    return await _done("engine.evaluation.study", table, "--language", language, *drawn)


async def progress_picture(facts: Mapping[str, Any], path: Path, language: Language) -> Picture:
    """Draw how far a listening test is, into a PNG at `path`; `facts` are the fields of
    `engine.evaluation.progress.Campaign`. Raises as `study` does."""
    drawn = await _done("engine.evaluation.progress", json.dumps(facts), str(path), "--language", language)
    return Picture(path, path.name, drawn["alt"])


async def _done(module: str, content: str, *arguments: str) -> dict[str, Any]:
    """Run a program of ours on a file with this content, and return the JSON that it prints. Raises as `study` does."""
    with tempfile.TemporaryDirectory(prefix="tunetale-stats-") as folder:
        path = Path(folder) / "input"
        await asyncio.to_thread(path.write_text, content, encoding="utf-8")
        async with _turn:
            code, out, error = await _run([sys.executable, "-m", module, str(path), *arguments])
    if code == 2:
        raise UserError(error.strip() or "The statistics could not be worked out.", code="unwritable_out")
    if code != 0:
        raise Crashed(f"The statistics could not be worked out: {error.strip()[-500:]}")
    found: dict[str, Any] = json.loads(out)
    return found


async def _run(command: list[str]) -> tuple[int | None, str, str]:
    """Run a program to its end and return (exit code, output, errors); it is killed when time is up or nobody waits."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(os.environ, 1),
    )
    try:
        out, error = await asyncio.wait_for(process.communicate(), MOST_S)
    except TimeoutError:
        return None, "", f"no report after {MOST_S:.0f} s"
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode, out.decode(), error.decode(errors="replace")
