from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bot.__main__ import main
from bot.console.main import PROGRAMS
from engine.dispatch import OneSentenceParser, dispatch
from engine.errors import UserError

TABLE = {"text-emotion": "fake_text", "composer": "fake_composer"}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Modules that note what they were called with; the composer's returns nothing."""
    calls: list[Any] = []

    def text(arguments: list[str]) -> int:
        calls.append(("text", arguments))
        return 1

    def composer(arguments: list[str]) -> None:
        calls.append(("composer", arguments))
        if arguments == ["bad"]:
            raise UserError("There is no data folder; name one with --data.", code="bad_data")
        if arguments == ["stop"]:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "fake_text", SimpleNamespace(main=text))
    monkeypatch.setitem(sys.modules, "fake_composer", SimpleNamespace(main=composer))
    return calls


def test_the_rest_goes_to_the_module_and_its_exit_code_comes_back(ran: list[Any]) -> None:
    assert dispatch("tunetale evaluate", TABLE, ["text-emotion", "--data", "D"]) == 1
    assert dispatch("tunetale evaluate", TABLE, ["composer"]) == 0
    assert ran == [("text", ["--data", "D"]), ("composer", [])]


def test_an_unknown_name_is_one_sentence_with_the_nearest_name(
    ran: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch("tunetale evaluate", TABLE, ["text-emotoin"]) == 2
    assert "did you mean text-emotion?" in capsys.readouterr().err
    assert dispatch("tunetale evaluate", TABLE, ["zzz"]) == 2
    told = capsys.readouterr().err
    assert "text-emotion, composer" in told and told.count("\n") == 1
    assert ran == []


def test_help_and_nothing_print_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch("tunetale train", TABLE, ["--help"]) == 0
    assert "composer" in capsys.readouterr().out
    assert dispatch("tunetale train", TABLE, []) == 2
    assert "composer" in capsys.readouterr().err


def test_bad_input_is_told_without_a_trace(ran: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch("tunetale train", TABLE, ["composer", "bad"]) == 2
    assert capsys.readouterr().err == "There is no data folder; name one with --data.\n"
    assert dispatch("tunetale train", TABLE, ["composer", "stop"]) == 130


def test_the_parser_reports_a_mistake_as_one_sentence() -> None:
    parser = OneSentenceParser(prog="tunetale train gibberish")
    parser.add_argument("--seed", type=int)
    with pytest.raises(UserError) as caught:
        parser.parse_args(["--seed", "one"])
    assert caught.value.code == "usage" and "\n" not in caught.value.message and "--seed" in caught.value.message


class Became(BaseException):
    """Ends the process as `execv` would."""


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize("rest", [["text-emotion", "--data", "D"], ["--help"], []])
def test_the_command_line_becomes_the_program(command: str, rest: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def become(program: str, arguments: list[str]) -> None:
        raise Became(program, arguments)

    monkeypatch.setattr(os, "execv", become)
    with pytest.raises(Became) as caught:
        main([command, *rest])
    assert caught.value.args == (sys.executable, [sys.executable, "-m", PROGRAMS[command], *rest])
