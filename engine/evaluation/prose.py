"""How varied is what was written? Counts over stories. Knows texts; knows nothing of music, models or plots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from engine.emotion.sentences import split
from engine.story.storyteller import Story
from engine.story.wording import count_words

MIN_SENTENCE = {"en": 12, "zh-TW": 5}
"""Characters of a sentence whose return a reader would notice; shorter ones are cries and replies ("Yes!")."""


@dataclass(frozen=True)
class Prose:
    """What was counted over one story for each of several pieces; shares in [0, 1]."""

    stories: int
    commonest_share: float
    """Share of the stories that hold the commonest sentence."""
    commonest: str
    repeats_inside: int
    """Sentences that come again within one story, over all stories."""
    distinct2_overall: float
    distinct2_within: float
    titles_share: float
    """Different titles by stories."""


def measure_prose(stories: Sequence[Story]) -> Prose:
    """Count over at least one story, all in one language."""
    sentences = [_sentences(story) for story in stories]
    used = Counter(sentence for found in sentences for sentence in set(found))
    commonest, times = max(used.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    bigrams = [_bigrams(story) for story in stories]
    return Prose(
        stories=len(stories),
        commonest_share=times / len(stories),
        commonest=commonest,
        repeats_inside=sum(len(found) - len(set(found)) for found in sentences),
        distinct2_overall=_distinct([pair for found in bigrams for pair in found]),
        distinct2_within=float(np.mean([_distinct(found) for found in bigrams])),
        titles_share=len({story.title for story in stories}) / len(stories),
    )


def length_error(story: Story, words: int) -> float:
    """Return how much longer the story is than asked for, as a share: -0.1 is ten per cent too short."""
    return sum(count_words(text, story.language) for text in story.paragraphs) / words - 1


def _sentences(story: Story) -> list[str]:
    least = MIN_SENTENCE[story.language]
    return [one for text in story.paragraphs for one in split(text) if len(one) >= least]


def _bigrams(story: Story) -> list[tuple[str, str]]:
    """Return pairs of neighbouring words (Chinese: characters) within paragraphs."""
    pairs: list[tuple[str, str]] = []
    for text in story.paragraphs:
        if story.language == "en":
            units = [word.strip("“”‘’.,;:!?—").lower() for word in text.split()]
        else:
            units = [character for character in text if character.isalnum()]
        pairs += pairwise(units)
    return pairs


def _distinct(pairs: Sequence[tuple[str, str]]) -> float:
    """Distinct-2 (Li et al. 2016, NAACL): share of different pairs."""
    return len(set(pairs)) / len(pairs) if pairs else float("nan")
