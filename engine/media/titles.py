"""Titles from tags, file names and web pages, made harmless to show. Knows text only."""

from __future__ import annotations

import re
import unicodedata

MAX_TITLE_CHARS = 200
"""Longer titles are cut: no platform shows more, and a tag may hold megabytes."""

UNTITLED = "Untitled"


def clean_title(text: str, fallback: str = UNTITLED) -> str:
    """Return `text` on one line, NFC, without control, bidirectional, zero-width, private and unassigned characters.

    At most MAX_TITLE_CHARS; `fallback` (cleaned too) where nothing visible is left.
    """
    visible = []
    for char in unicodedata.normalize("NFC", text[: 20 * MAX_TITLE_CHARS]):
        category = unicodedata.category(char)
        if category[0] == "Z" or char in "\t\n\r":
            visible.append(" ")
        elif category[0] != "C":
            visible.append(char)
    title = " ".join("".join(visible).split())[:MAX_TITLE_CHARS].rstrip()
    if any(unicodedata.category(char)[0] not in "ZM" for char in title):
        return title
    return clean_title(fallback, UNTITLED) if fallback != UNTITLED else UNTITLED


_FILE_NAME = re.compile(
    r"(?:.*[/\\])?([^/\\]+)\.(?:mp3|wav|wave|flac|ogg|oga|opus|m4a|m4b|aac|mp4|m4v|mov|webm|weba|mkv|mka|aif|aiff)",
    re.IGNORECASE | re.DOTALL,
)


def title_from_name(name: str) -> str:
    """Return a title for what a person called a file: a file name loses folders and ending, `AC/DC No.5` stays."""
    found = _FILE_NAME.fullmatch(name)
    return clean_title(found[1] if found else name)
