"""`tunetale stats`: what the votes in a store say, on the terminal, as JSON, as a table, or drawn. Changes nothing."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from rich.console import Console as Screen

from bot.ballot import CONSENT_VERSION
from bot.config import Config
from bot.statistics import report_lines
from bot.study import study, tidy_csv
from db import answers
from db.answers import AnswerRecord
from engine.errors import UserError
from engine.jobs import Language
from engine.service import reading
from engine.whole import whole


def stats_command(arguments: argparse.Namespace, config: Config, screen: Screen, language: Language) -> int:
    """Show the statistics of a store; return the exit code. Raises `UserError`."""
    store = arguments.store or Path(config.store.path)
    records = asyncio.run(_records(store, CONSENT_VERSION if arguments.consented else None))
    table = tidy_csv(records)
    if arguments.csv is not None:
        write_table(arguments.csv, table)
        screen.print(f"{arguments.csv}: {len(records)}", markup=False)
        return 0
    found = asyncio.run(study(table, arguments.plots, language))
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, allow_nan=False))  # noqa: T201
        return 0
    for line in report_lines(found, language):
        screen.print(line, markup=False, soft_wrap=True)
    for figure in found["figures"].values():
        screen.print(f"{figure['path']}: {figure['alt']}", markup=False, soft_wrap=True)
    return 0


def write_table(path: Path, table: str) -> None:
    """Write a file whole or not at all. Raises `UserError` when it cannot be written."""
    try:
        with whole(path) as unfinished:
            unfinished.write_text(table, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.", code="unwritable_out") from None


async def _records(store: Path, consented: int | None) -> list[AnswerRecord]:
    async with reading(store) as ledger:
        return await ledger.read(lambda conn: list(answers.records(conn, consented=consented)))
