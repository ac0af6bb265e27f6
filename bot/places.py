"""What an admin can set for a server or chat, read from and written as text. Pure; knows no store and no platform."""

from __future__ import annotations

from dataclasses import dataclass

from engine.jobs import Language


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
    paused: bool = False
    """No new requests are taken; what waits is still finished."""
