"""The configuration file: complete example, every mistake at once, suggestions."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bot.config import Config, load_config, parse_config
from engine.errors import UserError

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def keys(values: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in values.items():
        found |= keys(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return found


def test_the_example_names_every_key_with_its_default() -> None:
    text = EXAMPLE.read_text()
    assert parse_config(text, "example") == Config()
    assert keys(tomllib.loads(text)) == keys(asdict(Config()))


def test_values_are_read_into_place() -> None:
    config = parse_config('[engine.media]\nmax_seconds = 60\n[store]\npath = "x.sqlite"', "c")
    assert config.engine.media.max_seconds == 60.0
    assert config.store.path == "x.sqlite"
    assert config.engine.worker == Config().engine.worker


def test_a_misspelt_key_gets_a_suggestion() -> None:
    with pytest.raises(
        UserError, match=r"engine\.media\.max_second: unknown key; did you mean engine\.media\.max_seconds\?"
    ):
        parse_config("[engine.media]\nmax_second = 60", "c")


def test_a_strange_key_gets_the_known_ones() -> None:
    with pytest.raises(UserError, match="known here: store, engine"):
        parse_config("[zebra]\nx = 1", "c")


def test_all_mistakes_are_told_at_once() -> None:
    text = """
[engine.media]
max_seconds = "long"
lniks = true
[engine.worker]
slots = 1.5
[engine.stages]
composer = "mozart"
"""
    with pytest.raises(UserError) as caught:
        parse_config(text, "config.toml")
    message = caught.value.message
    assert message.startswith("config.toml has 4 mistakes; please correct:\n")
    for key in ("engine.media.max_seconds", "engine.media.lniks", "engine.worker.slots", "engine.stages.composer"):
        assert f"\n  {key}: " in message
    assert "'mozart'" in message
    assert "'embedded'" in message


def test_a_misspelt_backend_gets_a_suggestion() -> None:
    with pytest.raises(
        UserError, match=r"engine\.stages\.storyteller: 'transfromers' is not known; did you mean 'trans"
    ):
        parse_config('[engine.stages]\nstoryteller = "transfromers"', "c")


def test_a_stage_follows_the_profile_unless_it_is_set_alone() -> None:
    stages = parse_config('[engine.stages]\nprofile = "full"\ncomposer = "embedded"', "c").engine.stages
    assert stages.backend("storyteller") == "transformers"
    assert stages.backend("composer") == "embedded"
    assert Config().engine.stages.backend("storyteller") == "embedded"


@pytest.mark.parametrize(
    "line", ["temperature = 3.0", "candidates = 0", "candidates = 99", "top_p = 0.0", 'temperature = "hot"']
)
def test_numbers_out_of_range_are_refused(line: str) -> None:
    with pytest.raises(UserError, match=rf"engine\.writing\.{line.split()[0]}: "):
        parse_config(f"[engine.writing]\n{line}", "c")


def test_one_mistake_is_called_one() -> None:
    with pytest.raises(UserError, match="has a mistake"):
        parse_config("[store]\npath = 3", "c")


def test_a_section_that_is_no_table() -> None:
    with pytest.raises(UserError, match="engine: "):
        parse_config("engine = 5", "c")


def test_broken_toml_says_where() -> None:
    with pytest.raises(UserError, match=r"c is not valid TOML: .*line 2"):
        parse_config("[store]\npath = \n[engine]", "c")


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config(None) == Config()
    (tmp_path / "config.toml").write_text('[store]\npath = "mine.sqlite"')
    assert load_config(None).store.path == "mine.sqlite"


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no configuration file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(UserError, match="cannot be read"):
        load_config(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read"):
        load_config(tmp_path / "latin.toml")


def test_a_file_with_a_token_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[telegram]\ntoken = "123:secret"')
    file.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600") as caught:
        load_config(file)
    assert 'secret"' not in caught.value.message and "123:" not in caught.value.message
    file.chmod(0o600)
    config = load_config(file)
    assert config.telegram.token.get_secret_value() == "123:secret" and "123:" not in repr(config)
    file.write_text('[discord]\ntoken = ""')
    file.chmod(0o644)
    load_config(file)  # nothing to hide


def test_a_mistyped_token_is_not_repeated() -> None:
    with pytest.raises(UserError, match=r"discord\.token: ") as caught:
        parse_config("[discord]\ntoken = 987654321", "c")
    assert "987654321" not in caught.value.message
