"""Makes (music, story) pairs: several stories for each piece, the best kept. The raw material of every inverse model.

    tunetale train pairs (--audio DIR | --curves F.csv) --out F.jsonl [--stories N] [--keep N] [--language en|zh-TW]
                         [--words N] [--seed N] [--store F] [--backend B] [--model M] [--url U]

Stories are ranked by how closely they follow the music and, with `--store`, by what people who agreed to it have rated.
The same command goes on with a file that an interrupted run left. A curve table has the columns of
`tunetale emotion --csv`, `time_s,valence,arousal`, and `piece` where it holds several.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.dispatch import BAD_INPUT, DONE, OneSentenceParser
from engine.emotion.alignment import StoryBank, align
from engine.emotion.beats import find_beats
from engine.emotion.calibration import Calibration
from engine.emotion.curve import RATE_HZ, EmotionCurve, beats_array
from engine.emotion.text import TextEmotion
from engine.emotion.words import Words
from engine.errors import UserError
from engine.evaluation.pieces import Listener, Piece, audio_files
from engine.jobs import Language, StoryBeat, StoryText
from engine.report import silent
from engine.steps import curve_data, durations, plain_beat, points, rounded, seed_of
from engine.story.load import BACKENDS, load_storyteller, settings_for
from engine.story.sanitize import clean_story
from engine.story.storyteller import CANDIDATES, WORDS, Prompt, Storyteller
from engine.to_story import default_words
from engine.training.pair_rows import PairFile, PairRow, PieceFacts, Run
from engine.training.taste import Taste, consented, learn, ranking

COLUMNS = ("time_s", "valence", "arousal")


@dataclass(frozen=True, eq=False)
class Maker:
    """Writes stories for pieces and keeps the best."""

    storyteller: Storyteller
    reader: TextEmotion
    listener: str
    """Name of the model that heard the pieces."""
    run: Run
    taste: Taste | None

    def make(self, piece: Piece) -> list[PairRow]:
        """Return the kept pairs of a heard piece, best first. Raises what the storyteller raises."""
        assert piece.curve is not None
        calibration, run = Calibration.load(), self.run
        seed = seed_of(piece.sha256) if run.seed is None else run.seed
        wanted = beats_array(piece.beats)
        prompt = Prompt(
            beats=piece.beats,
            targets=points(calibration.to_text(wanted)),
            language=run.language,
            words=run.words or default_words(piece.curve.duration_s, run.language),
            seed=seed,
            candidates=run.stories,
            setting=piece.setting,
        )
        stories = [clean_story(story) for story in self.storyteller.tell(prompt, silent)]
        texts = [text for story in stories for text in story.twin or story.paragraphs]
        heard = calibration.to_music(self.reader.score(texts).values[:, :2]).reshape(len(stories), len(wanted), 2)
        lengths, bank = durations(piece.beats), StoryBank.load()
        fits = [align(wanted, answer, lengths, bank, seed, self.reader.name) for answer in heard]
        order = ranking(fits, self.taste)
        kept = min(run.keep, len(stories))
        return [
            PairRow(
                piece=PieceFacts(piece.name, piece.sha256, round(piece.curve.duration_s, 3)),
                curve=curve_data(piece.curve),
                beats=tuple(
                    StoryBeat(**vars(plain_beat(beat)), paragraph=j, story_valence=rounded(v), story_arousal=rounded(a))
                    for j, (beat, (v, a)) in enumerate(zip(piece.beats, heard[i], strict=True))
                ),
                language=run.language,
                story=StoryText(stories[i].title, stories[i].paragraphs),
                alignment=fits[i],
                rating=None if self.taste is None else self.taste.opinion(fits[i]),
                rank=rank,
                kept=kept,
                stories=len(stories),
                mean_distance=rounded(float(np.mean([fit.distance for fit in fits]))),
                seed=seed,
                models={
                    "music_emotion": self.listener,
                    "text_emotion": self.reader.name,
                    "storyteller": self.storyteller.name,
                },
                run=run,
            )
            for rank, i in enumerate(order[:kept])
        ]


def read_curve_table(path: Path) -> list[Piece]:
    """Read pieces from a table of curves: `time_s,valence,arousal` at 2 Hz, and `piece` where there are several.

    Raises `UserError` for a missing column, a value outside [-1, 1], or times that are not half a second apart.
    """
    curves: dict[str, list[tuple[float, float, float]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (table.fieldnames or ())]:
                raise UserError(
                    f"{path} has no column {missing[0]!r}; it needs {', '.join(COLUMNS)}.", code="bad_curves"
                )
            for number, row in enumerate(table, 2):
                try:
                    time_s, valence, arousal = (float(row[name]) for name in COLUMNS)
                except (TypeError, ValueError):
                    raise UserError(f"Line {number} of {path} is not three numbers.", code="bad_curves") from None
                if not (abs(valence) <= 1 and abs(arousal) <= 1):
                    raise UserError(f"Line {number} of {path} is outside [-1, 1].", code="bad_curves")
                curves.setdefault(row.get("piece") or path.stem, []).append((time_s, valence, arousal))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise UserError(f"The table {path} cannot be read.", code="bad_curves") from None
    if not curves:
        raise UserError(f"{path} holds no curve.", code="bad_curves")
    return [_piece_of(name, np.array(rows), path) for name, rows in curves.items()]


def _piece_of(name: str, rows: np.ndarray, path: Path) -> Piece:
    if not np.allclose(np.diff(rows[:, 0]), 1 / RATE_HZ, atol=1e-3):
        raise UserError(f"The times of {name!r} in {path} are not {1 / RATE_HZ} s apart.", code="bad_curves")
    values = np.ascontiguousarray(rows[:, 1:], dtype=np.float32)
    curve = EmotionCurve(values, start_s=float(rows[0, 0]))
    beats = find_beats(curve, Words.load(), Calibration.load())
    return Piece(name, beats, None, curve, hashlib.sha256(values.tobytes()).hexdigest())


def main(arguments: Sequence[str]) -> int:
    """Make pairs from a command line; 2 where a piece could not be used. Raises `UserError` on bad input."""
    asked = _parser().parse_args(arguments)
    language: Language = asked.language
    _check(asked, language)
    reader = TextEmotion.load()
    settings = settings_for(asked.backend, asked.model, asked.url)
    storyteller = load_storyteller(settings, reader, asked.backend)
    taste = None if asked.store is None else learn(consented(asked.store), reader.name)
    run = Run(storyteller.name, asked.stories, asked.keep, language, asked.words, asked.seed, taste is not None)
    say = _Said()
    if taste is not None:
        say(f"ratings of {taste.pairs} pairs, {taste.votes} votes; weight in the ranking {taste.weight:.2f}")
    if asked.curves is not None:
        pieces, listener = read_curve_table(asked.curves), asked.curves.name
        file = PairFile(asked.out, run)
        heard: Iterator[tuple[str, Piece]] = ((piece.name, piece) for piece in pieces)
        count = len(pieces)
    else:
        files, ears = audio_files(asked.audio), Listener(Calibration.load(), settings)
        file, listener, count = PairFile(asked.out, run), ears.name, len(files)
        heard = _hear(files, ears, say)
    return _make_all(Maker(storyteller, reader, listener, run, taste), heard, count, file, say)


class _Said:
    """Progress on stderr; remembers whether something could not be used."""

    def __init__(self) -> None:
        self.trouble = False

    def __call__(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def wrong(self, line: str) -> None:
        self.trouble = True
        self(line)


def _hear(files: Sequence[Path], ears: Listener, say: _Said) -> Iterator[tuple[str, Piece]]:
    for path in files:
        try:
            yield path.name, ears.hear(path)
        except UserError as error:
            say.wrong(f"{path.name}: {error.message}")


def _make_all(maker: Maker, pieces: Iterator[tuple[str, Piece]], count: int, file: PairFile, say: _Said) -> int:
    kept, all_of_them = [], []
    for number, (name, piece) in enumerate(pieces, 1):
        if piece.sha256 in file.done:
            say(f"{number}/{count} {name}: is in the file")
            continue
        try:
            rows = maker.make(piece)
        except UserError as error:
            say.wrong(f"{number}/{count} {name}: {error.message}")
            continue
        file.add(rows)
        kept += [row.alignment.distance for row in rows]
        all_of_them.append(rows[0].mean_distance)
        say(f"{number}/{count} {name}: best of {rows[0].stories} at distance {kept[-len(rows)]:.3f}")
    if kept:
        print(
            f"{len(kept)} pairs of {len(all_of_them)} pieces: mean distance {np.mean(kept):.3f} of those kept, "
            f"{np.mean(all_of_them):.3f} of all that were written"
        )
    return BAD_INPUT if say.trouble else DONE


def _check(asked: argparse.Namespace, language: Language) -> None:
    fewest, most = CANDIDATES
    if not fewest <= asked.stories <= most:
        raise UserError(f"--stories can be {fewest} to {most}, not {asked.stories}.", code="usage")
    if not 1 <= asked.keep <= asked.stories:
        raise UserError(f"--keep can be 1 to the {asked.stories} of --stories, not {asked.keep}.", code="usage")
    low, high = WORDS[language]
    if asked.words is not None and not low <= asked.words <= high:
        raise UserError(f"--words can be {low} to {high} in this language, not {asked.words}.", code="usage")


def _parser() -> argparse.ArgumentParser:
    parser = OneSentenceParser(prog="tunetale train pairs", description=(__doc__ or "").split("\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--audio", type=Path, help="folder of music")
    source.add_argument("--curves", type=Path, help="CSV of curves: time_s,valence,arousal, and piece where several")
    parser.add_argument("--out", type=Path, required=True, help="the file of JSON lines to write, or to go on with")
    parser.add_argument("--stories", type=int, default=8, help="stories written for each piece")
    parser.add_argument("--keep", type=int, default=1, help="of these, so many of the best are kept")
    parser.add_argument("--language", choices=tuple(WORDS), default="en")
    parser.add_argument("--words", type=int, help="length of the stories; by default by that of the music")
    parser.add_argument("--seed", type=int, help="for all pieces; by default each has its own")
    parser.add_argument("--store", type=Path, help="store whose ratings, where people agreed, rank as well")
    parser.add_argument("--backend", choices=BACKENDS, default="embedded", help="the storyteller")
    parser.add_argument("--model", default="", help="its model: directory or name")
    parser.add_argument("--url", default="", help="address of the server, for the backend openai")
    return parser
