"""Titles: harmless for any text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.titles import MAX_TITLE_CHARS, clean_title, title_from_name


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


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("a/b/Für Elise.mp3", "Für Elise"),
        ("C:\\music\\x.FLAC", "x"),
        ("AC/DC No.5", "AC/DC No.5"),
        ("Mr. Smith.final.wav", "Mr. Smith.final"),
        (".mp3", ".mp3"),
        ("", "Untitled"),
    ],
)
def test_titles_from_names(name: str, title: str) -> None:
    assert title_from_name(name) == title
