"""The network from feature rows to valence and arousal. Knows numbers; knows nothing of audio, files or training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Array = NDArray[np.float32]

CLIP = 5.0
"""Standardised features further than this from the mean say no more than that they are far."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a `CurveNet`: input columns, width into the LSTM, LSTM units per direction, width of the head, rows
    (half seconds) of context on either side of a row, and dropout while training."""

    features: int
    project: int = 64
    hidden: int = 64
    head: int = 64
    context_rows: int = 40
    dropout: float = 0.4


class CurveNet(nn.Module):
    """A bidirectional LSTM beside the statistics of a long stretch around every row.

    The LSTM follows what changes; mean and standard deviation over `context_rows` on either side (and the columns
    that describe the whole song) say where on the plane the music lies. Both meet in one head per row. Padding is
    never seen: the LSTM runs packed, and the statistics are made before anything is padded.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.project = nn.Linear(shape.features, shape.project)
        self.lstm = nn.LSTM(shape.project, shape.hidden, batch_first=True, bidirectional=True)
        inputs = 2 * shape.features + 2 * shape.hidden
        self.dropout = nn.Dropout(shape.dropout)
        self.direct = nn.Linear(inputs, 2)
        self.bent = nn.Sequential(
            nn.Linear(inputs, shape.head), nn.GELU(), nn.Dropout(shape.dropout), nn.Linear(shape.head, 2)
        )

    def forward(self, rows: Tensor, around: Tensor, lengths: Tensor) -> Tensor:
        """Rows [B, T, features] and their `context` [B, T, 2 * features], both of standardised features, lengths [B]
        (on the CPU) -> (valence, arousal) [B, T, 2] in standard deviations of music's ratings; what stands beyond a
        length is meaningless."""
        read = torch.tanh(self.project(self.dropout(rows)))
        if int(lengths.min()) == rows.shape[1]:
            followed = self.lstm(read)[0]
        else:
            packed = pack_padded_sequence(read, lengths, batch_first=True, enforce_sorted=False)
            followed, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=rows.shape[1])
        seen = self.dropout(torch.cat([around, followed], dim=2))
        result: Tensor = self.direct(seen) + self.bent(seen)
        return result


def standardise(rows: Array, mean: Array, scale: Array) -> Array:
    """Bring feature rows [T, F] to the unit in which the network reads them."""
    unit: Array = np.clip((rows - mean) / scale, -CLIP, CLIP)
    return unit


def context(rows: Array, reach: int) -> Array:
    """Mean and standard deviation of the rows [T, F] within `reach` of each row, cut off at the ends: [T, 2 * F]."""
    sums = np.cumsum(np.concatenate([rows, rows**2], axis=1, dtype=np.float64), axis=0)
    sums = np.pad(sums, ((1, 0), (0, 0)))
    at = np.arange(len(rows))
    stop, start = np.minimum(at + reach + 1, len(rows)), np.maximum(at - reach, 0)
    mean, square = np.split((sums[stop] - sums[start]) / (stop - start)[:, None], 2, axis=1)
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    return np.concatenate([mean, deviation], axis=1, dtype=np.float32)
