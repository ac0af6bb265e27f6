"""Dispatches `python -m engine.training WHAT --data DIR [--out DIR] [--seed N]`. Knows names, nothing of models.

Everything that can be trained is one line of TRAINERS: its name, and the module whose `main(arguments)` does it, which
is imported when it is asked for.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from engine.errors import UserError

TRAINERS = {
    "calibration": "engine.training.calibration",
    "fragments": "engine.training.fragments",
    "music-emotion": "engine.training.music_emotion",
    "story-bank": "engine.training.story_bank",
    "text-emotion": "engine.training.text_emotion",
}


def main(arguments: Sequence[str]) -> int:
    """Train what the first argument names; returns the exit code: 0 done, 2 usage or bad input, 130 interrupted."""
    if not arguments or arguments[0] not in TRAINERS:
        print(f"usage: python -m engine.training {{{','.join(TRAINERS)}}} --data DIR ...", file=sys.stderr)
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    try:
        importlib.import_module(TRAINERS[arguments[0]]).main(arguments[1:])
    except UserError as error:
        print(error.message, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
