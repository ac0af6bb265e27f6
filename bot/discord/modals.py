"""The form for a long text. It needs no memory: what it was opened with stands in its id, so it survives restarts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, get_args

import discord

from bot.replies import say
from engine.jobs import AudioFormat, Language

INPUT = 4000
"""Characters of one text input (docs.discord.com, components)."""
_ID = re.compile(r"compose:([0-9.]*):([0-9]*):([a-z0-9]*)")
_FIELDS = ("text", "more")


@dataclass(frozen=True)
class Filled:
    """What somebody wrote, and the options of the command that opened the form."""

    text: str
    seconds: float | None
    seed: int | None
    format: AudioFormat | None


class StoryModal(discord.ui.Modal):
    """Two text fields, one after the other; longer stories are sent as a file."""

    def __init__(
        self, language: Language, *, seconds: float | None = None, seed: int | None = None, format: str | None = None
    ) -> None:
        chosen = ("" if value is None else f"{value:.10g}" for value in (seconds, seed))
        super().__init__(
            title=say(language, "discord.form_title"),
            custom_id=":".join(("compose", *chosen, format or "")),
            timeout=None,
        )
        for name in _FIELDS:
            field: discord.ui.TextInput[StoryModal] = discord.ui.TextInput(
                custom_id=name, style=discord.TextStyle.paragraph, max_length=INPUT, required=name == "text"
            )
            self.add_item(
                discord.ui.Label(
                    text=say(language, f"discord.form_{name}"),
                    description=say(language, f"discord.form_{name}_about"),
                    component=field,
                )
            )
        self.stop()

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Do nothing: the client reads every form itself, also those from before a restart."""


def filled(data: Any) -> Filled | None:
    """Read what a form sent back; None when it is none of ours. It may be forged, so nothing is taken for granted."""
    found = _ID.fullmatch(str(data.get("custom_id", "")))
    if found is None:
        return None
    given = {}
    for label in data.get("components", ()):
        inner = label.get("component") or {}
        given[inner.get("custom_id")] = str(inner.get("value") or "")
    try:
        seconds = float(found[1]) if found[1] else None
    except ValueError:
        return None
    format: AudioFormat | None = next((known for known in get_args(AudioFormat) if known == found[3]), None)
    text = "".join(given.get(name, "") for name in _FIELDS)
    return Filled(text, seconds, int(found[2]) if found[2] else None, format)
