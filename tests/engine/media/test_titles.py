"""Titles: harmless for any text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.titles import MAX_TITLE_CHARS, clean_title


@given(st.text(max_size=250), st.text(max_size=20))
def test_any_text(text: str, fallback: str) -> None:
    title = clean_title(text, fallback)
    assert 1 <= len(title) <= MAX_TITLE_CHARS
    assert not any(unicodedata.category(char)[0] == "C" for char in title)
    assert title == title.strip() and clean_title(title) == title


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("  Für   Elise\n", "Für Elise"),
        ("夜車", "夜車"),
        ("a\u2028b\u00a0c", "a b c"),
        ("\u202eevil\u2066", "evil"),
        ("e\u0301", "é"),
        ("\u200b\u0301", "Untitled"),
        ("", "Untitled"),
        ("x" * 10_000_000, "x" * 200),
    ],
)
def test_some_texts(text: str, title: str) -> None:
    assert clean_title(text) == title
