"""Treats what a storyteller wrote as data: plain text of sensible length, no links, and nothing the owner forbids.

Pure. Every storyteller's output goes through here before anybody sees it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace

from engine.errors import UserError
from engine.settings import ModerationSettings
from engine.story.storyteller import Story

MAX_TITLE_CHARS = 120
"""Longest title; more does not fit on a card."""
MAX_PARAGRAPH_CHARS = 6_000
"""The longest story is 600 words, some 4,000 characters; a paragraph beyond this is no part of any story."""

_LINK = re.compile(
    r"(?:[a-z][a-z0-9+.\-]{1,15}://|www\.|mailto:)[^\s<>\"'“”‘’「」『』（）(),，。！？、；]+"
    r"|\b[a-z0-9\-]+(?:\.[a-z0-9\-]+)*\.(?-i:com|net|org|io|gg|me|tv|app|dev|info|biz|xyz|tw|cn|ru)\b(?:/[^\s<>，。！？、；]*)?",
    re.IGNORECASE,
)
_MARKDOWN_LINK = re.compile(r"!?\[(?P<text>[^\]\n]{0,300})\]\([^)\s]{1,2000}\)")
_KEPT = frozenset("\u200d\ufe0f")
"""What holds an emoji together; it neither hides nor turns anything."""


def clean_text(text: str) -> str:
    """Return one line of plain text: no control, bidi, invisible or unassigned characters, no links, single spaces."""
    text = unicodedata.normalize("NFC", text)
    text = "".join(" " if char.isspace() else char for char in text if char.isspace() or _visible(char))
    text = _LINK.sub("", _MARKDOWN_LINK.sub(r"\g<text>", text))
    return re.sub(r" +(?=[,.;:!?，。！？；：、])", "", " ".join(text.split()))


def clean_story(story: Story) -> Story:
    """Return the story as plain text. Raises `UserError` when nothing is left of a paragraph or it is endless."""
    paragraphs = tuple(map(clean_text, story.paragraphs))
    for number, text in enumerate(paragraphs, 1):
        if not any(char.isalnum() for char in text) or len(text) > MAX_PARAGRAPH_CHARS:
            fault = "is much too long" if text else "is empty"
            raise UserError(
                f"The storyteller's paragraph {number} {fault}; please try again with another seed.", code="bad_story"
            )
    title = clean_text(story.title)
    if len(title) > MAX_TITLE_CHARS:
        title = title[: MAX_TITLE_CHARS - 1].rstrip() + "…"
    return replace(story, title=title or _title_of(paragraphs[0]), paragraphs=paragraphs)


class Moderation:
    """The owner's list of words that no story may contain."""

    def __init__(self, settings: ModerationSettings) -> None:
        self._patterns = [_pattern(entry) for entry in (*settings.en, *settings.zh_tw) if _folded(entry).strip("* ")]

    def allows(self, texts: Iterable[str]) -> bool:
        """Tell whether none of the texts contains a word of the list."""
        folded = [_folded(text) for text in texts]
        return not any(pattern.search(text) for pattern in self._patterns for text in folded)

    def check_title(self, title: str | None) -> None:
        """Raise `UserError` for a forbidden word in a title that somebody wants."""
        if title is not None and not self.allows([title]):
            raise UserError(
                "The title contains a word that is not allowed here; please choose another title.", code="moderated"
            )

    def allowed(self, stories: Iterable[Story]) -> tuple[Story, ...]:
        """Return the stories without a forbidden word. Raises `UserError` when there is none."""
        found = tuple(story for story in stories if self.allows((story.title, *story.paragraphs)))
        if not found:
            raise UserError(
                "The story came out with a word that is not allowed here, so it is not shown; please try again with"
                " another seed.",
                code="moderated",
            )
        return found


def _visible(char: str) -> bool:
    """Tell whether a character is shown: categories Cc, Cf (with all bidi marks), Co, Cs and Cn are not."""
    return char in _KEPT or not unicodedata.category(char).startswith("C")


def _title_of(paragraph: str) -> str:
    return paragraph[:40].rstrip(" ,.，。") + ("…" if len(paragraph) > 40 else "")


def _folded(text: str) -> str:
    """Fold case, width and accents, and leave out what is not shown, so that a disguise does not help."""
    parts = unicodedata.normalize("NFKD", text).casefold()
    return "".join(char for char in parts if not unicodedata.combining(char) and (char.isspace() or _visible(char)))


def _pattern(entry: str) -> re.Pattern[str]:
    """Return what finds an entry: whole words where it is of letters with word borders, anywhere in Chinese."""
    folded = " ".join(_folded(entry).split())
    open_end = folded.endswith("*")
    body = r"\s+".join(re.escape(part) for part in folded.rstrip("*").split())
    latin = folded.isascii()
    return re.compile(rf"(?<![a-z0-9]){body}" + ("" if open_end else r"(?![a-z0-9])") if latin else body)
