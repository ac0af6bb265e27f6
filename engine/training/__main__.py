"""`tunetale train WHAT --data DIR [--out DIR] [--seed N]`. Knows names, nothing of models.

Everything that can be trained is one line of TRAINERS: its name, and the module whose `main(arguments)` does it, which
is imported when it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from engine.dispatch import dispatch

TRAINERS = {
    "calibration": "engine.training.calibration",
    "describer": "engine.training.describer",
    "fragments": "engine.training.fragments",
    "gibberish": "engine.training.gibberish",
    "music-emotion": "engine.training.music_emotion",
    "pairs": "engine.training.pairs",
    "score-reader": "engine.training.score_reader",
    "story-bank": "engine.training.story_bank",
    "text-emotion": "engine.training.text_emotion",
}


def main(arguments: Sequence[str]) -> int:
    """Train what the first argument names; returns the exit code: 0 done, 2 usage or bad input, 130 interrupted."""
    return dispatch("tunetale train", TRAINERS, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
