from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.telegram.markup import CannotParse, Entity, clean, parse, plain, utf16_units


def test_styles_are_seen_and_tags_are_not() -> None:
    seen = parse("<b>Rain</b> &amp; <i>wind &lt;3</i> <a href='https://a.b/?x=1&amp;y=2'>here</a>")
    assert seen.text == "Rain & wind <3 here"
    assert seen.styled("bold") == ("Rain",)
    assert seen.styled("italic") == ("wind <3",)
    assert seen.entities[-1] == Entity("text_link", 15, 4, "https://a.b/?x=1&y=2")


def test_nested_styles_and_a_trimmed_text_keep_their_places() -> None:
    seen = parse("  <blockquote expandable>a <b>b</b></blockquote> ")
    assert seen.text == "a b"
    assert seen.styled("blockquote") == ("a b",)
    assert seen.styled("bold") == ("b",)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a <kahn@inbox.ru> b", 'Unsupported start tag "kahn@inbox.ru" at byte offset 2'),
        ("雨 <3", 'Unsupported start tag "3" at byte offset 4'),
        ("<b>open", 'Can\'t find end tag corresponding to start tag "b"'),
        ("a</b>", "Unexpected end tag at byte offset 1"),
        ("<b>a</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<b>a</b", "Unclosed end tag at byte offset 4"),
        ("<span>a</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
def test_what_the_service_does_not_take(text: str, answer: str) -> None:
    with pytest.raises(CannotParse) as refused:
        parse(text)
    assert str(refused.value).startswith(answer)


@given(st.text(max_size=60))
def test_escaped_text_is_seen_as_it_is(text: str) -> None:
    assert parse(html.escape(text, quote=False)) == plain(text)


def test_only_four_names_are_references() -> None:
    assert parse("&quot;&nbsp;&#39;&#x4e2d;&#0;").text == "\"&nbsp;'中&#0;"


def test_control_and_bidi_characters_are_dropped() -> None:
    assert clean("a\x00b\tc\r\nd\u202ee") == "a b c\nde"


def test_names_ping_unless_they_are_code() -> None:
    assert parse("@mei_lin <code>@hidden_one</code> a@b.example <a href='tg://user?id=5'>x</a>").mentions == (
        "@mei_lin",
        "tg://user?id=5",
    )


def test_units_are_those_of_utf16() -> None:
    assert utf16_units("a雨🌧") == 4
