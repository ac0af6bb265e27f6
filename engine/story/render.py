"""Fills the slots of fragments: names, pronouns, places and things, in both languages.

Knows grammar, not plots. The hero and the companion always have different pronouns, so a pronoun is never ambiguous
between them; the first reference in every paragraph is the name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine.jobs import Language
from engine.story.library import SLOT, Fragment, Pair

_ENGLISH = {
    "she": {"he": "she", "him": "her", "his": "her", "himself": "herself"},
    "he": {"he": "he", "him": "him", "his": "his", "himself": "himself"},
}
_CHINESE = {
    "she": {"he": "她", "him": "她", "his": "她的", "himself": "自己"},
    "he": {"he": "他", "him": "他", "his": "他的", "himself": "自己"},
}
_OTHERS = re.compile(r"\b(he|she|him|her|his)\b|[他她]", re.IGNORECASE)
"""A pronoun that is no slot stands for a third person."""
_SENTENCE_START = re.compile(r"(^|[.!?…:]\s|[.!?]”\s|“)$")


@dataclass(frozen=True)
class Person:
    """Somebody in the story: names in both languages and which pronouns ('she' or 'he')."""

    names: Pair
    gender: str


@dataclass(frozen=True)
class Cast:
    """Everything that slots are filled with; `slots` has `place`, `kin` and the things of frame and world."""

    hero: Person
    friend: Person
    slots: Mapping[str, Pair]


NEUTRAL_CAST_NAMES = (Person(("Anna", "安娜"), "she"), Person(("Mark", "馬克"), "he"))
"""Who stands in when a fragment is scored on its own."""


def render(paragraphs: Sequence[Sequence[Fragment]], cast: Cast, language: Language) -> tuple[str, ...]:
    """Return the paragraphs as text: sentences joined by a space in English, by nothing in Chinese."""
    return tuple(_paragraph(fragments, cast, language) for fragments in paragraphs)


def render_title(title: Pair, cast: Cast, language: Language) -> str:
    """Return a title with its slots filled; in English things are written large in titles."""
    slots = {
        name: (pair[0] if pair[0][:1].isupper() else _large(pair[0]), pair[1]) for name, pair in cast.slots.items()
    }
    return _Filler(replace(cast, slots=slots), language).fill(title[language != "en"])


def _large(words: str) -> str:
    """Write every word large but a leading article."""
    return " ".join(word if word in ("the", "of") else word[:1].upper() + word[1:] for word in words.split())


def _paragraph(fragments: Sequence[Fragment], cast: Cast, language: Language) -> str:
    filler = _Filler(cast, language)
    if language == "en":
        return " ".join(filler.fill(fragment.en) for fragment in fragments)
    return "".join(filler.fill(fragment.zh) for fragment in fragments)


class _Filler:
    """Fills text after text of one paragraph and remembers who has been named in it."""

    def __init__(self, cast: Cast, language: Language) -> None:
        self.cast = cast
        self.english = language == "en"
        self.named: set[str] = set()

    def fill(self, text: str) -> str:
        out: list[str] = []
        end = 0
        for match in SLOT.finditer(text):
            out.append(text[end : match.start()])
            slot = match[1]
            value = self._value(slot.lower())
            so_far = "".join(out)
            before_quote_end = so_far.endswith("” ") and not so_far.endswith(".” ")
            if slot[0].isupper() or (_SENTENCE_START.search(so_far) and not before_quote_end):
                value = value[:1].upper() + value[1:]
            out.append(value)
            end = match.end()
        if _OTHERS.search(SLOT.sub("", text)):
            self.named.clear()  # somebody else was "she" just now: say again who is meant
        return "".join(out) + text[end:]

    def _value(self, slot: str) -> str:
        who, _, form = slot.partition("_")
        if who == "friend":
            return self._person("friend", self.cast.friend, form)
        if slot == "hero":
            return self._person("hero", self.cast.hero, "")
        if slot in _ENGLISH["he"]:
            return self._person("hero", self.cast.hero, slot)
        return self.cast.slots[slot][not self.english]

    def _person(self, who: str, person: Person, form: str) -> str:
        """`form` is the pronoun slot, empty for the name; a first reference becomes the name in the right case."""
        name = person.names[not self.english]
        first = who not in self.named
        self.named.add(who)
        if form and (not first or form == "himself"):
            return (_ENGLISH if self.english else _CHINESE)[person.gender][form]
        if form == "his":
            return f"{name}’s" if self.english else f"{name}的"
        return name
