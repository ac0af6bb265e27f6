"""What the judge of text emotion learns from: EmoBank's dev part, of which the shipped model has learned no rating.

Knows rows and scales; the training itself is that of the variant `frozen`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.emotion.regressor import RegressorConfig
from engine.emotion.sentences import split as sentences_of
from engine.emotion.text import TextEmotion
from engine.training.story_bank import read_tales
from engine.training.text_data import EmoBank, Split, read_emobank

EPOCHS = 6
"""1,000 sentences need more rounds than 8,000, and with many more the head learns them by heart."""
WATCHED = 1_000
"""Sentences of the train part on which the judge is measured; it never learns from them."""
_SCALE_SENTENCES = 2_000


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


def judge_data(folder: Path, seed: int = 1) -> tuple[EmoBank, Split]:
    """Return EmoBank, its dev part to learn from, and WATCHED sentences of its train part to be measured on.

    Raises `UserError` as `read_emobank` does.
    """
    bank = read_emobank(folder)
    watched = np.random.default_rng(seed).permutation(bank.rows("train"))[:WATCHED]
    return bank, Split(bank.rows("dev"), np.sort(watched))


def scale_texts(folder: Path, seed: int = 1) -> list[str]:
    """Return sentences of tales, which neither model has learned from, to put both on one scale."""
    found = [sentence for tale in read_tales(folder) for section in tale for sentence in sentences_of(section)]
    rows = np.random.default_rng(seed).permutation(len(found))[:_SCALE_SENTENCES]
    return [found[row] for row in rows.tolist()]
