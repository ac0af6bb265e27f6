"""Which texts say nearly the same in nearly the same words? Knows texts and shingles; knows nothing of stories.

Two texts are compared by their shingles (runs of a few words, or of a few Chinese characters; Broder 1997, "On the
resemblance and containment of documents"). An inverted index makes it linear in what the texts share.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

WORDS = 3
"""Words in a shingle."""
CHARACTERS = 5
"""Chinese characters in a shingle."""
CONTAINED = 0.4
"""Share of the shorter text's shingles found in the other, from which a reader would feel the echo."""
MIN_SHARED = 4
"""Fewer shared shingles are a turn of speech, not a repetition."""
COMMON = 8
"""Shingles in more texts than this are grammar ("out of the")."""


def shingles(text: str) -> frozenset[str]:
    """Return the runs of words (or of Chinese characters) of a text, without punctuation and in lower case."""
    if re.search(r"[⺀-鿿]", text):
        units, size, joint = [one for one in text if one.isalnum()], CHARACTERS, ""
    else:
        units, size, joint = re.findall(r"[a-z'’]+", text.lower()), WORDS, " "
    return frozenset(joint.join(units[i : i + size]) for i in range(len(units) - size + 1))


def near_duplicates(texts: Sequence[str]) -> list[tuple[int, int, float]]:
    """Return (i, j, share) for pairs i < j of which the shorter is largely contained in the other, worst first."""
    found = [shingles(text) for text in texts]
    holders: dict[str, list[int]] = defaultdict(list)
    for number, runs in enumerate(found):
        for run in runs:
            holders[run].append(number)
    shared: Counter[tuple[int, int]] = Counter()
    for numbers in holders.values():
        if 2 <= len(numbers) <= COMMON:
            shared.update((i, j) for at, i in enumerate(numbers) for j in numbers[at + 1 :])
    pairs = [
        (i, j, count / min(len(found[i]), len(found[j]))) for (i, j), count in shared.items() if count >= MIN_SHARED
    ]
    return sorted((pair for pair in pairs if pair[2] >= CONTAINED), key=lambda pair: (-pair[2], pair[:2]))
