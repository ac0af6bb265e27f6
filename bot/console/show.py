"""Writes results on the terminal: for people, as JSON, or as CSV. Data is never taken for markup."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console as Screen
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bot.replies import say
from bot.round_trip import Hop
from engine.jobs import (
    Alignment,
    Answer,
    ComposeResult,
    EmotionResult,
    Language,
    PlainBeat,
    Result,
    StoryResult,
    TextEmotionResult,
    result_to_json,
)
from engine.wording import alignment_sentence, made_sentence


def show(result: Result, screen: Screen, language: Language) -> None:
    """Show a result to a person."""
    match result:
        case StoryResult():
            _show_story(result, screen, language)
        case ComposeResult():
            _show_music(result, screen, language)
        case EmotionResult():
            screen.print(Text(f"{result.music.title} ({_clock(result.music.duration_s)})", style="bold"))
            screen.print(_beats(result.beats, language))
        case TextEmotionResult():
            screen.print(_sentences(result, language))
            _notes(result.notes, screen, language)


def answer_json(answer: Answer, source: str) -> str:
    """Return an answer as one line of JSON; a failed one as the error document of the contract."""
    if answer.result is not None:
        return result_to_json(answer.result)
    return error_json(source, answer.error_code or "error", answer.error_message or "")


def error_json(source: str, code: str, message: str) -> str:
    """Return the error document for one source."""
    document = {"kind": "error", "source": source, "code": code, "message": message}
    return json.dumps(document, ensure_ascii=False)


def show_hops(trip: Iterable[Hop], screen: Screen, language: Language) -> None:
    """Say how far the feeling went with each step of a round trip."""
    for hop in trip:
        sides = {"start": say(language, f"result.{hop.start}"), "end": say(language, f"result.{hop.end}")}
        numbers = {"distance": f"{hop.distance:.2f}", "drift": f"{hop.drift:.2f}"}
        screen.print(Text(say(language, "result.hop", **sides, **numbers)))


def write_csv(result: Result, out: TextIO, *, by_line: bool = False) -> None:
    """Write a curve as `time_s,valence,arousal`, or scores as `line,…` (by line) or `sentence,…,text`."""
    writer = csv.writer(out, lineterminator="\n")
    if isinstance(result, EmotionResult):
        curve = result.curve
        writer.writerow(("time_s", "valence", "arousal"))
        for i, (valence, arousal) in enumerate(zip(curve.valence, curve.arousal, strict=True)):
            writer.writerow((f"{curve.start_s + i / curve.rate_hz:g}", valence, arousal))
    elif isinstance(result, TextEmotionResult):
        writer.writerow(("line" if by_line else "sentence", "valence", "arousal", "dominance"))
        for i, row in enumerate(result.sentences, 1):
            # An empty line keeps its row: the csv module writes None as an empty value.
            writer.writerow((i, row.valence, row.arousal, row.dominance))


def _show_story(result: StoryResult, screen: Screen, language: Language) -> None:
    screen.print()
    screen.print(Text(result.story.title, style="bold"), justify="center")
    for paragraph in result.story.paragraphs:
        screen.print(Padding(Text(paragraph), (1, 2, 0, 2)))
    screen.print()
    answers = [(beat.story_valence, beat.story_arousal) for beat in result.beats]
    screen.print(_beats(result.beats, language, "answer_story", answers))
    _footer(result.alignment, result.models, result.seed, result.notes, screen, language)
    _files(vars(result.files), screen, language)


def _show_music(result: ComposeResult, screen: Screen, language: Language) -> None:
    screen.print()
    screen.print(Padding(Text(result.description), (0, 2)))
    screen.print()
    answers = [(beat.heard_valence, beat.heard_arousal) for beat in result.beats]
    screen.print(_beats(result.beats, language, "answer_music", answers))
    _footer(result.alignment, result.models, result.seed, result.notes, screen, language)
    _files(vars(result.files), screen, language)


def _footer(
    alignment: Alignment,
    models: dict[str, str],
    seed: int,
    notes: Iterable[str],
    screen: Screen,
    language: Language,
) -> None:
    screen.print(Text(alignment_sentence(alignment, language)))
    screen.print(Text(made_sentence(models.values(), seed, language), style="dim"))
    _notes(notes, screen, language)


def _notes(notes: Iterable[str], screen: Screen, language: Language) -> None:
    for note in notes:
        screen.print(Text(say(language, f"note.{note}"), style="yellow"))


def _files(files: dict[str, str | None], screen: Screen, language: Language) -> None:
    screen.print(Text(say(language, "result.files"), style="bold"))
    for path in files.values():
        if path is not None:
            screen.print(Text(f"  {path}"), soft_wrap=True)


def _beats(
    beats: Iterable[PlainBeat],
    language: Language,
    answer: str | None = None,
    answers: Iterable[tuple[float, float]] = (),
) -> Table:
    table = Table(box=None, header_style="dim")
    headings = ["time", "feeling", "valence", "arousal", *([answer] if answer else [])]
    for heading in headings:
        table.add_column(say(language, f"result.{heading}"), justify="left" if heading == "feeling" else "right")
    marks = list(answers)
    for i, beat in enumerate(beats):
        cells = [_clock(beat.start_s), beat.word, f"{beat.valence:+.2f}", f"{beat.arousal:+.2f}"]
        if marks:
            cells.append("{:+.2f} {:+.2f}".format(*marks[i]))
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _sentences(result: TextEmotionResult, language: Language) -> Table:
    table = Table(box=None, header_style="dim")
    for heading in ("valence", "arousal", "dominance"):
        table.add_column(say(language, f"result.{heading}"), justify="right")
    table.add_column(say(language, "result.sentence"))
    for row in result.sentences:
        numbers = (row.valence, row.arousal, row.dominance)
        table.add_row(*("" if number is None else f"{number:+.2f}" for number in numbers), Text(row.text))
    return table


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
