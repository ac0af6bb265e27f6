"""The application's commands as a bot registers them (interactions/application-commands.mdx), and what they accept."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from discord import Locale
from pydantic import BeforeValidator, Field, model_validator

from tests.fakes.discord.wire import Wire, read
from tests.fakes.discord.world import ApiError

LOCALES = frozenset(locale.value for locale in Locale)
CHAT_NAME = re.compile(r"[-_'\w]{1,32}")
"""Discord: letters, numbers, hyphen, underscore and apostrophe; lower case where the letter has one."""
MOST = {1: 100, 2: 15, 3: 15}
"""Commands of each type that an application may have."""
MAX_CHARACTERS = 8000
"""Name, description and choices of one command together."""


def _chat_name(name: Any) -> Any:
    if not isinstance(name, str) or not CHAT_NAME.fullmatch(name) or name != name.lower():
        raise ValueError(f"{name!r} is no command name")
    return name


def _translated(check: Any) -> Any:
    def validate(texts: Any) -> Any:
        for locale, text in (texts or {}).items():
            if locale not in LOCALES:
                raise ValueError(f"{locale!r} is no locale")
            check(text)
        return texts

    return validate


def _described(text: Any) -> Any:
    if not isinstance(text, str) or not 1 <= len(text) <= 100:
        raise ValueError("Must be between 1 and 100 in length")
    return text


ChatName = Annotated[str, BeforeValidator(_chat_name)]
ChatNames = Annotated[dict[str, str] | None, BeforeValidator(_translated(_chat_name))]
Description = Annotated[str, BeforeValidator(_described)]
Descriptions = Annotated[dict[str, str] | None, BeforeValidator(_translated(_described))]


class Choice(Wire):
    name: str = Field(min_length=1, max_length=100)
    name_localizations: Annotated[dict[str, str] | None, BeforeValidator(_translated(_described))] = None
    value: str | int | float


class Option(Wire):
    type: Literal[1, 2, 3, 4, 5, 6, 7, 8, 10, 11]
    name: ChatName
    name_localizations: ChatNames = None
    description: Description
    description_localizations: Descriptions = None
    required: bool = False
    choices: list[Choice] = Field(default_factory=list, max_length=25)
    options: list[Option] = Field(default_factory=list, max_length=25)
    channel_types: list[int] | None = None
    min_value: int | float | None = None
    max_value: int | float | None = None
    min_length: int | None = Field(None, ge=0, le=6000)
    max_length: int | None = Field(None, ge=1, le=6000)
    autocomplete: bool = False

    @model_validator(mode="after")
    def ordered(self) -> Option:
        _required_first(self.options)
        return self


class Command(Wire):
    name: str = Field(min_length=1, max_length=32)
    name_localizations: dict[str, str] | None = None
    description: str = Field("", max_length=100)
    description_localizations: Descriptions = None
    type: Literal[1, 2, 3] = 1
    options: list[Option] = Field(default_factory=list, max_length=25)
    default_member_permissions: int | str | None = None
    dm_permission: bool | None = None
    contexts: list[Literal[0, 1, 2]] | None = None
    integration_types: list[Literal[0, 1]] | None = None
    nsfw: bool = False

    @model_validator(mode="after")
    def sound(self) -> Command:
        if self.type == 1:
            _chat_name(self.name)
            _translated(_chat_name)(self.name_localizations)
            _described(self.description)
        else:
            assert not self.description and not self.options, "Context menus have neither description nor options"
            for locale, name in (self.name_localizations or {}).items():
                assert locale in LOCALES and 1 <= len(name) <= 32, f"{locale}: {name!r}"
        _required_first(self.options)
        assert _weight(self) <= MAX_CHARACTERS, "Application command exceeds 8000 characters"
        return self


def _required_first(options: list[Option]) -> None:
    wanted = [option.required for option in options]
    assert wanted == sorted(wanted, reverse=True), "Required options must be placed before non-required options"
    assert len({option.name for option in options}) == len(options), "Option names must be unique"


def _weight(of: Command | Option) -> int:
    """Count the longest of each text's translations, as Discord does."""

    def longest(text: str, translations: dict[str, str] | None) -> int:
        return max(map(len, [text, *(translations or {}).values()]))

    total = longest(of.name, of.name_localizations) + longest(of.description, of.description_localizations)
    for choice in of.choices if isinstance(of, Option) else []:
        total += longest(choice.name, choice.name_localizations) + len(str(choice.value))
    return total + sum(map(_weight, of.options))


def register(body: Any) -> list[Command]:
    """Check a bulk overwrite. Raises `ApiError` or `UnknownField`."""
    commands: list[Command] = read(list[Command], body)
    for kind, most in MOST.items():
        names = [command.name for command in commands if command.type == kind]
        if len(names) > most:
            raise ApiError(400, 30032, f"Maximum number of application commands reached ({most})")
        if len(set(names)) != len(names):
            raise ApiError(400, 50035, "Invalid Form Body", "Application command names must be unique")
    return commands


class NotOffered(AssertionError):
    """Discord's own client would not have let the person do this."""


def find(commands: list[Command], path: str, kind: int) -> tuple[Command, list[Option]]:
    """Return the command of "story" or "admin pause" and the options it takes."""
    name, *below = path.split() if kind == 1 else [path]
    for command in commands:
        if command.name == name and command.type == kind:
            options = command.options
            for part in below:
                group = next((one for one in options if one.name == part and one.type in (1, 2)), None)
                if group is None:
                    raise NotOffered(f"/{path} is not a command")
                options = group.options
            return command, options
    raise NotOffered(f"there is no command {path!r}")


_KINDS: dict[int, tuple[type, ...]] = {
    3: (str,), 4: (int,), 5: (bool,), 6: (int,), 7: (int,), 8: (int,), 10: (int, float), 11: (int,)
}  # fmt: skip
"""What a value of each option type is here; people, channels, roles and files are given by their ids."""


def check_values(options: list[Option], values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return typed values for the options, as Discord's client would send them. Raises `NotOffered`."""
    by_name = {option.name: option for option in options}
    for option in options:
        if option.required and option.name not in values:
            raise NotOffered(f"the option {option.name} is required")
    found = []
    for name, value in values.items():
        if name not in by_name:
            raise NotOffered(f"there is no option {name}; there are {', '.join(by_name)}")
        option = by_name[name]
        kinds: Any = _KINDS[option.type]
        if not isinstance(value, kinds):
            raise NotOffered(f"{name}={value!r} is of the wrong type")
        size = len(value) if isinstance(value, str) else value
        if option.choices and value not in [choice.value for choice in option.choices]:
            raise NotOffered(f"{name}={value!r} is not among the choices")
        low, high = (option.min_length, option.max_length) if option.type == 3 else (option.min_value, option.max_value)
        fits = (low is None or size >= low) and (high is None or size <= high)
        if option.type in (3, 4, 10) and not fits:
            raise NotOffered(f"{name} is out of bounds: {size}, not {low} to {high}")
        sent = str(value) if option.type in (6, 7, 8, 11) else value
        found.append({"name": name, "type": option.type, "value": sent})
    return found
