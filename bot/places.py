"""What an admin can set for a server or chat, read from and written as text. Pure; knows no store and no platform."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from bot.wishes import parse_language
from engine.errors import UserError
from engine.jobs import Language

MOST_SECONDS = 3600.0
MOST_WAITING = 1000
"""What an admin may set at most; the owner's limits hold beside it."""


@dataclass(frozen=True)
class PlaceSettings:
    """The settings of one server or chat; every field is a name that `/admin set` takes."""

    channels: tuple[str, ...] = ()
    """Ids of the chats in which things are made; empty: everywhere."""
    language: Language | None = None
    """What is spoken to people who have chosen none; None: as their platform says."""
    max_seconds: float | None = None
    """Longest music that is accepted or composed here; None: as the owner set it."""
    links: bool = True
    """Whether links are accepted here (the owner can switch them off altogether)."""
    per_person: int | None = None
    """Most requests that one person may have waiting; None: as the owner set it."""
    per_chat: int | None = None
    """Most requests that one chat may have waiting; None: as the owner set it."""
    roles: tuple[str, ...] = ()
    """Ids of the roles that may make things; with `people` empty too: everyone."""
    people: tuple[str, ...] = ()
    """Ids of the people who may make things, whatever their role."""
    learning: bool = True
    """Whether ratings, of those who agreed, decide how stories are written and music is composed here."""
    paused: bool = False
    """No new requests are taken; what waits is still finished."""


NAMES = tuple(item.name for item in fields(PlaceSettings) if item.name != "paused")
"""What `/admin set` takes; `paused` has commands of its own."""
_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(hint) for name, hint in get_type_hints(PlaceSettings).items()
}
_YES, _NO = ("on", "yes", "true", "1", "開", "是"), ("off", "no", "false", "0", "關", "否")


def read_settings(stored: Mapping[str, str]) -> PlaceSettings:
    """Return settings from what the store holds (name -> JSON); what an older or newer version wrote is left out."""
    found: dict[str, Any] = {}
    for name, text in stored.items():
        if name in _ADAPTERS:
            try:
                found[name] = _ADAPTERS[name].validate_json(text)
            except ValidationError:
                continue
    return PlaceSettings(**found)


def parse_setting(name: str, text: str) -> str | None:
    """Return what an admin typed as JSON for the store; None goes back to the default. Raises `UserError`."""
    if name not in NAMES:
        raise UserError(f"There is no setting {name}; please choose one of {', '.join(NAMES)}.", code="unknown_setting")
    text = text.strip()
    if not text or text.lower() == "default":
        return None
    match name:
        case "language":
            return json.dumps(parse_language(text))
        case "links" | "learning":
            return json.dumps(_switch(text))
        case "max_seconds":
            return json.dumps(_number(name, text, MOST_SECONDS))
        case "per_person" | "per_chat":
            return json.dumps(int(_number(name, text, MOST_WAITING)))
        case _:
            return json.dumps(_ids(name, text))


def _switch(text: str) -> bool:
    if text.lower() in (*_YES, *_NO):
        return text.lower() in _YES
    raise UserError("Please say on or off.", code="bad_switch")


def _number(name: str, text: str, most: float) -> float:
    if re.fullmatch(r"[0-9]{1,6}", text) and 1 <= int(text) <= most:
        return int(text)
    raise UserError(f"{name} is a whole number from 1 to {most:g}, not {text[:20]!r}.", code="bad_setting")


def _ids(name: str, text: str) -> list[str]:
    """Read ids as they are typed or mentioned: `123, <#456>`, `-100123`."""
    ids = re.findall(r"-?[0-9]{1,20}", text)
    if not ids or re.sub(r"-?[0-9]{1,20}|[\s,;<>#@&!]", "", text):
        raise UserError(f"{name} takes ids or mentions, separated by spaces.", code="bad_setting")
    return list(dict.fromkeys(ids))
