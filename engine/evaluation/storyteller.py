"""How varied, how well fitting, how long and how fast are the stories? Prints the tables behind the claims.

Knows prompts, stories and a judge that scores texts. The judge should be a text model trained on other data than the
one that scored the fragments (`engine/assets/text_judge`); where it is missing, the shipped model judges, and what is
printed says that this is no independent opinion.

    tunetale evaluate storyteller [--audio DIR | --curves FILE] [--backend NAME] [--pieces N]
                                  [--language en|zh-TW] [--words N] [--lengths N] [--show N]

`--curves` takes saved lines of `tunetale emotion --json`, so that many pieces need to be heard only once. Without
either the pieces are random smooth courses of feeling.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engine.dispatch import OneSentenceParser
from engine.emotion.alignment import StoryBank, align
from engine.emotion.calibration import Calibration
from engine.emotion.curve import VA, beats_array
from engine.emotion.text import ASSETS, TextEmotion
from engine.errors import UserError
from engine.evaluation.metrics import bootstrap_interval, pearson_r
from engine.evaluation.pieces import Piece, hear_folder, prompt_for, random_piece, read_curves
from engine.evaluation.prose import Prose, length_error, measure_prose
from engine.jobs import Language
from engine.report import silent
from engine.settings import EngineSettings
from engine.steps import durations
from engine.story.load import BACKENDS, load_storyteller, settings_for
from engine.story.storyteller import WORDS, Story, Storyteller

JUDGE = ASSETS / "text_judge"
BANK = ASSETS / "story_bank.npz"
DEFAULT_WORDS: dict[Language, int] = {"en": 250, "zh-TW": 420}
LENGTHS: dict[Language, tuple[int, ...]] = {"en": (80, 120, 250, 400, 600), "zh-TW": (120, 200, 420, 700, 1_000)}
TOLERANCE = 0.12
"""Relative error in length that counts as obeyed."""
Read = Callable[[Sequence[str]], NDArray[np.float64]]
"""Texts -> [n, 2] valence and arousal on the text scale."""


@dataclass(frozen=True)
class Judge:
    """A reader with a name; `independent` when it learned from other data than the model that scored the fragments."""

    name: str
    read: Read
    independent: bool
    bank: Path
    """The story bank as this reader reads it, an `.npz` on the text scale."""


@dataclass(frozen=True)
class Told:
    """A story for a piece, and the seconds that telling it took."""

    piece: Piece
    story: Story
    seconds: float


@dataclass(frozen=True)
class Fit:
    """How well the paragraphs follow the beats, as the judge reads them; intervals (95 %) draw whole pieces."""

    beats: int
    valence_r: float
    valence_interval: tuple[float, float]
    arousal_r: float
    arousal_interval: tuple[float, float]
    distance: float
    """Mean distance of beat and paragraph on the music's scale."""
    better_than_shuffled: float
    """Median over pieces."""


@dataclass(frozen=True)
class Lengths:
    """How stories of `words` words come out: relative errors over several pieces."""

    words: int
    mean_error: float
    worst: float
    obeyed: float
    """Share of the stories within TOLERANCE."""


def tell_all(
    storyteller: Storyteller, pieces: Sequence[Piece], calibration: Calibration, language: Language, words: int
) -> list[Told]:
    """Tell one story for each piece; the seed is the piece's number."""
    told = []
    for seed, piece in enumerate(pieces):
        prompt = prompt_for(piece, calibration, language, words, seed)
        begin = time.perf_counter()
        (story, *_) = storyteller.tell(prompt, silent)
        told.append(Told(piece, story, time.perf_counter() - begin))
    return told


