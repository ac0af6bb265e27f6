"""`tunetale evaluate WHAT …`. Knows names, nothing of models.

Everything that can be evaluated is one line of EVALUATIONS: its name, and the module whose `main(arguments) -> exit
code` does it, which is imported when it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from engine.dispatch import dispatch

EVALUATIONS = {
    "composer": "engine.evaluation.composer",
    "describer": "engine.evaluation.describer",
    "fragments": "engine.evaluation.fragments",
    "gibberish": "engine.evaluation.gibberish",
    "music-emotion": "engine.evaluation.music_emotion",
    "paper-poll": "engine.evaluation.paper_poll",
    "storyteller": "engine.evaluation.storyteller",
    "text-emotion": "engine.evaluation.text_emotion",
    "vote-intervals": "engine.evaluation.coverage",
}


def main(arguments: Sequence[str]) -> int:
    """Evaluate what the first argument names; returns its exit code, 2 for usage or bad input, 130 when interrupted."""
    return dispatch("tunetale evaluate", EVALUATIONS, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
