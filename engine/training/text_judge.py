"""What the judge of text emotion learns from: GoEmotions, its labels placed on the plane. No rating of EmoBank.

A label stands where Russell & Mehrabian's (1977) nearest term stands; a comment with several labels in their middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.emotion.regressor import RegressorConfig
from engine.emotion.text import TextEmotion
from engine.emotion.words import Words
from engine.errors import UserError
from engine.training.text_data import Rated, Split, read_emobank, read_goemotions

TERMS = {
    "admiration": "impressed",
    "amusement": "enjoyment",
    "anger": "angry",
    "annoyance": "mildly annoyed",
    "approval": "appreciative",
    "caring": "affectionate",
    "confusion": "confused",
    "curiosity": "curious",
    "desire": "fascinated",
    "disappointment": "dissatisfied",
    "disapproval": "displeased",
    "disgust": "disgusted",
    "embarrassment": "embarrassed",
    "excitement": "excited",
    "fear": "fearful",
    "gratitude": "grateful",
    "grief": "anguished",
    "joy": "joyful",
    "love": "in love",
    "nervousness": "anxious",
    "optimism": "hopeful",
    "pride": "proud",
    "realization": "alert",
    "relief": "untroubled",
    "remorse": "regretful",
    "sadness": "sad",
    "surprise": "surprised",
    "neutral": None,
}
"""GoEmotions' labels → terms of the table; neutral stands at 0."""

_NEUTRAL_KEPT = 0.25
"""A third of all comments are neutral; this share of them is learned from."""
_COMMENTS = 15_000
"""At most so many comments are learned from: enough for the head, and read in a minute."""


def on_scale_of(
    other: TextEmotion, judge: TextEmotion, config: RegressorConfig, texts: Sequence[str]
) -> RegressorConfig:
    """Return the judge's `config` with its numbers on the scale of `other`: same mean and standard deviation of each
    axis over `texts`. Distances can then be compared; correlations stay as they are."""
    own, wanted = (model.score(texts).values.astype(np.float64) for model in (judge, other))
    factor = wanted.std(axis=0) / own.std(axis=0)
    centre = wanted.mean(axis=0) + (np.array(config.centre) - own.mean(axis=0)) * factor
    spread = np.array(config.spread) * factor
    return replace(
        config,
        centre=(float(centre[0]), float(centre[1]), float(centre[2])),
        spread=(float(spread[0]), float(spread[1]), float(spread[2])),
    )


def judge_data(folder: Path, seed: int = 1) -> tuple[Rated, Split]:
    """Return the comments with their labels' places, to learn from, and EmoBank's dev part, to be watched only.

    Raises `UserError` as `read_emobank` and `read_goemotions` do, and for a label that is not in TERMS.
    """
    comments, names = read_goemotions(folder)
    unknown = [name for name in names if name not in TERMS]
    if unknown:
        raise UserError(f"{folder}/goemotions/emotions.txt has an unknown emotion, {unknown[0]!r}.", code="bad_data")
    words = Words.load()
    terms = [TERMS[name] for name in names]
    places = np.array(
        [(words[term].valence, words[term].arousal, words[term].dominance) if term else (0, 0, 0) for term in terms]
    )
    labels = comments.labels
    neutral = labels @ np.array([term is None for term in terms]) > 0
    rng = np.random.default_rng(seed)
    kept = rng.permutation(np.flatnonzero(~neutral | (rng.random(len(labels)) < _NEUTRAL_KEPT)))[:_COMMENTS]
    rated = (labels @ places / labels.sum(axis=1, keepdims=True))[kept]
    bank = read_emobank(folder)
    dev = bank.rows("dev")
    return Rated(
        texts=(*(comments.texts[row] for row in kept), *(bank.texts[row] for row in dev)),
        ratings=np.concatenate([rated, bank.ratings[dev, :3]]).astype(np.float32),
    ), Split(np.arange(len(kept)), np.arange(len(kept), len(kept) + len(dev)))
