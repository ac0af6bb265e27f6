from __future__ import annotations

import pytest

from engine.story.library import Fragment
from engine.story.render import Cast, Person, render, render_title

CAST = Cast(
    hero=Person(("Ada", "小艾"), "she"),
    friend=Person(("Grandfather", "阿公"), "he"),
    slots={"kin": ("grandfather", "阿公"), "bird": ("wren", "鷦鷯"), "place": ("the Pond", "池塘")},
)


def told(*texts: str) -> str:
    return render([[Fragment("inner", text, "。", (0, 0), "test") for text in texts]], CAST, "en")[0]


def told_zh(*texts: str) -> str:
    return render([[Fragment("inner", ".", text, (0, 0), "test") for text in texts]], CAST, "zh-TW")[0]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["{he} slept. {he} woke."], "Ada slept. She woke."),
        (["{his} hands shook. {he} hid {his} face from {him}."], "Ada’s hands shook. She hid her face from her."),
        (["{he} slept.", "{he} woke."], "Ada slept. She woke."),
        (["It rained on {him}.", "{friend} saw {friend_himself}."], "It rained on Ada. Grandfather saw himself."),
        (["{friend} took {friend_his} hat."], "Grandfather took his hat."),
        (["{friend_he} left."], "Grandfather left."),
        (["So {he} asked {himself}."], "So Ada asked herself."),
        (["{hero} ran. “Go!” {he} cried. “{friend}!”"], "Ada ran. “Go!” she cried. “Grandfather!”"),
        (["{hero} ran. “Go.” {he} fell. “Oh!” {He} rose."], "Ada ran. “Go.” She fell. “Oh!” She rose."),
        (["A {bird} sat by {place}."], "A wren sat by the Pond."),
        (["{place} was far."], "The Pond was far."),
        (["{hero} ran; {he} fell."], "Ada ran; she fell."),
    ],
)
def test_names_come_first_and_pronouns_after(texts: list[str], expected: str) -> None:
    assert told(*texts) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["{he}睡了。", "{he}醒了。"], "小艾睡了。她醒了。"),
        (["{his}手在抖。{his}臉也是。"], "小艾的手在抖。她的臉也是。"),
        (["{friend}看著{him}。{friend_he}笑了。"], "阿公看著小艾。他笑了。"),
        (["{place}邊有{bird}。"], "池塘邊有鷦鷯。"),
    ],
)
def test_chinese_follows_its_own_grammar(texts: list[str], expected: str) -> None:
    assert told_zh(*texts) == expected


def test_a_third_person_makes_the_hero_be_named_again() -> None:
    assert told("{he} rang. “Come in,” she said.", "{he} went in.") == "Ada rang. “Come in,” she said. Ada went in."
    assert told_zh("{he}按了鈴。「請進。」她說。", "{he}走了進去。") == "小艾按了鈴。「請進。」她說。小艾走了進去。"


def test_every_paragraph_names_anew() -> None:
    fragment = Fragment("inner", "{he} slept.", "{he}睡了。", (0, 0), "test")
    assert render([[fragment], [fragment]], CAST, "en") == ("Ada slept.", "Ada slept.")


def test_titles_are_filled_in_both_languages() -> None:
    title = ("{hero} at {place}", "{place}邊的{hero}")
    assert render_title(title, CAST, "en") == "Ada at the Pond"
    assert render_title(title, CAST, "zh-TW") == "池塘邊的小艾"
    assert render_title(("Under the {bird}", "."), CAST, "en") == "Under the Wren"
