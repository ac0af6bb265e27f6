"""What the product says, in both languages. Knows the catalogues; knows no platform and no markup."""

from __future__ import annotations

import math
import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from bot.contract import Status
from engine.jobs import Language

LITTLE_S = 50.0
"""Below this a time is "less than a minute"."""
LONG_S = 5400.0
"""From this on a time is said in hours."""


@cache
def catalogue(language: Language) -> dict[str, dict[str, str]]:
    """Return all sentences of a language by section and key."""
    text = files("bot").joinpath("catalogues", f"{language}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def say(language: Language, key: str, **values: Any) -> str:
    """Return the sentence `section.key`, filled in. Raises KeyError for a sentence that does not exist.

    A place for a count can name what is counted: `{votes:vote|votes}` becomes "1 vote" or "2 votes".
    """
    section, _, name = key.partition(".")
    return catalogue(language)[section][name].format(
        **{place: _Count(value) if type(value) is int else value for place, value in values.items()}
    )


class _Count(int):
    """A number that knows, in a format `one|many`, what it counts."""

    def __format__(self, spec: str) -> str:
        one, counts, many = spec.partition("|")
        return f"{int(self)} {one if self == 1 else many}" if counts else super().__format__(spec)


def explain(language: Language, code: str, message: str) -> str:
    """Return the sentence of an error in a language: its English sentence, or what the error catalogue has for it.

    Errors are raised with an English sentence and a code. A catalogue holds, under the code, English sentences with
    their translation, both with the same `{places}`, as gettext would; `_` is for any other sentence of that code. What
    no catalogue knows stays English.
    """
    if language == "en":
        return message
    sentences = _errors(language).get(code, {})
    for pattern, translated in sentences.items():
        match = None if pattern == "_" else _template(pattern).fullmatch(message)
        if match is not None:
            return translated.format(**match.groupdict())
    return sentences.get("_", message)


def commands(language: Language) -> dict[str, str]:
    """Return what each command does, by its name, for menus and help (at most 100 characters each)."""
    return catalogue(language)["command"]


def duration(language: Language, seconds: float) -> str:
    """Return a rough time, as people say it; it changes seldom, so that a message that shows it does too."""
    if seconds < LITTLE_S:
        return say(language, "time.little")
    if seconds < LONG_S:
        return say(language, "time.minutes", minutes=math.ceil(seconds / 60))
    return say(language, "time.hours", hours=f"{seconds / 3600:.1f}")


def progress(language: Language, status: Status) -> str:
    """Say where a job stands, in one or two lines."""
    eta = "" if status.eta_s is None else say(language, "status.eta", time=duration(language, status.eta_s))
    if status.state == "queued":
        first = (
            say(language, "status.queued", position=status.position) if status.position else _stage(language, status)
        )
        return first + eta
    if status.state == "running":
        return _stage(language, status) + eta
    return say(language, f"status.{status.state}")


def _stage(language: Language, status: Status) -> str:
    if status.stage is None:
        return say(language, "status.begins")
    stage = say(language, f"stage.{status.stage}")
    return stage if not status.percent else say(language, "status.stage", stage=stage, percent=status.percent)


@cache
def _errors(language: Language) -> dict[str, dict[str, str]]:
    text = files("bot").joinpath("catalogues", f"errors.{language}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _template(sentence: str) -> re.Pattern[str]:
    """Return what matches an English sentence whose `{places}` are filled in."""
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*?)", re.escape(sentence)), re.DOTALL)
