"""Makes (story, description) pairs for the describer: the paper's two data sets. Knows texts and where they feel to be.

* Method 1: stories written from a description. Stories from one description resemble each other, openings above all.
* Method 2: diverse stories, each matched with descriptions that feel alike, on the plane of valence and arousal.

Stories are sections of FairytaleQA (Xu et al. 2022; Apache-2.0) or what the embedded storyteller writes, descriptions
`engine.training.captions`. Both are placed by the text model; each set is standardised by itself, since captions and
tales have their own means and spreads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
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
from engine.training.story_bank import read_values

MIN_STORY_WORDS = 40
NEAREST = 12
"""A section takes the least used of so many nearest captions, so that a few captions do not serve all."""
WRITTEN_WORDS = 90
"""Length of the stories of method 1."""
WANDERS = 0.8
_SECONDS = 60.0
"""Length of the music that the beats are cut for: what `compose` makes by default."""
_SAMPLED, _SAME_WITHIN = 40, 0.02
"""So many sentences of a bank are scored again, and must be so near to what the bank says."""

Values = NDArray[np.float64]
Scorer = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts → valence, arousal [n, 2 or more] on the text scale."""
Writer = Callable[[Sequence[tuple[float, float]], int], str]
"""(Valence, arousal) of each beat on the text scale, seed → a story."""


@dataclass(frozen=True)
class Told:
    """A story, the emotion words of its beats, and its place: mean (valence, arousal) of its sentences, text scale."""

    text: str
    words: tuple[str, ...]
    place: tuple[float, float]
    group: str
    """What must not cross a split: the tale, or the description the story was written from."""


@dataclass(frozen=True)
class Pair:
    """A story and a description of music that feels like it."""

    story: Told
    description: str


