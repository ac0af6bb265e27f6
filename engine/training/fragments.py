"""Scores the storyteller's fragments with the text emotion model. Knows files and models; knows no planning.

    python -m engine.training fragments [--out FILE]

Must be run again after every change to an English text under `engine/story/data`; until then the storyteller refuses to
load and names the fragment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.dispatch import OneSentenceParser
from engine.emotion.text import TextEmotion
from engine.errors import UserError
from engine.story.library import MaterialError, load_library
from engine.story.scores import SCORES, make_scores


def main(arguments: Sequence[str]) -> None:
    """Write the scores of all fragments; raises `UserError` when the material is faulty or the weights are missing."""
    parser = OneSentenceParser(prog="fragments", description="Score the storyteller's fragments.")
    parser.add_argument("--out", type=Path, default=SCORES, help="file to write")
    options = parser.parse_args(arguments)
    try:
        library = load_library()
    except MaterialError as error:
        raise UserError(f"The fragments are faulty: {error.problems[0]}", code="bad_material") from error
    model = TextEmotion.load()
    make_scores(library, lambda texts: model.score(texts).values, model.name, options.out)
    print(f"{len(library.fragments)} fragments scored by {model.name} -> {options.out}")