def measure_fit(told: Sequence[Told], judge: Judge, own: Read, calibration: Calibration) -> Fit:
    """Judge every paragraph against its beat.

    A judge's ratings have a mean and spread of their own, so they are brought to those that TuneTale's own reading
    (`own`) of all these paragraphs has: one affine map for everything, the story bank included, which moves no
    correlation.
    """
    texts = [text for one in told for text in one.story.twin or one.story.paragraphs]
    heard = judge.read(texts)
    with np.load(judge.bank, allow_pickle=False) as data:
        tales, offsets = data["values"].astype(np.float64), data["offsets"]
    if judge.independent:
        reference, mean = own(texts), heard.mean(axis=0)
        factor = reference.std(axis=0) / heard.std(axis=0)
        heard, tales = ((values - mean) * factor + reference.mean(axis=0) for values in (heard, tales))
    got: VA = calibration.to_music(heard)
    bank = StoryBank.of(calibration.to_music(tales), offsets)
    wanted: VA = np.concatenate([beats_array(one.piece.beats) for one in told])
    groups = [number for number, one in enumerate(told) for _ in one.piece.beats]
    shares, start = [], 0
    for seed, one in enumerate(told):
        end = start + len(one.piece.beats)
        pair = align(wanted[start:end], got[start:end], durations(one.piece.beats), bank, seed, judge.name)
        shares.append(pair.better_than_shuffled)
        start = end
    return Fit(
        beats=len(wanted),
        valence_r=pearson_r(wanted[:, 0], got[:, 0]),
        valence_interval=bootstrap_interval(pearson_r, wanted[:, 0], got[:, 0], groups=groups),
        arousal_r=pearson_r(wanted[:, 1], got[:, 1]),
        arousal_interval=bootstrap_interval(pearson_r, wanted[:, 1], got[:, 1], groups=groups),
        distance=float(np.linalg.norm(wanted - got, axis=1).mean()),
        better_than_shuffled=float(np.median(shares)),
    )


def measure_lengths(
    storyteller: Storyteller, pieces: Sequence[Piece], calibration: Calibration, language: Language
) -> list[Lengths]:
    """Tell every piece at every length of LENGTHS."""
    found = []
    for words in LENGTHS[language]:
        told = tell_all(storyteller, pieces, calibration, language, words)
        errors = np.abs([length_error(one.story, words) for one in told])
        found.append(Lengths(words, float(errors.mean()), float(errors.max()), float((errors <= TOLERANCE).mean())))
    return found


def load_judge(own: TextEmotion, folder: Path = JUDGE) -> Judge:
    """Return the independent judge where it is installed, else TuneTale's own model, marked as such."""
    if not folder.is_dir():
        return Judge(own.name, reader(own), independent=False, bank=BANK)
    judge = TextEmotion.load(folder)
    return Judge(f"{judge.name} ({folder.name})", reader(judge), independent=True, bank=folder / BANK.name)


def reader(model: TextEmotion) -> Read:
    """Return a function that reads valence and arousal with a text model."""
    return lambda texts: model.score(texts).values[:, :2].astype(np.float64)


def print_prose(prose: Prose, told: Sequence[Told], console: Console) -> None:
    """Print how varied the stories are and how long they took."""
    seconds = [one.seconds for one in told]
    table = Table("measure", "value", title=f"{prose.stories} pieces, one story each")
    table.add_row("commonest sentence, share of stories", f"{prose.commonest_share:.1%}")
    table.add_row("  which is", prose.commonest)
    table.add_row("repeated sentences inside stories", str(prose.repeats_inside))
    table.add_row("distinct-2 over all", f"{prose.distinct2_overall:.3f}")
    table.add_row("distinct-2 within a story", f"{prose.distinct2_within:.3f}")
    table.add_row("different titles", f"{prose.titles_share:.0%}")
    table.add_row("seconds a story, median and slowest", f"{np.median(seconds):.2f}, {max(seconds):.2f}")
    console.print(table)


