"""What people write behind a command: `language=zh-TW words=300 seed=7 title="Slow rain"`. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "whole", "number"]

STORY: Mapping[str, Kind] = {"language": "text", "words": "whole", "seed": "whole", "title": "text"}
"""What `/story` takes."""
COMPOSE: Mapping[str, Kind] = {"seconds": "number", "seed": "whole", "format": "text"}
"""What `/compose` takes."""

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]+))?(?:\s+(.*))?", re.DOTALL)
_OPTION = re.compile(r"""\s*([A-Za-z_]{2,16})\s*[=＝]\s*(?:"([^"]*)"|“([^”]*)”|「([^」]*)」|(\S+))""")
_LINK = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://\S+")


@dataclass(frozen=True)
class Command:
    """A command and what stands behind it."""

    name: str
    text: str = ""


@dataclass(frozen=True)
class Options:
    """Options that were given, and the text that is none."""

    values: Mapping[str, str | int | float]
    rest: str


class Misread(Exception):
    """Something is no option; `key` names the sentence in the catalogue's section `telegram`."""

    def __init__(self, key: str, **values: str) -> None:
        super().__init__(key)
        self.key = f"telegram.{key}"
        self.values = values


def command(text: str, bot: str) -> Command | None:
    """Read the command at the beginning of a text; None when there is none or it is for another bot."""
    found = _COMMAND.fullmatch(text)
    if found is None or (found[2] is not None and found[2].lower() != bot.lower()):
        return None
    return Command(found[1].lower(), (found[3] or "").strip())


def read(text: str, known: Mapping[str, Kind]) -> Options:
    """Read the options at the beginning of a text; the rest begins with the first word that is none.

    Raises `Misread` for an option that is not known, given twice, or not a number where it has to be one.
    """
    values: dict[str, str | int | float] = {}
    position = 0
    while (found := _OPTION.match(text, position)) is not None:
        name = found[1].lower()
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = {"close": close[0]} if close else {"options": _listed(known)}
            raise Misread("did_you_mean" if close else "unknown_option", name=name, **hint)
        if name in values:
            raise Misread("option_twice", name=name)
        values[name] = _value(name, next(v for v in found.group(2, 3, 4, 5) if v is not None), known[name])
        position = found.end()
    return Options(values, text[position:].strip())


def link(text: str) -> str | None:
    """Return the first link of any kind in a text."""
    found = _LINK.search(text)
    return None if found is None else found[0]


def without(text: str, link: str | None) -> str:
    """Return a text without a link, which may stand before or behind the options."""
    return text if link is None else text.replace(link, " ", 1).strip()


def number(text: str) -> int:
    """Read the number of a request or a pair, with or without #. Raises `Misread`."""
    found = re.fullmatch(r"#?([0-9]{1,18})", text.strip())
    if found is None:
        raise Misread("no_number", words=text[:50])
    return int(found[1])


def known_names(known: Mapping[str, Kind]) -> str:
    """Return the options of a command for a sentence."""
    return _listed(known)


def _listed(known: Mapping[str, Kind]) -> str:
    return ", ".join(f"{name}=" for name in known)


def _value(name: str, text: str, kind: Kind) -> str | int | float:
    if kind == "text":
        return text
    try:
        return int(text) if kind == "whole" else float(text)
    except ValueError:
        raise Misread("not_a_number", name=name, value=text[:50]) from None
