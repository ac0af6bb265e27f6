"""Button tokens: read back what was written, refuse everything else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.tokens import MOST_BYTES, PATTERN, Token, rating_row, read, write


@given(st.sampled_from(["again", "rate", "yes"]), st.lists(st.integers(0, 10**18 - 1), max_size=2))
def test_there_and_back(verb: str, numbers: list[int]) -> None:
    text = write(verb, *numbers)
    assert len(text.encode()) <= MOST_BYTES and re.fullmatch(PATTERN, text)
    token = read(text)
    assert token == Token(verb, tuple(map(str, numbers)))
    assert [token.number(i) for i in range(len(numbers))] == numbers and token.number(9) is None


@given(st.text(max_size=90))
def test_anything_can_come_back(text: str) -> None:
    token = read(text)
    assert token is None or write(token.verb, *token.arguments) == text


def test_numbers_are_plain_digits() -> None:
    assert read("rate:1:-1") == Token("rate", ("1", "-1"))
    assert Token("rate", ("-1", "x", "")).number(0) is None
    assert read("rate:１") is None and read("rate:1\n") is None


def test_what_cannot_be_read_back_is_not_written() -> None:
    for arguments in (("a:b",), ("",), ("x" * 25,), (1, 2, 3, 4)):
        with pytest.raises(ValueError, match="not a token"):
            write("rate", *arguments)


def test_the_row_of_ratings() -> None:
    row = rating_row(12)
    assert [button.label for button in row] == ["0", "1", "2", "3", "4", "5"]
    assert row[5].token == "rate:12:5"
