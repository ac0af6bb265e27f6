"""Trains the song head: where on the plane a piece lies. Knows labelled pieces and their statistics.

Each set's labels are brought to mean 0 and standard deviation 1. Rendered pieces have one teacher and real recordings
another, because a synthesiser's piano and a record differ in everything but the music; the head learns both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from engine.emotion import chords, tonality
from engine.emotion.bilstm import Array, CurveNet
from engine.emotion.features import NAMES
from engine.training.music_data import PIANO, Example, SetName
from engine.training.teacher import RECORDED, RENDERED, Teacher, Unit, Values, View, drawn_apart, label_offset, mixtures

Kind = tuple[SetName, int]
"""A population of pieces that sound alike: the set, and the program on which it is played (0 for recordings)."""

REAL: Kind = ("emotify", 0)

TWENTIETHS = 20
"""Points of a learning curve."""

SET_WEIGHT = {"vgmidi": 4.0, "emopia": 1.0, "emotify": 1.0}
"""Weight of a piece in its teacher: VGMIDI's thirty raters say more than EMOPIA's one quadrant."""


@dataclass(frozen=True)
class SongRecipe:
    """How the song head learns. `mixtures`: pieces between the labelled ones, per kind; `apart`: share of them whose
    columns are drawn apart (`drawn_apart`)."""

    mixtures: int = 5_000
    apart: float = 0.5
    steps: int = 1_500
    batch: int = 256
    rate: float = 2e-3
    weight_decay: float = 0.05
    dropout: float = 0.1
    gems: float = 0.3
    """Weight of the GEMS emotions in the loss, beside valence and arousal together."""
    taught: bool = True
    """Whether teachers stand between the labels and the head; without them it learns the labelled pieces alone. With
    them it never meets a labelled piece: what the teachers know by heart, it need not."""


@dataclass(frozen=True, eq=False)
class Piece:
    """An example as the network reads it: standardised `rows` [T, F], their statistics [2 F], what the teacher says
    of it (valence, arousal, and of recordings the GEMS emotions), and for VGMIDI
    the label of every row [T, 2] in the unit of the network."""

    example: Example
    rows: Array
    statistics: Values
    taught: Values
    truth: Values
    """Its label in the same unit."""
    curve: Array | None


@dataclass(frozen=True, eq=False)
class Known:
    """What the teachers know: the pieces of every kind, its unit and its teacher, and the sets' label units.

    `as_real` is the unit of real recordings when none of them has labels: rendered pieces then have to stand for them.
    """

    pieces: dict[Kind, list[Piece]]
    units: dict[Kind, Unit]
    teachers: dict[Kind, Teacher]
    centre: dict[SetName, tuple[Values, Values]]
    real: Unit

    @property
    def rendered(self) -> Unit | None:
        """The unit of rendered pianos."""
        pianos = [self.units[kind] for kind in sorted(self.units) if kind != REAL and kind[1] == PIANO]
        return pianos[0] if pianos else None


def statistics(rows: Array) -> Values:
    """Mean and standard deviation over rows [T, F]: [2 F]."""
    return np.concatenate([rows.mean(axis=0), rows.std(axis=0)]).astype(np.float64)


def teach(
    examples: Sequence[Example], unit: Callable[[Example], Array], unlabelled: Sequence[Example], seed: int
) -> Known:
    """Make the teachers of the kinds that are there."""
    by_kind: dict[Kind, list[tuple[Example, Array]]] = {}
    for example in sorted(examples, key=lambda e: (e.set, e.version, e.name)):
        by_kind.setdefault((example.set, example.version), []).append((example, unit(example)))
    found = {kind: np.array([statistics(rows) for _, rows in pieces]) for kind, pieces in by_kind.items()}
    centre = {kind[0]: _centre([e for e, _ in pieces]) for kind, pieces in by_kind.items()}
    truths = {kind: _truth([e for e, _ in pieces], centre[kind[0]]) for kind, pieces in by_kind.items()}
    units = _units(found)
    if {("vgmidi", PIANO), ("emopia", PIANO)} <= by_kind.keys():
        _join_labels(found, truths, units, centre)
    teachers: dict[Kind, Teacher] = {}
    for group in ([kind for kind in sorted(by_kind) if kind != REAL], [kind for kind in by_kind if kind == REAL]):
        if group:
            teacher = Teacher(
                np.concatenate([units[kind].apply(found[kind]) for kind in group]),
                np.concatenate([truths[kind] for kind in group]),
                np.concatenate([np.full(len(found[kind]), SET_WEIGHT[kind[0]]) for kind in group]),
                seed,
                _views(group[0], truths[group[0]].shape[1]),
                RECORDED if group[0] == REAL else RENDERED,
            )
            teachers |= dict.fromkeys(group, teacher)
    pieces = {
        kind: [
            Piece(example, rows, statistic, taught, truth, _curve(example, centre[kind[0]]))
            for (example, rows), statistic, taught, truth in zip(
                alike, found[kind], teachers[kind](units[kind].apply(found[kind])), truths[kind], strict=True
            )
        ]
        for kind, alike in by_kind.items()
    }
    real = units.get(REAL) or Unit.of(np.array([statistics(unit(example)) for example in unlabelled]))
    return Known(pieces, units, teachers, centre, real)


def _views(kind: Kind, outputs: int) -> list[View]:
    """Return what each label is read from. Of rendered pieces means say more than deviations, and a piano piece's
    arousal does not lie in its harmony; of recordings everything is read."""
    if kind == REAL:
        return [np.arange(2 * len(NAMES))] * outputs
    return [np.arange(len(NAMES)), np.array([i for i, name in enumerate(NAMES) if not is_harmony(name)])]


def is_harmony(name: str) -> bool:
    """Whether a column of the features speaks of keys or chords."""
    return name.removeprefix("song_") in {*tonality.NAMES, *chords.NAMES}


def _centre(pieces: Sequence[Example]) -> tuple[Values, Values]:
    songs = np.array([piece.song for piece in pieces])
    return songs.mean(axis=0), songs.std(axis=0)


def _truth(pieces: Sequence[Example], centre: tuple[Values, Values]) -> Values:
    """Labels in standard deviations [n, 2], of recordings [n, 2 + len(GEMS)]."""
    songs = (np.array([piece.song for piece in pieces]) - centre[0]) / centre[1]
    if not pieces[0].gems:
        return songs
    gems = np.array([piece.gems for piece in pieces])
    return np.concatenate([songs, (gems - gems.mean(axis=0)) / np.maximum(gems.std(axis=0), 1e-6)], axis=1)


def _curve(example: Example, centre: tuple[Values, Values]) -> Array | None:
    return None if example.curve is None else ((example.curve - centre[0]) / centre[1]).astype(np.float32)


def _units(found: dict[Kind, Values]) -> dict[Kind, Unit]:
    """All pianos share one unit; the other programs are brought to it by the pieces that both play."""
    units = {kind: Unit.of(values) for kind, values in found.items() if kind == REAL}
    pianos = [kind for kind in sorted(found) if kind != REAL and kind[1] == PIANO]
    if pianos:
        piano = Unit.of(np.concatenate([found[kind] for kind in pianos]))
        units |= dict.fromkeys(pianos, piano)
        for kind in found.keys() - units.keys():
            units[kind] = piano.aligned(found[(kind[0], PIANO)], found[kind])
    return units


def _join_labels(
    found: dict[Kind, Values],
    truths: dict[Kind, Values],
    units: dict[Kind, Unit],
    centre: dict[SetName, tuple[Values, Values]],
) -> None:
    """Shift VGMIDI's labels so that pieces which sound like EMOPIA's have the labels of EMOPIA's."""
    both: tuple[Kind, Kind] = (("vgmidi", PIANO), ("emopia", PIANO))
    sound = np.concatenate([units[kind].apply(found[kind]) for kind in both])
    is_vgmidi = np.arange(len(sound)) < len(found[both[0]])
    offset = label_offset(sound, np.concatenate([truths[kind] for kind in both]), is_vgmidi)
    for kind in truths:
        if kind[0] == "vgmidi":
            truths[kind] = truths[kind] - offset
    mean, scale = centre["vgmidi"]
    centre["vgmidi"] = (mean + offset * scale, scale)