class Reader:
    """Story → beats, emotion words and place, as `compose` would find them."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self._words = Words.load()
        self._calibration = Calibration.load()

    def beats(self, story: str) -> tuple[Beat, ...]:
        """Return the beats of a minute of music for the story."""
        sentences = split(story)
        return self._beats(sentences, self.scorer(sentences))

    def read(self, stories: Sequence[tuple[str, str]], known: NDArray[np.float32] | None = None) -> list[Told]:
        """Read (text, group)s; all their sentences are scored at once, or taken from `known` [sentences, 2 or more]."""
        split_up = [split(text) for text, _ in stories]
        values = self._score([s for sentences in split_up for s in sentences]) if known is None else known
        ends = np.cumsum([len(sentences) for sentences in split_up])[:-1]
        told = []
        for (text, group), sentences, rows in zip(stories, split_up, np.split(values, ends), strict=True):
            weights = [len(sentence) for sentence in sentences]
            valence, arousal = np.average(rows[:, :2], axis=0, weights=weights).tolist()
            words = tuple(beat.word for beat in self._beats(sentences, rows))
            told.append(Told(text, words, (valence, arousal), group))
        return told

    def _score(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        unique = list(dict.fromkeys(sentences))
        row = {sentence: i for i, sentence in enumerate(unique)}
        return self.scorer(unique)[[row[sentence] for sentence in sentences]]

    def _beats(self, sentences: Sequence[str], values: NDArray[np.float32]) -> tuple[Beat, ...]:
        lengths = [len(sentence) for sentence in sentences]
        music = self._calibration.to_music(values[:, :2])
        return beats_of_sentences(music, lengths, _SECONDS, self._words, self._calibration)


def scorer_of(model: TextEmotion) -> Scorer:
    """Return what scores texts by the model."""
    return lambda texts: model.score(texts).values


def read_sections(tales: Sequence[Sequence[str]], reader: Reader) -> list[Told]:
    """Return the tales' sections of MIN_STORY_WORDS or more, grouped by tale.

    Where the shipped story bank holds these very tales, as scored by this model, its values are used: it has them all.
    Raises `UserError` when no section is long enough.
    """
    sections = [(text, f"tale {i}") for i, tale in enumerate(tales) for text in tale]
    told = reader.read(sections, _in_bank([split(text) for tale in tales for text in tale], reader.scorer))
    long = [story for story in told if len(story.text.split()) >= MIN_STORY_WORDS]
    if not long:
        raise UserError(f"No section of the tales has {MIN_STORY_WORDS} words.", code="bad_data")
    return long


def _in_bank(sections: Sequence[Sequence[str]], scorer: Scorer) -> NDArray[np.float32] | None:
    values, sentences = read_values(), [sentence for section in sections for sentence in section]
    if len(sentences) != len(values):
        return None
    some = np.random.default_rng(1).permutation(len(sentences))[:_SAMPLED]
    again = scorer([sentences[row] for row in some])[:, :2]
    return values if np.abs(values[some] - again).max() < _SAME_WITHIN else None


def placing_writer() -> Writer:
    """Return a writer that lets the embedded storyteller tell a short story."""
    storyteller = EmbeddedStoryteller.load()

    def write(targets: Sequence[tuple[float, float]], seed: int) -> str:
        times = np.linspace(0.0, _SECONDS, len(targets) + 1).tolist()
        beats = tuple(Beat(a, b, v, w, "calm") for (a, b), (v, w) in zip(pairwise(times), targets, strict=True))
        prompt = Prompt(beats, tuple(targets), "en", words=WRITTEN_WORDS, seed=seed)
        return "\n\n".join(storyteller.tell(prompt, silent)[0].paragraphs)

    return write


def stories_from_descriptions(
    captions: Sequence[str], reader: Reader, writer: Writer, each: int, seed: int
) -> list[Pair]:
    """Method 1: `each` stories for every caption, written for the place where the caption feels to be.

    The caption's place is standardised among the captions and put on the scale of stories. Stories of one caption are
    written with one seed and begin at its place, but go on to places up to WANDERS SDs away: they share hero, setting
    and mostly the opening, and then part. Those that come out alike are kept once.
    """
    scale = Calibration.load().text
    places = standardised(reader.scorer(captions)[:, :2])
    rng = np.random.default_rng(seed)
    written: dict[str, int] = {}
    for i, place in enumerate(places):
        told = int(rng.integers(2**32))
        for one in range(each):
            away = np.zeros((2, 2)) if one == 0 else rng.uniform(-WANDERS, WANDERS, (2, 2))
            targets = np.concatenate([place[None], place + away]) * scale.sd + scale.mean
            written.setdefault(writer([(v, a) for v, a in targets.tolist()], told), i)
    stories = reader.read([(text, f"caption {i}") for text, i in written.items()])
    return [Pair(story, captions[i]) for story, i in zip(stories, written.values(), strict=True)]


def match_by_emotion(
    stories: Sequence[Told], captions: Sequence[str], scorer: Scorer, each: int, seed: int
) -> list[Pair]:
    """Method 2: every story with `each` different captions of the NEAREST, those used least first.

    Raises `UserError` without stories or captions.
    """
    if not stories or not captions:
        raise UserError("There are no stories or no captions to match; give a folder that holds both.", code="bad_data")
    wanted = standardised([story.place for story in stories])
    places = standardised(scorer(captions)[:, :2])
    used = np.zeros(len(captions), dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(stories))
    chosen: dict[int, NDArray[np.intp]] = {}
    for row in order.tolist():
        near = np.argsort(np.hypot(*(places - wanted[row]).T), kind="stable")[:NEAREST]
        chosen[row] = near[np.argsort(used[near], kind="stable")[:each]]
        used[chosen[row]] += 1
    return [Pair(story, captions[i]) for row, story in enumerate(stories) for i in chosen[row].tolist()]


def split_by_group(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Return (training, held out): about `share` of the groups are held out whole."""
    groups = sorted({pair.story.group for pair in pairs})
    Random(seed).shuffle(groups)
    held = set(groups[: max(1, round(share * len(groups)))])
    return [p for p in pairs if p.story.group not in held], [p for p in pairs if p.story.group in held]


def standardised(values: NDArray[np.float32] | Sequence[tuple[float, float]]) -> Values:
    """Return [n, 2] with mean 0 and SD 1 in each column (0 where nothing varies)."""
    rows = np.asarray(values, dtype=np.float64)
    spread = rows.std(axis=0)
    scaled: Values = (rows - rows.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    return scaled
