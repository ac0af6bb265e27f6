from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.telegram.options import COMPOSE, STORY, Command, Misread, command, link, number, read, without


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/story", Command("story")),
        ("/Story@TuneTale_Bot words=3", Command("story", "words=3")),
        ("/compose\nOnce.\n\nTwice.", Command("compose", "Once.\n\nTwice.")),
        ("/story@another_bot", None),
        ("story", None),
        ("see /story", None),
        ("/", None),
        ("", None),
    ],
)
def test_a_command_is_read(text: str, found: Command | None) -> None:
    assert command(text, "tunetale_bot") == found


def test_options_stand_before_the_text() -> None:
    wish = read('seconds=30  seed = 7 format="ogg" Once a=b there was', COMPOSE)
    assert wish.values == {"seconds": 30.0, "seed": 7, "format": "ogg"}
    assert wish.rest == "Once a=b there was"


@pytest.mark.parametrize("quoted", ['"Slow rain"', "“Slow rain”", "「Slow rain」"])
def test_a_title_may_have_several_words(quoted: str) -> None:
    assert read(f"title={quoted} words＝300", STORY).values == {"title": "Slow rain", "words": 300}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("wrods=3", "telegram.did_you_mean"),
        ("colour=red", "telegram.unknown_option"),
        ("words=3 words=4", "telegram.option_twice"),
        ("words=many", "telegram.not_a_number"),
        ("seed=1.5", "telegram.not_a_number"),
    ],
)
def test_what_is_no_option_is_named(text: str, key: str) -> None:
    with pytest.raises(Misread) as misread:
        read(text, STORY)
    assert misread.value.key == key


def test_a_link_stands_before_or_behind() -> None:
    url = "https://a.example/watch?v=1&words=2"
    assert link(f"words=3 {url}") == url
    assert without(f"words=3 {url} seed=1", url) == "words=3   seed=1"
    assert read(without(f"{url} words=3", url), STORY).values == {"words": 3}
    assert link("nothing") is None


def test_numbers_of_requests() -> None:
    assert number("#12") == number(" 12 ") == 12
    with pytest.raises(Misread):
        number("twelve")


@given(st.text(max_size=80))
def test_nothing_that_is_written_breaks_it(text: str) -> None:
    command(text, "b")
    link(text)
    try:
        assert read(text, COMPOSE).rest in text
    except Misread as misread:
        assert misread.key.startswith("telegram.")
