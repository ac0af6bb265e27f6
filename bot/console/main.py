"""What each command of `tunetale` does. Returns exit codes; raises `UserError` for bad input."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console as Screen

from bot.config import Config, load_config
from bot.console.ask import Wish, ask
from bot.console.backup import backup_command, restore_command
from bot.console.doctor import examine
from bot.console.run import run_command
from bot.console.setup import setup_command
from bot.console.show import answer_json, error_json, show, show_hops, write_csv
from bot.console.sources import Place, check_file, check_writable, expand, places, stem_of
from bot.console.stats import stats_command
from bot.replies import say
from bot.round_trip import compose_back, hops, tell_back, trip_json
from bot.wishes import (
    compose_request,
    emotion_request,
    lines_emotion_request,
    source_of,
    story_request,
    text_emotion_request,
)
from engine.errors import UserError
from engine.jobs import Answer, ComposeResult, Language, Request, Result, Source, StoryResult

OK, OUR_FAULT, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""

PROGRAMS = {"train": "engine.training", "evaluate": "engine.evaluation"}
"""Commands that are programs of their own."""


def dispatch(arguments: argparse.Namespace) -> int:
    """Do what the command line says and return the exit code."""
    if arguments.command in PROGRAMS:
        # Trainers and evaluations import torch, which this process never does: it becomes one of them.
        os.execv(sys.executable, [sys.executable, "-m", PROGRAMS[arguments.command], *arguments.rest])  # noqa: S606
    config = load_config(arguments.config)
    match arguments.command:
        case "story":
            return _story(arguments, config)
        case "compose":
            return _compose(arguments, config)
        case "emotion":
            return _emotion(arguments, config)
        case "run":
            return run_command(arguments, config)
        case "stats":
            return stats_command(arguments, config, screen_out(), screen_language())
        case "setup":
            return setup_command(arguments, config, screen_out(), screen_language())
        case "backup":
            return backup_command(arguments, config, screen_out(), screen_language())
        case "restore":
            return restore_command(arguments, config, screen_out(), screen_language())
        case "models":
            from bot.console.models import models_command  # the hub's library takes a while to import

            return models_command(arguments, config, screen_out(), screen_language())
        case _:
            return examine(config, screen_out(), run_jobs=not arguments.no_jobs, deep=arguments.deep)


def screen_out() -> Screen:
    """Return the screen for results."""
    return Screen(highlight=False)


def screen_err() -> Screen:
    """Return the screen for progress and errors; stdout may hold nothing but JSON."""
    return Screen(stderr=True, highlight=False)


def screen_language() -> Language:
    """Return the language of the terminal."""
    name = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh-TW" if name.lower().startswith(("zh_tw", "zh_hk", "zh-hant")) else "en"


def _story(arguments: argparse.Namespace, config: Config) -> int:
    def request(source: Source) -> Request:
        return story_request(
            source,
            language=arguments.language,
            words=arguments.words,
            seed=arguments.seed,
            candidates=arguments.candidates,
            title=arguments.title,
        )

    sources = expand(arguments.sources)
    return _sources(arguments, config, sources, places(sources, arguments.out), request)


def _emotion(arguments: argparse.Namespace, config: Config) -> int:
    given = [bool(arguments.sources), arguments.text is not None, arguments.text_file is not None]
    if sum(given) != 1:
        raise UserError("Please give either audio sources, --text or --text-file.", code="usage")
    if arguments.sources:
        if arguments.lines:
            raise UserError("--lines goes with --text or --text-file.", code="usage")
        sources = expand(arguments.sources)
        if arguments.csv and len(sources) > 1:
            raise UserError("--csv takes one source; use --json for several.", code="usage")
        nowhere = [Place(Path.cwd(), None)] * len(sources)  # a curve has no files
        return _sources(arguments, config, sources, nowhere, emotion_request)
    text = arguments.text if arguments.text is not None else read_text(arguments.text_file)
    request = lines_emotion_request(text) if arguments.lines else text_emotion_request(text, config.engine.text)
    label = str(arguments.text_file or "text")
    return _finish(arguments, config, [label], [Wish(request, label, Place(Path.cwd(), None))], {})


def _compose(arguments: argparse.Namespace, config: Config) -> int:
    if (arguments.text is None) == (arguments.file is None):
        raise UserError("Please give the story as TEXT, with --file F, or - to read it from stdin.", code="usage")
    if arguments.file is not None:
        text, stem = read_text(arguments.file), stem_of(arguments.file.name)
    elif arguments.text == "-":
        text, stem = read_text(Path("-")), "story"
    else:
        text, stem = arguments.text, "story"
    request = compose_request(
        text, config.engine.text, seconds=arguments.seconds, seed=arguments.seed, format=arguments.format
    )
    place = places([stem], arguments.out)[0]
    check_writable(place.folder)
    return _finish(arguments, config, [stem], [Wish(request, stem, place, _then(arguments, config, stem, place))], {})


def _then(arguments: argparse.Namespace, config: Config, label: str, place: Place) -> Callable[[Result], Wish] | None:
    """Return what follows a result on a round trip; its files go into a sub-folder."""

    def wish(result: Result) -> Wish:
        match result:
            case StoryResult():
                return Wish(compose_back(result, config.engine.text), label, inside(result.seed, "then-music"))
            case ComposeResult():
                return Wish(tell_back(result), label, inside(result.seed, "then-story"))
        raise AssertionError("only stories and music have a way back")

    def inside(seed: int, name: str) -> Place:
        return Place(place.resolve(seed) / name, None)

    return wish if getattr(arguments, "then_compose", False) or getattr(arguments, "then_story", False) else None


def _sources(
    arguments: argparse.Namespace,
    config: Config,
    sources: Sequence[str],
    where: Sequence[Place],
    request: Callable[[Source], Request],
) -> int:
    """Ask for every source that can be asked for; the others are reported in their turn."""
    wishes: list[Wish] = []
    refused: dict[int, UserError] = {}
    for i, (name, place) in enumerate(zip(sources, where, strict=True)):
        try:
            source = source_of(name)
            check_file(source)
            label = Path(name).name
            wishes.append(Wish(request(source), label, place, _then(arguments, config, label, place)))
        except UserError as error:
            refused[i] = error
    if wishes and hasattr(arguments, "out"):
        check_writable(where[0].folder if arguments.out is None else arguments.out.absolute())
    return _finish(arguments, config, sources, wishes, refused)


def _finish(
    arguments: argparse.Namespace,
    config: Config,
    names: Sequence[str],
    wishes: Sequence[Wish],
    refused: dict[int, UserError],
) -> int:
    """Run the wishes, print every answer in the order of `names`, and return the exit code."""
    screen, language = screen_err(), screen_language()
    answered: list[tuple[Answer, ...]] = []
    if wishes:
        answered = asyncio.run(ask(wishes, config.engine, arguments.store, screen, language))
    answers = iter(answered)
    code = OK
    for i, name in enumerate(names):
        prefix = f"{name}: " if len(names) > 1 else ""
        if i in refused:
            _complain(screen, arguments, name, prefix, refused[i].code, refused[i].message)
            code = BAD_INPUT
            continue
        answer, *then = next(answers)
        for failed in (each for each in (answer, *then) if each.result is None):
            message = failed.error_message or ""
            if failed.incident is not None:
                message = f"{message} {say(language, 'error.incident', incident=failed.incident)}"
            _complain(screen, arguments, name, prefix, failed.error_code or "error", message, told=failed is not answer)
            code = max(code, BAD_INPUT if failed.fault == "asker" else OUR_FAULT)
        if answer.result is not None:
            _print(arguments, answer, then, name, language)
    return code


def _print(
    arguments: argparse.Namespace, answer: Answer, then: Sequence[Answer], name: str, language: Language
) -> None:
    result = answer.result
    assert result is not None
    if arguments.json and then and isinstance(result, StoryResult | ComposeResult):
        print(trip_json(result, then[0]), flush=True)  # noqa: T201
    elif arguments.json:
        print(answer_json(answer, name), flush=True)  # noqa: T201
    elif getattr(arguments, "csv", False):
        write_csv(result, sys.stdout, by_line=arguments.lines)
    else:
        show(result, screen_out(), language)
        for second in (each.result for each in then if each.result is not None):
            show(second, screen_out(), language)
            if isinstance(result, StoryResult | ComposeResult) and isinstance(second, StoryResult | ComposeResult):
                show_hops(hops(result, second), screen_out(), language)


def _complain(
    screen: Screen,
    arguments: argparse.Namespace,
    name: str,
    prefix: str,
    code: str,
    message: str,
    *,
    told: bool = False,
) -> None:
    """Say what went wrong on the screen; and as a document, unless it is `told` within another one."""
    screen.print(f"{prefix}{message}", markup=False, soft_wrap=True, style="red")
    if arguments.json and not told:
        print(error_json(name, code, message), flush=True)  # noqa: T201


def read_text(path: Path) -> str:
    """Read a text file, or stdin for `-`. Raises `UserError` when it is not there or not text."""
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"There is no file {path}; please check the name.", code="missing_file") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; please name a text file.", code="is_directory") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a UTF-8 text file; please save it as UTF-8.", code="not_text") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.", code="unreadable") from None
