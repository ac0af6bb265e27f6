"""Reads the owner's TOML file into frozen dataclasses. Knows the shape of the file; acts on nothing.

Every mistake of a file is reported at once, one line each, with a suggestion for a misspelt key.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from engine.errors import UserError
from engine.settings import EngineSettings

DEFAULT_PATH = Path("config.toml")
"""Read when it is there and no other file is named."""


@dataclass(frozen=True)
class StoreSettings:
    """Where jobs and results are kept by `tunetale run`."""

    path: str = "tunetale.sqlite"


@dataclass(frozen=True)
class Config:
    """The whole file."""

    store: StoreSettings = field(default_factory=StoreSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)


_CONFIG: TypeAdapter[Config] = TypeAdapter(Config)


def load_config(path: Path | None) -> Config:
    """Read `path`; without one, DEFAULT_PATH if it exists, else the defaults. Raises `UserError`."""
    if path is None:
        if not DEFAULT_PATH.is_file():
            return Config()
        path = DEFAULT_PATH
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"There is no configuration file {path}.", code="bad_config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The configuration file {path} cannot be read: {error}.", code="bad_config") from None
    return parse_config(text, str(path))


def parse_config(text: str, name: str) -> Config:
    """Read a configuration from TOML text; `name` is the file's name for messages."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{name} is not valid TOML: {error}.", code="bad_config") from None
    mistakes = list(_unknown_keys(values, Config))
    try:
        # Lax only where TOML itself is lax: 900 for 900.0.
        config = _CONFIG.validate_python(values)
    except ValidationError as error:
        mistakes += [_sentence(item) for item in error.errors()]
    if mistakes:
        lines = "\n".join(f"  {mistake}" for mistake in mistakes)
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise UserError(f"{name} has {count}; please correct:\n{lines}", code="bad_config")
    return config


def _unknown_keys(values: Mapping[str, Any], shape: type, prefix: str = "") -> Iterator[str]:
    hints = get_type_hints(shape)
    known = [item.name for item in fields(shape)]
    for key, value in values.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {prefix}{close[0]}?" if close else f"known here: {', '.join(known)}."
            yield f"{prefix}{key}: unknown key; {hint}"
        elif is_dataclass(hints[key]) and isinstance(value, dict):
            yield from _unknown_keys(value, hints[key], f"{prefix}{key}.")


def _sentence(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "literal_error":
        choices = item["ctx"]["expected"]
        known = re.findall(r"'([^']*)'", choices)
        close = difflib.get_close_matches(str(item["input"]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {choices}."
        return f"{key}: {item['input']!r} is not known; {hint}"
    return f"{key}: {item['msg'][0].lower()}{item['msg'][1:]}, not {item['input']!r}."
