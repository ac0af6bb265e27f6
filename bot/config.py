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
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import Field, SecretStr, TypeAdapter, ValidationError

from engine.errors import UserError
from engine.secret_file import read_secret, refuse_shared
from engine.settings import EngineSettings

DEFAULT_PATH = Path("config.toml")
"""Read when it is there and no other file is named."""


NO_SECRET = SecretStr("")


@dataclass(frozen=True)
class StoreSettings:
    """Where jobs and results are kept by `tunetale run`."""

    path: str = "tunetale.sqlite"


@dataclass(frozen=True)
class TokenSettings:
    """Where a platform's token is: in the environment, in a file, or here. None of them: the platform stays off."""

    token: SecretStr = NO_SECRET
    token_file: str = ""
    token_env: str = ""

    def secret(self, environment: Mapping[str, str]) -> SecretStr | None:
        """Return the token: the environment before the file before the value. Raises `UserError` for a bad file."""
        if self.token_env and environment.get(self.token_env, "").strip():
            return SecretStr(environment[self.token_env].strip())
        if self.token_file:
            return SecretStr(read_secret(Path(self.token_file)))
        return self.token if self.token.get_secret_value() else None


@dataclass(frozen=True)
class DiscordSettings(TokenSettings):
    """The Discord bot."""

    token_env: str = "DISCORD_TOKEN"  # noqa: S105  (a name, not a token)
    servers: tuple[str, ...] = ()
    """Ids of the servers to which commands are published at once; empty: everywhere (Discord takes up to an hour)."""


@dataclass(frozen=True)
class TelegramSettings(TokenSettings):
    """The Telegram bot."""

    token_env: str = "TELEGRAM_TOKEN"  # noqa: S105  (a name, not a token)
    base_url: str = "https://api.telegram.org/bot"
    """Of a Bot API server; one's own (`telegram-bot-api --local`) lifts the limit of 20 MB."""
    base_file_url: str = "https://api.telegram.org/file/bot"
    """Where that server gives out files."""
    local: bool = False
    """Whether the server is one's own and runs with `--local` on this machine."""
    webhook_url: str = ""
    """Public https address for updates; empty: polling."""
    webhook_port: int = 8443
    """Port on which updates are listened for, behind one's own TLS proxy."""
    webhook_secret: SecretStr = NO_SECRET
    """What Telegram must send along with each update."""


@dataclass(frozen=True)
class LimitSettings:
    """Who may do how much."""

    per_person: int = 5
    """Requests that one person may have waiting."""
    per_chat: int = 20
    """Requests that one chat may have waiting."""
    total: int = 1000
    """Requests that may wait at all."""
    work_minutes: float = 20.0
    """Minutes of work that one person's requests may take within an hour; 0: any."""
    owners: tuple[str, ...] = ()
    """Who may administer everything, as platform and numeric id: "discord:123", "telegram:456"."""
    gone: Literal["private", "drop"] = "private"
    """A result whose chat is gone: announced to its maker in private, or dropped (it stays in the store)."""


@dataclass(frozen=True)
class HealthSettings:
    """Health and metrics, on the loopback address only."""

    port: int = 0
    """0: off."""


@dataclass(frozen=True)
class RetentionSettings:
    """How long things are kept; 0: for ever."""

    results_days: float = 365.0
    """Jobs with their texts, results, pairs and votes."""
    uploads_days: float = 365.0
    """Files that people sent, while their pair is kept for rating."""
    again_hours: Annotated[float, Field(ge=0.0)] = 1.0
    """All other files that people sent: `again` needs them for so long after the job; 0: deleted as soon as it ends."""
    audit_days: float = 365.0
    """What admins did."""
    backups_days: Annotated[float, Field(ge=0.0)] = 30.0
    """Dated backups in a folder: `tunetale backup FOLDER` removes older ones, and forgotten people with them."""
    most_bytes: Annotated[int, Field(ge=0)] = 50_000_000_000
    """What files may take together: beyond, the oldest go first, those that people sent before results."""


Share = Annotated[float, Field(ge=0.0, le=0.3)]
"""Of all deals; three controls together leave at least a tenth to real pairs."""


@dataclass(frozen=True)
class VoteSettings:
    """The blind test: how many of its deals are hidden controls, and how soon an answer may come."""

    mismatch: Share = 0.12
    """Music with the story of other music, far away in feeling."""
    plain: Share = 0.08
    """Music with a story that was written with flat emotion."""
    repeat: Share = 0.1
    """A pair that the person has rated before."""
    dwell_s: Annotated[float, Field(ge=0.0, le=600.0)] = 12.0
    """Seconds before which nobody can have listened and read."""


@dataclass(frozen=True)
class Config:
    """The whole file."""

    store: StoreSettings = field(default_factory=StoreSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    discord: DiscordSettings = field(default_factory=DiscordSettings)
    telegram: TelegramSettings = field(default_factory=TelegramSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    votes: VoteSettings = field(default_factory=VoteSettings)


_CONFIG: TypeAdapter[Config] = TypeAdapter(Config)


def load_config(path: Path | None) -> Config:
    """Read `path`; without one, DEFAULT_PATH if it exists, else the defaults. Raises `UserError`."""
    if path is None:
        if not DEFAULT_PATH.is_file():
            return Config()
        path = DEFAULT_PATH
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"There is no configuration file {path}.", code="bad_config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The configuration file {path} cannot be read: {error}.", code="bad_config") from None
    config = parse_config(text, str(path))
    if any(secret.get_secret_value() for secret in _secrets(config)):
        refuse_shared(path, mode)
    return config


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


def _secrets(settings: Any) -> Iterator[SecretStr]:
    for item in fields(settings):
        value = getattr(settings, item.name)
        if isinstance(value, SecretStr):
            yield value
        elif is_dataclass(value):
            yield from _secrets(value)


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
    said = "" if re.search("token|secret|key", key) else f", not {item['input']!r}"
    return f"{key}: {item['msg'][0].lower()}{item['msg'][1:]}{said}."