def print_fit(fit: Fit, judge: Judge, pieces: int, console: Console) -> None:
    """Print how well the stories follow the music, and who says so."""
    whose = "trained on other data" if judge.independent else "the model that scored the fragments: not independent"
    table = Table("measure", "value", "95 % interval", title=f"fit over {fit.beats} beats of {pieces} pieces")
    for name, r, (low, high) in (
        ("pooled r, valence", fit.valence_r, fit.valence_interval),
        ("pooled r, arousal", fit.arousal_r, fit.arousal_interval),
    ):
        table.add_row(name, f"{r:.3f}", f"{low:.3f} to {high:.3f}")
    table.add_row("mean distance (music's scale)", f"{fit.distance:.3f}", "")
    table.add_row("better than shuffled, median", f"{fit.better_than_shuffled:.3f}", "")
    console.print(table)
    console.print(f"Judge: {judge.name}, {whose}.")


def print_lengths(found: Sequence[Lengths], console: Console) -> None:
    """Print how well the length asked for is kept."""
    table = Table("length asked for", "mean error", "worst", f"within {TOLERANCE:.0%}", title="length")
    for one in found:
        table.add_row(str(one.words), f"{one.mean_error:.1%}", f"{one.worst:.1%}", f"{one.obeyed:.0%}")
    console.print(table)


def print_stories(told: Sequence[Told], console: Console) -> None:
    """Print stories to read aloud, each paragraph with the word of its beat."""
    for one in told:
        console.print(f"\n[bold]{one.story.title}[/bold] ({one.piece.name})")
        for beat, text in zip(one.piece.beats, one.story.paragraphs, strict=True):
            console.print(f"[dim]{beat.word} {beat.valence:+.2f} {beat.arousal:+.2f}[/dim] {text}")


def main(arguments: Sequence[str]) -> int:
    """Run the evaluation; 2 when the input is not usable. Raises what the storyteller raises."""
    asked = _parser().parse_args(arguments)
    language: Language = asked.language
    low, high = WORDS[language]
    words = asked.words or DEFAULT_WORDS[language]
    if not low <= words <= high or asked.pieces < 1:
        raise UserError(f"Ask for {low} to {high} words and at least one piece.", code="bad_words")
    calibration, console = Calibration.load(), Console(highlight=False)
    pieces = _pieces(asked, calibration)
    own = TextEmotion.load()
    settings = settings_for(asked.backend, asked.model, asked.url)
    storyteller = load_storyteller(settings, own, asked.backend)
    judge = load_judge(own)
    told = tell_all(storyteller, pieces, calibration, language, words)
    print_stories(told[: asked.show], console)
    varied = told[: asked.pieces]
    print_prose(measure_prose([one.story for one in varied]), varied, console)
    print_fit(measure_fit(told, judge, reader(own), calibration), judge, len(told), console)
    if asked.lengths:
        print_lengths(measure_lengths(storyteller, pieces[: asked.lengths], calibration, language), console)
    return 0


def _pieces(asked: argparse.Namespace, calibration: Calibration) -> list[Piece]:
    if asked.curves:
        return read_curves(asked.curves, calibration)
    if asked.audio:
        return list(hear_folder(asked.audio, calibration, EngineSettings()))
    return [random_piece(seed, calibration) for seed in range(asked.pieces)]


def _parser() -> argparse.ArgumentParser:
    parser = OneSentenceParser(prog="tunetale evaluate storyteller", description=(__doc__ or "").split("\n")[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--audio", type=Path, help="folder of music to tell stories for")
    source.add_argument("--curves", type=Path, help="file of saved `tunetale emotion --json` lines")
    parser.add_argument("--backend", choices=BACKENDS, default="embedded")
    parser.add_argument("--model", default="", help="model of the backend: directory or name")
    parser.add_argument("--url", default="", help="address of the server, for the backend openai")
    parser.add_argument("--pieces", type=int, default=100, help="over how many pieces variety is counted")
    parser.add_argument("--language", choices=sorted(DEFAULT_WORDS), default="en")
    parser.add_argument("--words", type=int, default=None, help="length of the stories (characters in zh-TW)")
    parser.add_argument("--lengths", type=int, default=0, metavar="N", help="tell N pieces at every length, too")
    parser.add_argument("--show", type=int, default=0, help="print so many of the stories")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