def watched(known: Known, examples: Sequence[Example], unit: Callable[[Example], Array]) -> list[Piece]:
    """Return pieces that nothing is learned from, labels in the unit of the network; no teacher has judged them."""
    pieces = []
    for example in examples:
        centre, rows = known.centre[example.set], unit(example)
        truth = (np.array(example.song) - centre[0]) / centre[1]
        pieces.append(Piece(example, rows, statistics(rows), truth, truth, _curve(example, centre)))
    return pieces


def fit(
    net: CurveNet,
    known: Known,
    recipe: SongRecipe,
    seed: int,
    tell: Callable[[float], None],
    watch: Sequence[Piece] = (),
) -> dict[str, list[float]]:
    """Train `net.where`; return the mean squared error over each twentieth of the steps: of what is learned, and of the
    pieces that are only watched."""
    rng = np.random.default_rng(seed)
    seen, said = _pool(known, recipe, rng)
    population = known.rendered or known.real
    for i, unit in enumerate((known.real, population)):
        net.song_mean[i], net.song_scale[i] = torch.from_numpy(unit.mean), torch.from_numpy(unit.scale)
    parameters = [p for name, p in net.named_parameters() if name.startswith("song_")]
    optimiser = torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=recipe.steps, pct_start=0.1)
    losses, held = [], []
    every = max(1, recipe.steps // TWENTIETHS)
    net.train()
    for step in range(recipe.steps):
        rows = torch.from_numpy(rng.integers(len(seen), size=recipe.batch))
        loss = _loss(net.tell(seen[rows], recipe.dropout), said[rows], recipe.gems)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if watch and (step + 1) % every == 0:
            held.append(_error(net, watch))
        tell((step + 1) / recipe.steps)
    return {"learned (of the teachers)": thin(losses), "held out (of the raters)": held}


def thin(losses: Sequence[float]) -> list[float]:
    """Mean of each twentieth of the steps."""
    return [float(part.mean()) for part in np.array_split(np.array(losses), TWENTIETHS) if len(part)]


def _error(net: CurveNet, pieces: Sequence[Piece]) -> float:
    seen = np.array([piece.statistics for piece in pieces], np.float32)
    net.eval()
    with torch.no_grad():
        found = net.where(torch.from_numpy(seen)).numpy()
    net.train()
    return float(np.square(found - [piece.truth for piece in pieces]).mean())


def _loss(told: torch.Tensor, said: torch.Tensor, gems: float) -> torch.Tensor:
    """Mean squared error of valence and arousal, and `gems` times that of the GEMS emotions where they are known."""
    error = (told - said.nan_to_num()).square()  # a NaN here would reach the gradient even where it is masked
    loss = error[:, :2].mean()
    known = error[:, 2:][~said[:, 2:].isnan()]
    return loss + gems * known.mean() if len(known) else loss


def _pool(known: Known, recipe: SongRecipe, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Statistics [n, 2 F] of pieces and mixtures, and what the teachers say of them [n, 2 + gems] (NaN: nothing)."""
    seen, said = [], []
    width = max(teacher.outputs for teacher in known.teachers.values())
    for kind in sorted(known.pieces):
        pieces, teacher, unit = known.pieces[kind], known.teachers[kind], known.units[kind]
        drawn = np.array([piece.statistics for piece in pieces])
        taught = np.array([piece.truth for piece in pieces])
        if recipe.taught:
            drawn = mixtures(drawn, recipe.mixtures, rng)
            count = round(recipe.apart * len(drawn))
            drawn[:count] = drawn_apart(drawn[:count], teacher.views, rng)
            taught = teacher(unit.apply(drawn))
        taught = np.pad(taught, ((0, 0), (0, width - taught.shape[1])), constant_values=np.nan)
        seen.append(drawn)
        said.append(taught)
        if REAL not in known.pieces:
            seen.append(unit.apply(drawn) * known.real.scale + known.real.mean)
            said.append(taught)
    return tuple(torch.from_numpy(np.concatenate(part).astype(np.float32)) for part in (seen, said))  # type: ignore[return-value]
