"""The emotion of every fragment as the text model reads it, computed once and kept in a file.

Knows keys and numbers; the model that made them is only a name here. A score belongs to the exact English text: when a
writer changes a sentence, its score is missing until the scores are made again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.story.library import Fragment, Library, MaterialError, Pair
from engine.story.render import NEUTRAL_CAST_NAMES, Cast, render
from engine.whole import whole

SCORES = Path(__file__).parent.parent / "assets" / "fragment_scores.json"

TRUST_IN_MODEL = 0.7
"""Weight of the model's reading against the writer's intention."""


def neutral_texts(library: Library) -> list[str]:
    """Return the English text of every fragment with its slots filled by neutral words."""
    hero, friend = NEUTRAL_CAST_NAMES
    frames = {frame.name: frame for frame in library.frames}
    texts = []
    for fragment in library.fragments:
        slots: dict[str, Pair] = {name: pairs[0] for name, pairs in library.world.slots.items()}
        slots["kin"] = ("friend", "朋友")
        if fragment.frame:
            slots |= {name: pairs[0] for name, pairs in frames[fragment.frame].slots.items()}
            slots["place"] = frames[fragment.frame].places[0]
        texts.append(render([[fragment]], Cast(hero, friend, slots), "en")[0])
    return texts


def make_scores(
    library: Library, score: Callable[[Sequence[str]], NDArray[np.float32]], model: str, path: Path = SCORES
) -> None:
    """Score every fragment with `score` (texts -> [n, 2 or 3], valence and arousal first) and write the file."""
    values = score(neutral_texts(library))
    table = {
        fragment.key: [round(float(valence), 4), round(float(arousal), 4)]
        for fragment, (valence, arousal) in zip(library.fragments, values[:, :2], strict=True)
    }
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(table[key])}" for key in sorted(table))
    with whole(path) as unfinished:
        unfinished.write_text(f'{{"model": {json.dumps(model)}, "scores": {{\n{lines}\n}}}}\n', encoding="utf-8")


def load_scores(fragments: Sequence[Fragment], path: Path = SCORES) -> NDArray[np.float64]:
    """Return what the planner goes by, [n, 2]; raises `MaterialError` like `read_scores`."""
    tags = np.array([fragment.tag for fragment in fragments], dtype=np.float64).reshape(-1, 2)
    return trusted(read_scores(fragments, path), tags)


def read_scores(fragments: Sequence[Fragment], path: Path = SCORES) -> NDArray[np.float64]:
    """Return what the model read, [n, 2]; raises `MaterialError` when a fragment was changed or added since."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))["scores"]
    except (OSError, ValueError, KeyError) as error:
        raise MaterialError([f"The fragment scores cannot be read from {path}: {error!r}."]) from error
    missing = [fragment.origin for fragment in fragments if fragment.key not in table]
    if missing:
        raise MaterialError(
            [
                f"{len(missing)} fragment(s) have no score, the first is '{missing[0]}': "
                "they are new or changed; run `tunetale train fragments`."
            ]
        )
    return np.array([table[fragment.key] for fragment in fragments], dtype=np.float64).reshape(-1, 2)


def trusted(read: NDArray[np.float64], tags: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mix what the model read [n, 2] with what the writers meant [n, 2], on the model's scale.

    A text model of this size is right about two thirds of the way (r about .7 on single sentences), so a lonely line
    that it takes for a cheerful one must not be chosen for a happy beat. Tags are brought to the model's mean and
    spread.
    """
    spread = tags.std(axis=0)
    meant = (tags - tags.mean(axis=0)) / np.where(spread > 0, spread, 1.0) * read.std(axis=0) + read.mean(axis=0)
    mixed: NDArray[np.float64] = TRUST_IN_MODEL * read + (1 - TRUST_IN_MODEL) * meant
    return mixed
