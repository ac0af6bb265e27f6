"""What a text is, before any model reads it: its language by script, and whether it can be scored at all.

Pure. Knows Unicode and the owner's limits; knows nothing of models. Languages are told apart by script alone: every
text in Latin letters is taken for English.
"""

from __future__ import annotations

import re

from engine.errors import UserError
from engine.settings import TextLimits

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['’][A-Za-z]+)*")
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")

_KANA_SHARE = 0.2
"""Han characters with at least this share of kana beside them are Japanese (a lone の is fashion in Taiwan)."""
_KNOWN_SHARE = 0.5
"""At least this share of a text's letters must be Latin or Chinese."""


def count_han(text: str) -> int:
    """Return the number of Chinese characters."""
    return len(_HAN.findall(text))


def is_chinese(text: str) -> bool:
    """Tell whether `text` is to be read as Chinese: at least as many Chinese characters as Latin words."""
    han = count_han(text)
    return han > 0 and han >= len(_LATIN_WORD.findall(text))


def check_text(text: str, limits: TextLimits) -> None:
    """Raise `UserError` unless `text` can be scored.

    Codes: `empty_text`, `too_long_text`, `no_words` (only emoji, digits or punctuation), `unknown_language` (letters
    that are neither Latin nor Chinese).
    """
    if not text.strip():
        raise UserError("The text is empty; send a story of at least one sentence.", code="empty_text")
    if len(text) > limits.max_chars:
        raise UserError(
            f"The text has {len(text):,} characters, more than the limit of {limits.max_chars:,}; send a shorter part.",
            code="too_long_text",
        )
    letters = sum(char.isalpha() for char in text)
    if letters == 0:
        raise UserError("There are no words in the text; write it in English or Chinese.", code="no_words")
    if not _is_known(text, letters):
        raise UserError(
            "The language of the text is not known; write it in English or Chinese.", code="unknown_language"
        )


def _is_known(text: str, letters: int) -> bool:
    han, kana = count_han(text), len(_KANA.findall(text))
    if kana >= _KANA_SHARE * (han + kana) and kana > 0:
        return False
    latin = sum(len(word) for word in _LATIN_WORD.findall(text))
    return han + latin >= _KNOWN_SHARE * letters
