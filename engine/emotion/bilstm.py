"""The network from feature rows to valence and arousal. Knows numbers; knows nothing of audio, files or training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Array = NDArray[np.float32]

CLIP = 5.0
"""Statistics further than this many standard deviations from a population's mean say no more than that they are far."""

ROW_CLIP = 8.0
"""The same of single rows; more, because a synthesiser's lie far from those of recordings, and still differ there."""

PLACE_COLUMNS = 6
"""Columns of `places`."""

_EDGE = 0.05
"""Share of a piece over which its beginning and its end count as such."""

UNITS = 2
"""How many populations the song's statistics are compared with: real recordings, and rendered ones."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a `CurveNet`: feature columns, width into the LSTM, LSTM units per direction, width of the song head,
    rows (half seconds) on either side of a row that count as its song, and as its moment, and how many GEMS emotions
    the song head tells beside valence and arousal."""

    features: int
    project: int = 32
    hidden: int = 32
    head: int = 192
    context_rows: int = 120
    moment_rows: int = 24
    gems: int = 0


class Inputs(NamedTuple):
    """What the network reads of one piece [T, ...] or of a batch [B, T, ...]; made by `prepare`.

    `rows` [F] standardised features; `song` [2 F] their mean and standard deviation around the row, a minute on
    either side; `moment` [F] how the mean of a few seconds differs from that of the song; `place` [PLACE_COLUMNS].
    """

    rows: Tensor
    song: Tensor
    moment: Tensor
    place: Tensor


class CurveNet(nn.Module):
    """A curve is where its song lies on the plane, and how each moment differs from that.

    Where the song lies is read from statistics of a long stretch around every row by the song head. How the moment
    differs is read plainly (linearly) from its own deviation and its place in the piece, and followed by a
    bidirectional LSTM. Padding is never seen: the LSTM runs packed, and the statistics are made before anything is
    padded.
    """

    song_mean: Tensor
    song_scale: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("song_mean", torch.zeros(UNITS, 2 * shape.features))
        self.register_buffer("song_scale", torch.ones(UNITS, 2 * shape.features))
        seen, told = UNITS * 2 * shape.features, 2 + shape.gems
        self.song_direct = nn.Linear(seen, told)
        self.song_bent = nn.Sequential(
            nn.Linear(seen, shape.head), nn.GELU(), nn.Linear(shape.head, shape.head // 2), nn.GELU(),
            nn.Linear(shape.head // 2, told),
        )  # fmt: skip
        self.project = nn.Linear(2 * shape.features, shape.project)
        self.lstm = nn.LSTM(shape.project, shape.hidden, batch_first=True, bidirectional=True)
        self.moves = nn.Linear(2 * shape.hidden, 2, bias=False)
        self.plain = nn.Linear(shape.features + PLACE_COLUMNS, 2, bias=False)
        for layer in (self.moves, self.plain):
            nn.init.zeros_(layer.weight)  # until it has learned, no moment differs from its song

    def tell(self, song: Tensor, dropout: float = 0.0) -> Tensor:
        """Statistics [..., 2 F] -> [..., 2 + gems]: valence, arousal, and the GEMS emotions of the song, each in
        standard deviations of its ratings."""
        compared = (song.unsqueeze(-2) - self.song_mean) / self.song_scale
        seen = nn.functional.dropout(compared.clamp(-CLIP, CLIP).flatten(-2), dropout, self.training)
        found: Tensor = self.song_direct(seen) + self.song_bent(seen)
        return found

    def where(self, song: Tensor, dropout: float = 0.0) -> Tensor:
        """Statistics [..., 2 F] -> (valence, arousal) [..., 2] of the song."""
        return self.tell(song, dropout)[..., :2]

    def differs(self, inputs: Inputs, lengths: Tensor, dropout: float = 0.0) -> Tensor:
        """How every row differs from its song: [B, T, 2], of mean 0 over each piece."""
        rows = nn.functional.dropout(torch.cat([inputs.rows, inputs.moment], dim=2), dropout, self.training)
        read = torch.tanh(self.project(rows))
        if int(lengths.min()) == read.shape[1]:
            followed = self.lstm(read)[0]
        else:
            packed = pack_padded_sequence(read, lengths, batch_first=True, enforce_sorted=False)
            followed, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=read.shape[1])
        followed = nn.functional.dropout(followed, dropout, self.training)
        found: Tensor = self.moves(followed) + self.plain(torch.cat([inputs.moment, inputs.place], dim=2))
        there = (torch.arange(found.shape[1]) < lengths[:, None]).to(found).unsqueeze(2)
        return found - (found * there).sum(dim=1, keepdim=True) / there.sum(dim=1, keepdim=True)

    def forward(self, inputs: Inputs, lengths: Tensor) -> Tensor:
        """A batch of pieces, lengths [B] (on the CPU) -> (valence, arousal) [B, T, 2] in standard deviations of music's
        ratings; what stands beyond a length is meaningless."""
        return self.where(inputs.song) + self.differs(inputs, lengths)


def standardise(rows: Array, mean: Array, scale: Array) -> Array:
    """Bring feature rows [T, F] to the unit in which the network reads them."""
    unit: Array = np.clip((rows - mean) / scale, -ROW_CLIP, ROW_CLIP)
    return unit


def prepare(rows: Array, shape: Shape, place: NDArray[np.floating] | None = None) -> tuple[Array, Array, Array, Array]:
    """Make the parts of `Inputs` from the standardised rows [T, F] of one piece.

    `place` [T] is how much of the piece has gone by at each row, 0 to 1; without it the rows are taken as all of it.
    """
    song = context(rows, shape.context_rows)
    moment = context(rows, shape.moment_rows)[:, : rows.shape[1]] - song[:, : rows.shape[1]]
    gone = (np.arange(len(rows)) + 0.5) / len(rows) if place is None else place
    return rows, song, moment, places(gone)


def places(gone: NDArray[np.floating]) -> Array:
    """Describe positions in a piece [T] in [0, 1]: powers, and nearness to the beginning and to the end."""
    p = np.asarray(gone, np.float64)
    columns = [p - 0.5, p**2 - 1 / 3, p**3 - 1 / 4, p**4 - 1 / 5, np.exp(-p / _EDGE), np.exp((p - 1) / _EDGE)]
    return np.stack(columns, axis=1).astype(np.float32)


def context(rows: Array, reach: int) -> Array:
    """Mean and standard deviation of the rows [T, F] within `reach` of each row, cut off at the ends: [T, 2 * F]."""
    sums = np.cumsum(np.concatenate([rows, rows**2], axis=1, dtype=np.float64), axis=0)
    sums = np.pad(sums, ((1, 0), (0, 0)))
    at = np.arange(len(rows))
    stop, start = np.minimum(at + reach + 1, len(rows)), np.maximum(at - reach, 0)
    mean, square = np.split((sums[stop] - sums[start]) / (stop - start)[:, None], 2, axis=1)
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    return np.concatenate([mean, deviation], axis=1, dtype=np.float32)
