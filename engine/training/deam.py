"""The paper's experiment: the network trained on DEAM's own audio and its ratings twice a second.

    tunetale train music-emotion --dataset deam --audio DIR --annotations DIR [--out DIR] [--seed N] [--epochs N]

Nothing else is learned from: no other data set, no teacher. `--audio` holds `<song id>.mp3` (or ogg, wav, flac),
`--annotations` holds `arousal.csv` and `valence.csv` with the columns `song_id, sample_15000ms, sample_15500ms, …`
(DEAM's folder "dynamic (per second annotations)", at any depth). Songs, not frames, are split: 70 % train, 15 %
development, 15 % test; ids above 2000, the full songs of MediaEval 2015, are a part of their own. Knows DEAM's layout.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engine.dispatch import OneSentenceParser
from engine.emotion.bilstm import Array, CurveNet, Inputs, Shape, prepare, standardise
from engine.emotion.curve import RATE_HZ
from engine.emotion.features import NAMES, extract
from engine.emotion.music import MusicConfig, hear, save_model, to_plane
from engine.errors import UserError
from engine.evaluation.learning_curve import draw_learning_curve
from engine.evaluation.metrics import concordance, mae, mean_within_r, pearson_r, rmse
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.training.deam_songs import split

NAME = "bilstm-deam (TuneTale)"
AXES = ("valence", "arousal")
SPREAD = (0.35, 0.33)
BATCH, RATE, WEIGHT_DECAY, DROPOUT = 32, 2e-3, 0.05, 0.3
_SUFFIXES = (".mp3", ".ogg", ".wav", ".flac")


@dataclass(frozen=True, eq=False)
class Song:
    """Feature rows [T, F] and ratings [T, 2] on [-1, 1], NaN where nobody rated."""

    id: int
    rows: Array
    ratings: Array

    @property
    def rated(self) -> NDArray[np.bool_]:
        """Which rows have ratings [T]."""
        return np.asarray(np.isfinite(self.ratings).all(axis=1))


def read(audio: Path, annotations: Path, tell: Callable[[float], None]) -> list[Song]:
    """Read and describe every song that has ratings. Raises `UserError` naming what is missing or not as expected."""
    valence, arousal = (_ratings(_find(annotations, axis)) for axis in AXES)
    songs = []
    for done, song in enumerate(sorted(valence.keys() & arousal.keys())):
        path = next((p for p in (audio / f"{song}{suffix}" for suffix in _SUFFIXES) if p.is_file()), None)
        if path is None:
            raise UserError(f"{audio} has no recording of song {song}, such as {song}.mp3.", code="data_missing")
        rows = extract(_samples(path)).rows
        ratings = np.full((len(rows), 2), np.nan, np.float32)
        for axis, values in enumerate((valence[song], arousal[song])):
            for row, value in values.items():
                if row < len(rows):
                    ratings[row, axis] = value
        songs.append(Song(song, rows, ratings))
        tell((done + 1) / len(valence))
    if len(songs) < 10:
        raise UserError(
            f"{annotations} rates {len(songs)} songs; the experiment needs 10 or more.", code="data_missing"
        )
    return songs


def _find(folder: Path, axis: str) -> Path:
    found = sorted(folder.rglob(f"{axis}.csv")) + sorted(folder.rglob(f"dynamic_{axis}.csv"))
    if not found:
        raise UserError(f"{folder} has no {axis}.csv; give --annotations DEAM's folder.", code="data_missing")
    return found[0]


def _ratings(path: Path) -> dict[int, dict[int, float]]:
    """Read one file of ratings: song -> row of the features -> value."""
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines, skipinitialspace=True)
        times = {name: _row(name) for name in reader.fieldnames or () if name.startswith("sample_")}
        if "song_id" not in (reader.fieldnames or ()) or not times:
            raise UserError(f"{path} has no columns song_id and sample_15000ms, …", code="data_damaged")
        try:
            return {
                int(float(row["song_id"])): {at: float(row[name]) for name, at in times.items() if row[name]}
                for row in reader
            }
        except (ValueError, TypeError) as error:
            raise UserError(f"{path} is not as expected ({error}).", code="data_damaged") from None


def _row(column: str) -> int:
    try:
        return round(int(column.removeprefix("sample_").removesuffix("ms")) / 1000 * RATE_HZ)
    except ValueError:
        raise UserError(f"The column {column!r} names no time such as sample_15000ms.", code="data_damaged") from None


def _samples(path: Path) -> Array:
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path} cannot be decoded ({error}).", code="data_damaged") from None
    mono: Array = samples.mean(axis=1)
    return mono if rate == ANALYSIS_RATE_HZ else np.asarray(soxr.resample(mono, rate, ANALYSIS_RATE_HZ), np.float32)


@dataclass(frozen=True, eq=False)
class Trained:
    """The network, and its mean squared error on train and development part after each epoch."""

    net: CurveNet
    config: MusicConfig
    losses: dict[str, list[float]]


def train(
    songs: Sequence[Song], dev: Sequence[Song], shape: Shape, epochs: int, seed: int, tell: Callable[[float], None]
) -> Trained:
    """Train the whole network on every rated half second; what is kept is best on the development part."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    heard = np.concatenate([song.rows for song in songs])
    mean, scale = heard.mean(axis=0), np.maximum(heard.std(axis=0), 1e-3)
    net = CurveNet(shape)
    parts = [prepare(standardise(song.rows, mean, scale), shape) for song in songs]
    known = np.concatenate([part[1][song.rated] for part, song in zip(parts, songs, strict=True)])
    net.song_mean[:] = torch.from_numpy(known.mean(axis=0))
    net.song_scale[:] = torch.from_numpy(np.maximum(known.std(axis=0), 0.05))
    config = MusicConfig(NAME, shape, NAMES, tuple(map(float, mean)), tuple(map(float, scale)), SPREAD)
    spread = torch.tensor(SPREAD)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
    losses: dict[str, list[float]] = {"train": [], "development": []}
    best: tuple[float, dict[str, torch.Tensor]] = (np.inf, {})
    for epoch in range(epochs):
        net.train()
        sums = []
        for chosen in _batches(rng.permutation(len(songs))):
            inputs, truth, mask, lengths = _pad([parts[i] for i in chosen], [songs[i] for i in chosen])
            found = torch.tanh(spread * (net.where(inputs.song) + net.differs(inputs, lengths, DROPOUT)))
            loss = (mask * (found - truth).square()).sum() / mask.sum() / 2
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            sums.append(float(loss.detach()))
        net.eval()
        losses["train"].append(float(np.mean(sums)))
        errors = [np.square(curve[s.rated] - s.ratings[s.rated]) for s in dev for curve in [_curve(net, config, s)]]
        losses["development"].append(float(np.concatenate(errors).mean()))
        if losses["development"][-1] < best[0]:
            best = (losses["development"][-1], {k: v.detach().clone() for k, v in net.state_dict().items()})
        tell((epoch + 1) / epochs)
    net.load_state_dict(best[1])
    return Trained(net, config, losses)


