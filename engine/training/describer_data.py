"""Makes (story, description) pairs for the describer: the paper's two data sets. Knows texts and where they feel to be.

* Method 1: stories written from a description. Stories from one description resemble each other, openings above all.
* Method 2: diverse stories, each matched with a description that feels alike, on the plane of valence and arousal.

Descriptions are MusicCaps' captions (Agostinelli et al. 2023; CC BY-SA 4.0), stories the sections of FairytaleQA (Xu
et al. 2022; Apache-2.0) or what a storyteller writes. Both are placed by the text model; each set is standardised by
itself, since captions and tales have their own means and spreads.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from engine.emotion.beats import beats_of_sentences
from engine.emotion.calibration import Calibration
from engine.emotion.curve import Beat
from engine.emotion.sentences import split
from engine.emotion.text import TextEmotion
from engine.emotion.words import Words
from engine.errors import UserError
from engine.report import silent
from engine.story.embedded import EmbeddedStoryteller
from engine.story.storyteller import Prompt

CAPTIONS = Path("musiccaps/musiccaps-public.csv")
MAX_CAPTION_WORDS = 45
MIN_STORY_WORDS = 40
_NEAREST = 8
"""A section takes the least used of so many nearest captions, so that a few captions do not serve all."""
_UNWANTED = re.compile(r"low[- ]quality|recording|vocal|sing|voice|lyric|speech|speak|talk|narrat|audio|video", re.I)
"""Captions that speak of these say nothing that a composer of instrumental music can follow."""

_SECONDS = 60.0
"""Length of the music that the beats are cut for: what `compose` makes by default."""

Scorer = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts → valence, arousal [n, 2 or more]."""
Writer = Callable[[float, float, int], str]
"""Valence and arousal on the text scale, seed → a story."""


@dataclass(frozen=True)
class Pair:
    """A story and a description of music that feels like it; `group` names what must not cross a split."""

    story: str
    description: str
    group: str


class EmotionWords:
    """Story → the emotion words of its beats, as a composer's brief would name them."""

    def __init__(self, text_model: TextEmotion) -> None:
        self._model = text_model
        self._words = Words.load()
        self._calibration = Calibration.load()

    def __call__(self, story: str) -> list[str]:
        """Return one word a beat."""
        return [beat.word for beat in self.beats(story)]

    def beats(self, story: str) -> tuple[Beat, ...]:
        """Return the beats of a minute of music for the story."""
        sentences = split(story)
        values = self._calibration.to_music(self._model.score(sentences).values[:, :2])
        lengths = [len(sentence) for sentence in sentences]
        return beats_of_sentences(values, lengths, _SECONDS, self._words, self._calibration)


def placing_writer() -> Writer:
    """Return a writer that lets the embedded storyteller tell a short story around one place of the plane."""
    storyteller = EmbeddedStoryteller.load()

    def write(valence: float, arousal: float, seed: int) -> str:
        thirds = [_SECONDS * i / 3 for i in range(4)]
        beats = tuple(Beat(a, b, valence, arousal, "calm") for a, b in pairwise(thirds))
        prompt = Prompt(beats, ((valence, arousal),) * 3, "en", words=90, seed=seed)
        return "\n\n".join(storyteller.tell(prompt, silent)[0].paragraphs)

    return write


def read_captions(data: Path) -> list[str]:
    """Return MusicCaps' captions of instrumental music, one or two sentences each, sorted, without duplicates.

    Raises `UserError` when the file is missing or has no column `caption`.
    """
    path = data / CAPTIONS
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"The captions {path} cannot be read; give a folder with {CAPTIONS}.", code="bad_data"
        ) from error
    if not rows or any(row.get("caption") is None for row in rows):
        raise UserError(f"{path} has no column 'caption', or a row without it.", code="bad_data")
    found = {" ".join(re.split(r"(?<=[.!?])\s+", row["caption"].strip())[:2]) for row in rows}
    return sorted(text for text in found if not _UNWANTED.search(text) and 6 <= len(text.split()) <= MAX_CAPTION_WORDS)


def stories_from_descriptions(
    captions: Sequence[str], scorer: Scorer, writer: Writer, each: int, seed: int
) -> list[Pair]:
    """Method 1: `each` stories for every caption, written for the place where the caption feels to be.

    The caption's place is standardised among the captions; `writer` is given it in those units times 0.13, which is
    about one SD of stories on the text scale.
    """
    places = standardised(scorer(captions)[:, :2]) * 0.13
    rng = Random(seed)
    return [
        Pair(writer(float(v), float(a), rng.randrange(2**32)), caption, f"caption {i}")
        for i, (caption, (v, a)) in enumerate(zip(captions, places, strict=True))
        for _ in range(each)
    ]


def match_by_emotion(tales: Sequence[Sequence[str]], captions: Sequence[str], scorer: Scorer, seed: int) -> list[Pair]:
    """Method 2: each section of each tale with one of the captions nearest to it, those used least first."""
    sections = [(i, " ".join(text.split())) for i, tale in enumerate(tales) for text in tale]
    sections = [(i, text) for i, text in sections if len(text.split()) >= MIN_STORY_WORDS]
    if not sections or not captions:
        raise UserError("There are no stories or no captions to match; give a folder that holds both.", code="bad_data")
    stories = standardised(scorer([text for _, text in sections])[:, :2])
    places = standardised(scorer(captions)[:, :2])
    used = np.zeros(len(captions), dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(sections))
    chosen: dict[int, int] = {}
    for row in order.tolist():
        near = np.argsort(np.hypot(*(places - stories[row]).T), kind="stable")[:_NEAREST]
        best = int(near[np.argmin(used[near])])
        used[best] += 1
        chosen[row] = best
    return [Pair(text, captions[chosen[row]], f"tale {i}") for row, (i, text) in enumerate(sections)]


def split_by_group(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Return (training, held out): about `share` of the groups are held out whole."""
    groups = sorted({pair.group for pair in pairs})
    Random(seed).shuffle(groups)
    held = set(groups[: max(1, round(share * len(groups)))])
    return [p for p in pairs if p.group not in held], [p for p in pairs if p.group in held]


def standardised(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return [n, 2] with mean 0 and SD 1 in each column (0 where nothing varies)."""
    rows = values.astype(np.float64)
    spread = rows.std(axis=0)
    scaled: NDArray[np.float64] = (rows - rows.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    return scaled
