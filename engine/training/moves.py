"""Trains how moments differ from their song: the plain reading, and the Bi-LSTM on top of it. Knows pieces and labels.

Two things teach it. VGMIDI's raters followed each bar, but agree little there. And *joined* pieces, stretches of two
pieces one after the other, change as plainly as music can: each half should be heard like the piece that it is from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from engine.emotion.bilstm import PLACE_COLUMNS, Array, CurveNet, Inputs, Shape, prepare, standardise
from engine.emotion.features import MEL_BANDS, NAMES
from engine.training.songs import TWENTIETHS, Known, Piece


@dataclass(frozen=True)
class MoveRecipe:
    """How the moments are learned. `joined` and `timed`: pieces of either kind in a batch; `pool`: joined pieces that
    are made; `part_rows`: shortest and longest part of one; `balance`: weight of the joined ones in the loss."""

    steps: int = 100
    timed: int = 10
    joined: int = 10
    pool: int = 250
    part_rows: tuple[int, int] = (12, 48)
    balance: float = 0.15
    rate: float = 3e-3
    weight_decay: float = 0.1
    dropout: float = 0.3
    averaging: float = 0.98
    """Decay of the moving average of the weights, which is what is kept."""
    stiffness: tuple[float, float] = (0.5, 0.05)
    """Ridge of the plain reading for (valence, arousal): valence has less to be learned from."""
    place_stiffness: float = 5e-4
    """The same for the place in the piece, which is almost given."""
    doubt: float = 0.12
    """Standard deviation, in units of the labels, under which the curve of a piece is taken as noise."""


_EVERY = 5
"""A learning curve follows every so many-th of the timed pieces."""

Sequence = tuple[tuple[Array, Array, Array, Array], Array]
"""Parts of `Inputs` and labels [T, 2] of one piece."""


def fit(
    net: CurveNet,
    known: Known,
    mean: Array,
    scale: Array,
    recipe: MoveRecipe,
    seed: int,
    tell: Callable[[float], None],
    watch: list[Sequence] | None = None,
) -> dict[str, list[float]]:
    """Train `net.differs`, the song head standing still: the plain reading at once by ridge regression, then the LSTM
    on what is left. With `watch`, return the loss after each twentieth of the steps: of every fifth of the timed
    pieces learned from, and of those only watched."""
    if not recipe.steps:
        return {}
    rng = np.random.default_rng(seed + 1)
    timed = timed_sequences([piece for alike in known.pieces.values() for piece in alike], net.shape)
    joined = [_joined(known, mean, scale, net.shape, recipe, rng) for _ in range(recipe.pool)]
    read_plainly(net, timed, joined, recipe)
    learned = {name: p for name, p in net.named_parameters() if not name.startswith(("song_", "plain."))}
    kept = {name: p.detach().clone() for name, p in learned.items()}
    optimiser = torch.optim.AdamW(learned.values(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=recipe.steps, pct_start=0.15)
    curves: dict[str, list[float]] = {}
    pools = {"learned": timed[::_EVERY], "held out": watch or []}
    every = max(1, recipe.steps // TWENTIETHS)
    net.train()
    for step in range(recipe.steps):
        loss = recipe.balance * _joined_loss(net, _draw(joined, recipe.joined, rng), recipe)
        if timed:
            loss = loss + _timed_loss(net, _draw(timed, recipe.timed, rng), recipe)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(learned.values(), 1.0)
        optimiser.step()
        schedule.step()
        decay = min(recipe.averaging, (1 + step) / (10 + step))
        for name, value in kept.items():
            value.lerp_(learned[name].detach(), 1 - decay)
        if watch and (step + 1) % every == 0:
            net.eval()
            with torch.no_grad():
                for name, pool in pools.items():
                    if pool:
                        curves.setdefault(name, []).append(float(_timed_loss(net, pool, recipe)))
            net.train()
        tell((step + 1) / recipe.steps)
    net.load_state_dict(kept, strict=False)
    net.eval()
    return curves


def timed_sequences(pieces: Iterable[Piece], shape: Shape) -> list[Sequence]:
    """Return what the network reads and should say of the pieces whose every row has a label."""
    return [(prepare(p.rows, shape, p.example.place), p.curve) for p in pieces if p.curve is not None]


def read_plainly(net: CurveNet, timed: list[Sequence], joined: list[Sequence], recipe: MoveRecipe) -> None:
    """Set `net.plain`, which reads how a moment differs from its deviation and its place, by ridge regression: the
    minimum of the loss that the LSTM is trained by, but for what the LSTM says."""
    width = net.plain.in_features
    squares, pull = np.zeros((2, width, width)), np.zeros((2, width))
    for pool, share, judged in ((timed, 1.0, True), (joined, recipe.balance, False)):
        count = sum(len(labels) for _, labels in pool)
        for (_, song, moment, place), labels in pool:
            with torch.no_grad():
                where = net.where(torch.from_numpy(song)).numpy()
            left = (labels - where).astype(np.float64)
            seen = np.concatenate([moment, place], axis=1, dtype=np.float64)
            seen, left = seen - seen.mean(axis=0), left - left.mean(axis=0)
            weight = 1 / (labels.std(axis=0) + recipe.doubt) ** 2 if judged else np.ones(2)
            weight = weight * (share / count)
            squares += weight[:, None, None] * (seen.T @ seen)
            pull += weight[:, None] * (seen.T @ left).T
    for axis in range(2):
        ridge = np.full(width, recipe.stiffness[axis])
        ridge[-PLACE_COLUMNS:] = recipe.place_stiffness
        found = np.linalg.solve(squares[axis] + np.diag(ridge), pull[axis])
        net.plain.weight.data[axis] = torch.from_numpy(found.astype(np.float32))


def _draw(pool: list[Sequence], count: int, rng: np.random.Generator) -> list[Sequence]:
    return [pool[i] for i in rng.integers(len(pool), size=count)]


def _joined(
    known: Known, mean: Array, scale: Array, shape: Shape, recipe: MoveRecipe, rng: np.random.Generator
) -> Sequence:
    kinds = sorted(known.pieces)
    alike = known.pieces[kinds[rng.integers(len(kinds))]]
    parts, labels = [], []
    for piece in (alike[i] for i in rng.integers(len(alike), size=2)):
        length = min(int(rng.integers(recipe.part_rows[0], recipe.part_rows[1] + 1)), len(piece.rows))
        start = int(rng.integers(0, len(piece.rows) - length + 1))
        parts.append(piece.example.rows[start : start + length])
        labels.append(np.tile(piece.taught[:2].astype(np.float32), (length, 1)))
    rows, song, moment, places = prepare(standardise(join(*parts), mean, scale), shape)
    return (rows, song, moment, np.zeros_like(places)), np.concatenate(labels)  # the place of a join says nothing


_LEVELS = {NAMES.index("level"): 1.0, NAMES.index("mfcc_0"): float(np.sqrt(MEL_BANDS))}
"""Columns that are relative to the level of the recording: how much they move by one dB."""
_SONG_LEVEL, _SONG_RANGE = NAMES.index("song_level"), NAMES.index("song_range")
_SONG = [i for i, name in enumerate(NAMES) if name.startswith("song_")]


def join(first: Array, second: Array) -> Array:
    """Feature rows of a recording in which `second` [U, F] follows `first` [T, F]: [T + U, F].

    Levels are those of the sound itself put together (`mfcc_0` as far as no band is silent); the other columns that
    describe the whole recording are means of the two, an approximation.
    """
    rows = np.concatenate([first, second])
    levels = rows[:, _SONG_LEVEL].copy()
    together = 10 * np.log10(np.mean(10 ** (levels.astype(np.float64) / 10)))
    rows[:, _SONG] = rows[:, _SONG].mean(axis=0)
    rows[:, _SONG_LEVEL] = together
    for column, per_db in _LEVELS.items():
        rows[:, column] += per_db * (levels - np.float32(together))
    quiet, loud = np.quantile(rows[:, NAMES.index("level")], [0.05, 0.95])
    rows[:, _SONG_RANGE] = loud - quiet
    return rows


def _batch(batch: list[Sequence]) -> tuple[Inputs, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pad: inputs, labels [B, T, 2], mask [B, T, 1], lengths [B]."""
    lengths = torch.tensor([len(labels) for _, labels in batch])
    pad = torch.nn.utils.rnn.pad_sequence
    inputs = Inputs(*(pad([torch.from_numpy(parts[i]) for parts, _ in batch], batch_first=True) for i in range(4)))
    labels = pad([torch.from_numpy(labels) for _, labels in batch], batch_first=True)
    mask = (torch.arange(labels.shape[1])[None] < lengths[:, None])[..., None].float()
    return inputs, labels, mask, lengths


def _joined_loss(net: CurveNet, batch: list[Sequence], recipe: MoveRecipe) -> torch.Tensor:
    inputs, labels, mask, lengths = _batch(batch)
    with torch.no_grad():
        where = net.where(inputs.song)
    found = where + net.differs(inputs, lengths, recipe.dropout)
    loss: torch.Tensor = (mask * (found - labels).square()).sum() / mask.sum() / 2
    return loss


def _timed_loss(net: CurveNet, batch: list[Sequence], recipe: MoveRecipe) -> torch.Tensor:
    inputs, labels, mask, lengths = _batch(batch)
    with torch.no_grad():
        where = net.where(inputs.song)
    move = net.differs(inputs, lengths, recipe.dropout)
    count = mask.sum(dim=1, keepdim=True)

    def deviation(values: torch.Tensor) -> torch.Tensor:
        centred: torch.Tensor = mask * (values - (mask * values).sum(dim=1, keepdim=True) / count)
        return centred

    truth = deviation(labels)
    varies = (truth.square().sum(dim=1, keepdim=True) / count).sqrt() + recipe.doubt
    loss: torch.Tensor = ((deviation(where + move) - truth) / varies).square().sum() / mask.sum() / 2
    return loss
