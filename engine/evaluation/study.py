"""The program that works out statistics beside the main one, which never loads what this needs: CSV in, JSON out.

Run: `python -m engine.evaluation.study TABLE.csv [--plots DIR] [--language LANG] [--draws N]`. The JSON on stdout is
`{"kind": "stats", "schema", "version", …the fields of votes.Report, "figures": {name: {"path", "alt"}}}`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import UserError
from engine.evaluation.figures import Sheet, draw_all
from engine.evaluation.intervals import DRAWS
from engine.evaluation.votes import Answers, report
from engine.jobs import SCHEMA, VERSION, Language


def study(
    table: Path, plots: Path | None = None, language: Language = "en", draws: int = DRAWS, seed: int = 0
) -> dict[str, Any]:
    """Return the report of a tidy table as plain data; pictures go to `plots`. Raises `UserError`."""
    try:
        answers = Answers.read(table)
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{table} is not a table of votes: {error}.", code="bad_table") from None
    except OSError as error:
        raise UserError(f"{table} cannot be read: {error.strerror}.", code="unreadable") from None
    found = report(answers, draws=draws, seed=seed)
    figures: dict[str, dict[str, str]] = {}
    if plots is not None:
        first = np.unique(answers["pair"], return_index=True)
        distances = dict(zip(first[0].tolist(), answers["distance"][first[1]].tolist(), strict=True))
        try:
            plots.mkdir(parents=True, exist_ok=True)
            drawn = draw_all(plots, Sheet(found, distances, language))
        except OSError as error:
            raise UserError(f"{plots} cannot be written: {error.strerror}.", code="unwritable_out") from None
        figures = {name: {"path": str(figure.path.absolute()), "alt": figure.alt} for name, figure in drawn.items()}
    return {"kind": "stats", "schema": SCHEMA, "version": VERSION, **found.to_json(), "figures": figures}


def main(arguments: Sequence[str]) -> int:
    """Print the report of a table as one line of JSON."""
    parser = argparse.ArgumentParser(prog="engine.evaluation.study", description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--plots", type=Path)
    parser.add_argument("--language", choices=("en", "zh-TW"), default="en")
    parser.add_argument("--draws", type=int, default=DRAWS)
    asked = parser.parse_args(arguments)
    print(json.dumps(study(asked.table, asked.plots, asked.language, asked.draws), allow_nan=False))  # noqa: T201
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        sys.exit(2)
