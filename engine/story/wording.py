"""How long a text is and which of its words a reader would notice twice. Knows words; knows no emotion and no plot."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.jobs import Language
from engine.story.library import SLOT, Fragment

LANGUAGES: tuple[Language, ...] = ("en", "zh-TW")
MIN_STEM = 4
"""Shorter words are mostly grammar."""
COMMON_SHARE = 0.04
"""A word in more than this share of the texts is not noticed when it comes again."""


def count_words(text: str, language: Language) -> int:
    """Count words in English; in Chinese, characters without punctuation and space."""
    if language == "en":
        return len(text.split())
    return sum(character.isalnum() for character in text)


def fragment_lengths(fragments: Sequence[Fragment], language: Language) -> NDArray[np.int64]:
    """Return [n] lengths, counting a slot as one word in English and two characters in Chinese."""
    if language == "en":
        return np.array([count_words(SLOT.sub("x", fragment.en), language) for fragment in fragments])
    return np.array([count_words(SLOT.sub("一二", fragment.zh), language) for fragment in fragments])


def stem_masks(texts: Sequence[str]) -> list[int]:
    """Return for each English text a bit mask of its noticeable words; equal bits mean the same word stem."""
    stems = [_stems(text) for text in texts]
    share = Counter(stem for found in stems for stem in found)
    noticed = sorted(stem for stem, count in share.items() if 2 <= count <= max(2, COMMON_SHARE * len(texts)))
    bits = {stem: 1 << number for number, stem in enumerate(noticed)}
    return [sum(bits.get(stem, 0) for stem in found) for found in stems]


def opening(text: str) -> str:
    """Return the first word, in lower case and without quotes; a slot counts as a word."""
    return text.split(maxsplit=1)[0].strip("“‘,.!?’”").lower() if text else ""


def _stems(text: str) -> set[str]:
    words = re.findall(r"[a-z]+", SLOT.sub(" ", text.lower()))
    return {re.sub(r"(ing|ed|es|s)$", "", word) for word in words if len(word) >= MIN_STEM}
