"""What the setup guides and the deployment files say is true of the program."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import discord
import pytest

from bot.config import Config, DiscordSettings, TelegramSettings
from bot.console.arguments import parser
from bot.places import NAMES
from bot.running import CLOSE_S, FLUSH_S

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "docs" / "deploy"


def read(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_the_invite_asks_for_what_the_table_says() -> None:
    guide = read("setup-discord.md")
    (number,) = set(re.findall(r"permissions=(\d+)", guide))
    rows = re.findall(r"^\| ((?:[A-Z][A-Za-z ]+(?:, )?)+) \| ", guide, re.MULTILINE)
    listed = [name.strip() for row in rows for name in row.split(", ")]
    wanted = discord.Permissions(
        **{name.lower().replace(" ", "_").replace("view_channels", "view_channel"): True for name in listed}
    )
    assert len(listed) == 7 and int(number) == wanted.value
    assert f"`{number}`" in guide


def test_settings_in_the_guide_exist() -> None:
    guide = read("setup-discord.md")
    table = guide[guide.index("| `/admin set`") :]
    named = set(re.findall(r"^\| (`[^|]*`) \|", table[table.index("\n|---") :], re.MULTILINE))
    assert {name for row in named for name in re.findall(r"`(\w+)`", row)} <= set(NAMES)


@pytest.mark.parametrize(
    ("guide", "settings"), [("setup-discord.md", DiscordSettings), ("setup-telegram.md", TelegramSettings)]
)
def test_keys_and_variables_in_the_guides_exist(guide: str, settings: type) -> None:
    text = read(guide)
    assert settings().token_env in text
    for block in re.findall(r"```toml\n\[telegram\]\n(.*?)```", text, re.DOTALL):
        for key in re.findall(r"^(\w+) =", block, re.MULTILINE):
            assert hasattr(settings(), key), key
    assert Config().limits.owners == () and "[limits] owners" in text


def test_the_unit_starts_what_there_is_and_gives_it_time() -> None:
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "tunetale.service", encoding="utf-8")
    command = unit["Service"]["ExecStart"].split()
    assert command[0].endswith("/tunetale")
    assert parser().parse_args(command[1:]).command == "run"
    ending_s = Config().engine.worker.grace_s + FLUSH_S + CLOSE_S
    assert int(unit["Service"]["TimeoutStopSec"]) > ending_s
    assert unit["Service"]["RestartPreventExitStatus"] == "2"


def test_the_image_is_built_from_the_pins() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert len(re.findall(r"pip install -c constraints\.txt", text)) == text.count("pip install") == 3
    for copied in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / name).exists() for name in copied.split())
    found = re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)
    assert found is not None
    arguments = re.findall(r'"([^"]*)"', found[1])
    assert parser().parse_args(arguments).command == "run"
