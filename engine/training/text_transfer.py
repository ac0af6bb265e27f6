"""What a small text model learns from a large one: sentences that nobody has rated, as the large one reads them.

A large encoder reads EmoBank better than a small one can learn to from 8,000 ratings. It therefore teaches: the small
one learns its readings of more sentences, and what lies halfway between its readings and the ratings where there are
any (distillation: Hinton, Vinyals & Dean 2015, arXiv 1503.02531). It also learns what the large one's head reads, which
says more of a sentence than three numbers (hints: Romero et al. 2015, arXiv 1412.6550).
A large one of which only the highest layers were trained hardly minds exclamation marks, which stir people; so its
readings are first corrected by what they miss there in rated sentences.
Knows texts and numbers; knows nothing of networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA  # type: ignore[import-untyped]

from engine.emotion.gibberish import tokens
from engine.emotion.sentences import split as sentences_of
from engine.training.gibberish_data import read_books
from engine.training.story_bank import read_tales
from engine.training.text_data import EmoBank, Rated, Split, read_goemotions
from engine.training.text_teachers import Reading

UNRATED = 30_000
"""Texts without ratings to learn from."""
DIRECTIONS = 64
"""Principal components of what the teacher's head reads; they hold four fifths of its variance."""
_POOL = 60_000
"""So many texts are drawn, a quarter from each source as far as it goes, and the first of a random order are taken."""
_ORDER = 5
"""Seed of that order."""
_NEUTRAL = "neutral"
_WORDS = (3, 25)
"""Shortest and longest text to learn from: long ones cost most of the time."""
_TEACHER_SHARE = 0.5
"""Of the target where there is a rating too."""

_MARK = "!"
_ENOUGH = 50
"""Of so many rated sentences on, what is missed at exclamation marks is known well enough."""

Reader = Callable[[Sequence[str]], Reading]


def transfer_texts(folder: Path, bank: EmoBank, split: Split, count: int, seed: int) -> list[str]:
    """Draw at most `count` unrated texts from GoEmotions (comments that were given an emotion), tales,
    books, and parts of EmoBank's own sentences in `split.train`. No two have the same words, and none has those of a
    sentence of EmoBank.

    Raises `UserError` where a file of `folder`/goemotions or `folder`/stories is missing or damaged.
    """
    rng = np.random.default_rng(seed)
    known = {_words(text) for text in bank.texts}
    found: list[str] = []
    for source in (_comments(folder), _tales(folder), _books(folder), _parts(bank, split, rng)):
        wanted = len(found) + _POOL // 4
        for index in rng.permutation(len(source)).tolist():
            words = _words(source[index])
            if _WORDS[0] <= len(words) <= _WORDS[1] and words not in known:
                known.add(words)
                found.append(source[index])
            if len(found) == wanted:
                break
    return [found[index] for index in np.random.default_rng(_ORDER).permutation(len(found))[:count].tolist()]


def with_teacher(bank: EmoBank, split: Split, texts: Sequence[str], teacher: Reader) -> tuple[Rated, Split]:
    """Return EmoBank with the teacher's readings mixed into the ratings of `split.train`, and `texts` with its readings
    alone, all to be learned from; further columns hold up to `DIRECTIONS` components of what its head reads. What is
    held out stays as it was."""
    known = [bank.texts[row] for row in split.train]
    rated, unrated = teacher(known), teacher(texts)
    missed = _missed_at_marks(known, bank.ratings[split.train, :3] - rated.values)
    components = PCA(min(DIRECTIONS, *rated.hidden.shape), random_state=0).fit(rated.hidden)
    columns = bank.ratings.shape[1]
    ratings = np.full((len(bank.texts) + len(texts), columns + components.n_components_), np.nan, dtype=np.float32)
    rows = np.arange(len(bank.texts), len(ratings))
    ratings[: len(bank.texts), :columns] = bank.ratings
    ratings[split.train, :3] = (1 - _TEACHER_SHARE) * ratings[split.train, :3] + _TEACHER_SHARE * (
        rated.values + _is_marked(known) * missed
    )
    ratings[rows, :3] = np.clip(unrated.values + _is_marked(texts) * missed, -1.0, 1.0)
    ratings[split.train, columns:] = components.transform(rated.hidden)
    ratings[rows, columns:] = components.transform(unrated.hidden)
    return Rated((*bank.texts, *texts), ratings), Split(np.concatenate([split.train, rows]), split.held_out)


def _is_marked(texts: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([[_MARK in text] for text in texts], dtype=np.bool_).reshape(-1, 1)


def _missed_at_marks(texts: Sequence[str], errors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return by how much more `errors` [n, 3] (rating less reading) are where there is an exclamation mark, [3]; 0
    where such texts are too few to tell."""
    marked = _is_marked(texts)[:, 0]
    if min(marked.sum(), (~marked).sum()) < _ENOUGH:
        return np.zeros(3, dtype=np.float32)
    return np.asarray(errors[marked].mean(axis=0) - errors[~marked].mean(axis=0), dtype=np.float32)


def _words(text: str) -> tuple[str, ...]:
    return tuple(token for token in tokens(text, "en") if token.isalnum())


def _comments(folder: Path) -> list[str]:
    comments, names = read_goemotions(folder)
    feelings = np.flatnonzero([name != _NEUTRAL for name in names])
    return [comments.texts[row] for row in np.unique(comments.labels[:, feelings].nonzero()[0])]


def _tales(folder: Path) -> list[str]:
    return [sentence for tale in read_tales(folder) for section in tale for sentence in sentences_of(section)]


def _books(folder: Path) -> list[str]:
    books = read_books(folder / "stories" / "gutenberg")
    return [sentence for book in books.values() for paragraph in book for sentence in sentences_of(paragraph)]


def _parts(bank: EmoBank, split: Split, rng: np.random.Generator) -> list[str]:
    """Return the beginning or the end of every longer sentence, cut anywhere."""
    parts = []
    for row in split.train:
        words = bank.texts[row].split()
        if len(words) < 2 * _WORDS[0] + 2:
            continue
        cut = int(rng.integers(_WORDS[0], len(words) - _WORDS[0]))
        parts.append(" ".join(words[:cut] if rng.random() < 0.5 else words[cut:]))
    return parts