def _curve(net: CurveNet, config: MusicConfig, song: Song) -> Array:
    return to_plane(hear(net, config, song.rows), config.spread)


def _batches(order: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    yield from np.array_split(order, max(1, len(order) // BATCH))


def _pad(
    parts: Sequence[tuple[Array, Array, Array, Array]], songs: Sequence[Song]
) -> tuple[Inputs, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return inputs, ratings [B, T, 2], which of them are there [B, T, 1], and lengths [B]."""
    pad = torch.nn.utils.rnn.pad_sequence
    inputs = Inputs(*(pad([torch.from_numpy(part[i]) for part in parts], batch_first=True) for i in range(4)))
    ratings = [torch.from_numpy(np.nan_to_num(song.ratings)) for song in songs]
    mask = pad([torch.from_numpy(song.rated.astype(np.float32))[:, None] for song in songs], batch_first=True)
    return inputs, pad(ratings, batch_first=True), mask, torch.tensor([len(song.rows) for song in songs])


@dataclass(frozen=True)
class Row:
    """One line of the table, over all rated half seconds of one part: errors on [-1, 1]."""

    part: str
    axis: str
    songs: int
    mae: float
    constant_mae: float
    song_constant_mae: float
    """Error of who knows each song's mean and nothing else."""
    rmse: float
    ccc: float
    r: float
    within_r: float


def report(trained: Trained, parts: dict[str, list[Song]], constant: Array) -> list[Row]:
    """Score the parts. `constant` is the mean (valence, arousal) of the training songs."""
    rows = []
    for part, songs in parts.items():
        for axis, label in enumerate(AXES):
            truths = [song.ratings[song.rated, axis] for song in songs]
            found = [_curve(trained.net, trained.config, song)[song.rated, axis] for song in songs]
            truth, guess = np.concatenate(truths), np.concatenate(found)
            known = np.concatenate([np.full(len(t), t.mean()) for t in truths])
            rows.append(
                Row(
                    part, label, len(songs), mae(truth, guess), mae(truth, np.full_like(truth, constant[axis])),
                    mae(truth, known), rmse(truth, guess), concordance(truth, guess), pearson_r(truth, guess),
                    mean_within_r(truths, found),
                )
            )  # fmt: skip
    return rows


def main(arguments: Sequence[str], tell: Callable[[str, float], None]) -> None:
    """Run the command of the module's docstring."""
    parser = OneSentenceParser(prog="tunetale train music-emotion --dataset deam", description=__doc__)
    parser.add_argument("--audio", type=Path, required=True, help="folder of recordings")
    parser.add_argument("--annotations", type=Path, required=True, help="folder with valence.csv and arousal.csv")
    parser.add_argument("--out", type=Path, default=Path("music-emotion-deam"), help="where the weights go")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args(arguments)
    songs = read(options.audio, options.annotations, lambda done: tell("listening", done))
    rows = split(np.array([song.id for song in songs], dtype=np.int64))
    named = {"train": rows.train, "development": rows.dev, "test": rows.test, "full songs": rows.hard}
    parts = {name: [songs[i] for i in found] for name, found in named.items() if len(found)}
    kept = parts.pop("train")
    done = train(
        kept, parts["development"], Shape(len(NAMES)), options.epochs, options.seed, lambda d: tell("training", d)
    )
    save_model(options.out, done.config, done.net)
    draw_learning_curve(
        options.out / "learning_curve.png", "DEAM, two ratings a second", "mean squared error", done.losses
    )
    constant = np.concatenate([song.ratings[song.rated] for song in kept]).mean(axis=0)
    show(report(done, parts, constant), Console(width=120))
    print(f"weights and learning curve written to {options.out}")


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table, and what the paper reports."""
    table = Table(title="DEAM at 2 Hz, split by song; scale [-1, 1]")
    headings = ("part", "axis", "songs", "MAE", "constant", "song's own mean", "RMSE", "CCC", "r", "within songs r")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("part", "axis") else "right")
    for row in rows:
        errors = (row.mae, row.constant_mae, row.song_constant_mae, row.rmse, row.ccc, row.r, row.within_r)
        table.add_row(row.part, row.axis, str(row.songs), *(f"{value:.3f}" for value in errors))
    console.print(table)
    console.print("The paper reports MAE 0.14–0.15 (scale and split not stated).")
