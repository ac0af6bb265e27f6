"""The shipped material itself: every fragment, with every cast, in both languages."""

from __future__ import annotations

import re
import time
from itertools import product

import pytest

from engine.story.library import COLOUR_ROLES, SLOT, Fragment, Frame, Pair, load_library
from engine.story.render import Cast, Person, render, render_title

LIBRARY = load_library()
FRAMES = {frame.name: frame for frame in LIBRARY.frames}
GENDERS = (("she", "he"), ("he", "she"))


def cast(frame: Frame, hero_gender: str, friend_gender: str, pick: int) -> Cast:
    """Return the cast with the pick-th value of every slot."""
    world = LIBRARY.world
    kin = world.kins[frame.companion][friend_gender]
    slots: dict[str, Pair] = {
        name: pairs[pick % len(pairs)]
        for name, pairs in (*world.slots.items(), *frame.slots.items(), ("place", frame.places))
    }
    hero_names, friend_names = world.names[hero_gender], world.names[friend_gender]
    return Cast(
        Person(hero_names[pick % len(hero_names)], hero_gender),
        Person(kin.called or friend_names[(pick + 1) % len(friend_names)], friend_gender),
        slots | {"kin": kin.kin},
    )


def frames_of(fragment: Fragment) -> list[Frame]:
    return [FRAMES[fragment.frame]] if fragment.frame else list(LIBRARY.frames)


def test_the_size_that_variety_needs() -> None:
    assert len(LIBRARY.frames) >= 16
    assert len(LIBRARY.fragments) >= 1_200
    assert len({frame.start for frame in LIBRARY.frames}) >= 12, "settings and companions differ"
    for frame in LIBRARY.frames:
        assert len(frame.titles) >= 10, frame.name
        assert len(frame.places) >= 7, frame.name


@pytest.mark.parametrize(("hero", "friend"), GENDERS)
def test_every_fragment_renders_with_every_cast(hero: str, friend: str) -> None:
    for fragment in LIBRARY.fragments:
        for frame in frames_of(fragment):
            for pick in range(3) if fragment.frame else range(1):
                one = cast(frame, hero, friend, pick)
                (english,) = render([[fragment]], one, "en")
                (chinese,) = render([[fragment]], one, "zh-TW")
                assert not re.search(r"[{}]|[一-鿿]|  ", english), f"{fragment.origin}: {english}"
                assert not re.search(r"[{}A-Za-z ]", chinese), f"{fragment.origin}: {chinese}"
                assert english[0].isupper() or english[0] in "“‘", f"{fragment.origin}: {english}"
                assert re.search(r"[.!?][”’]?$", english), f"{fragment.origin}: {english}"
                assert re.search(r"[。！？…]」?$", chinese), f"{fragment.origin}: {chinese}"
                assert not re.search(r"\ba [aeio]\w", english), f"{fragment.origin}: {english}"


def test_every_sentence_begins_with_a_large_letter() -> None:
    """A pronoun slot after a full stop becomes `She` or `He`, after a quoted question `he`."""
    for fragment in LIBRARY.fragments:
        frame = frames_of(fragment)[0]
        (text,) = render([[fragment]], cast(frame, "she", "he", 0), "en")
        assert not re.search(r"[a-z][.] [a-z]", text), f"{fragment.origin}: {text}"


def test_titles_render_in_both_languages_and_differ() -> None:
    english, chinese = set(), set()
    for frame in LIBRARY.frames:
        for title, pick in product(frame.titles, range(2)):
            one = cast(frame, "he", "she", pick)
            text, twin = render_title(title, one, "en"), render_title(title, one, "zh-TW")
            assert not re.search(r"[{}]", text + twin), frame.name
            assert text[0].isupper() or text[0].isdigit(), text
            english.add(text)
            chinese.add(twin)
    titles = sum(len(frame.titles) for frame in LIBRARY.frames)
    assert min(len(english), len(chinese)) >= titles, "no two titles of two plots become one"


def test_twins_speak_when_the_other_speaks() -> None:
    """Where English quotes speech, so does Chinese; the twin may tell a short cry without quotation marks."""
    silent = [f.origin for f in LIBRARY.fragments if f.en.count("“") >= 3 and "「" not in f.zh]
    assert silent == []


def test_colour_never_moves_the_plot() -> None:
    bits = LIBRARY.world.bits
    fates = sum(bits[word] for word in ("undecided", "won", "lost"))
    people = sum(bits[word] for word in ("alone", "together"))
    for fragment in LIBRARY.common:
        assert not fragment.sets & (fates | people), fragment.origin
        if fragment.role in COLOUR_ROLES and re.search(r"\{friend", fragment.en):
            assert bits["together"] in fragment.needs, f"{fragment.origin} needs somebody who may not be there"


def test_slots_of_a_frame_are_used() -> None:
    for frame in LIBRARY.frames:
        used = {slot.lower() for f in frame.fragments for slot in SLOT.findall(f.en)}
        assert set(frame.slots) <= used, frame.name


def test_loading_is_fast() -> None:
    """0.3 s on a quiet machine; ten times as much leaves room for a busy one."""
    begin = time.process_time()
    load_library()
    assert time.process_time() - begin < 3.0
