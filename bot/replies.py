"""What the product says, in both languages. Knows the catalogues; knows no platform and no markup."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from engine.jobs import Language


@cache
def catalogue(language: Language) -> dict[str, dict[str, str]]:
    """Return all sentences of a language by section and key."""
    text = files("bot").joinpath("catalogues", f"{language}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def say(language: Language, key: str, **values: Any) -> str:
    """Return the sentence `section.key`, filled in. Raises KeyError for a sentence that does not exist."""
    section, _, name = key.partition(".")
    return catalogue(language)[section][name].format(**values)
