"""Statistics of what people answered: how similar the pairs feel, how sure that is, and whether people agree.

Pure functions over arrays. Every figure that the data cannot give is None, and `missing` says why. All answers count
in `all`; `trusted` leaves out raters who look careless, always say the same, answer before they can have listened, or
have a new account. Nothing is decided when votes are stored.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.evaluation import agreement
from engine.evaluation.agreement import VALUES, Consistency, RaterFlags
from engine.evaluation.intervals import (
    Estimate,
    Floats,
    Interval,
    TwoWayBootstrap,
    codes,
    deltas,
    means,
    percentile_interval,
    spearman,
    two_way_mean,
)
from engine.evaluation.ordinal import OrdinalFit, ordinal_regression

NEW_ACCOUNT_S = 7 * 86_400.0
"""Accounts younger than a week are easily made for voting."""
MIN_VOTES, MIN_RATERS = 3, 2
"""Below, there is a mean at most."""
MIN_PAIRS = 5
"""Below, the measure's agreement with people is not told."""
MEASURES = ("distance", "better_than_shuffled", "valence_r", "arousal_r")
"""TuneTale's own measures of a pair, held against people's ratings."""
TEXTS = ("rater", "pair", "story", "condition", "via", "platform", "variant")
NUMBERS = ("score", "at", "delay_s", "account_age_s", *MEASURES)
COLUMNS = (*TEXTS, *NUMBERS)
"""What an answer has, in the tidy table; more columns are welcome and not looked at."""


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers as columns [n]: texts as str, numbers as float64 with NaN where nothing is known.

    `condition` is "match" (a ballot about a pair), "repeat" (the same once more), "mismatch" or "plain" (hidden
    controls). `pair` is whose music was heard, `story` whose story was told.
    """

    columns: Mapping[str, NDArray[Any]]

    @staticmethod
    def of(rows: Iterable[Mapping[str, Any]]) -> Answers:
        """Read rows by name; an absent or empty number is NaN. Raises ValueError for a score that is none."""
        table = list(rows)
        columns: dict[str, NDArray[Any]] = {
            name: np.array([str(row.get(name) or "") for row in table], dtype=np.str_) for name in TEXTS
        }
        for name in NUMBERS:
            columns[name] = np.array([_number(row.get(name)) for row in table], dtype=np.float64)
        scores = columns["score"]
        if not np.isin(scores, np.arange(VALUES)).all():
            raise ValueError("a score is 0, 1, 2, 3, 4 or 5")
        return Answers(columns)

    @staticmethod
    def read(path: Path) -> Answers:
        """Read the tidy CSV. Raises ValueError when it is not one, `OSError` when it cannot be read."""
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            absent = {"rater", "pair", "score"} - set(reader.fieldnames or ())
            if absent:
                raise ValueError(f"the table has no column {', '.join(sorted(absent))}")
            return Answers.of({"condition": "match"} | row for row in reader)

    def __len__(self) -> int:
        return len(self.columns["score"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def where(self, chosen: NDArray[np.bool_]) -> Answers:
        """Return the chosen answers."""
        return Answers({name: column[chosen] for name, column in self.columns.items()})


@dataclass(frozen=True)
class Summary:
    """Scores of one kind: how many of each, centre and spread, and both intervals of the mean."""

    votes: int
    raters: int
    pairs: int
    counts: tuple[int, ...]
    mean: float | None
    sd: float | None
    """Of single votes (n − 1)."""
    se: float | None
    """Of the mean, two-way cluster-robust."""
    interval: Interval | None
    bootstrap: Interval | None


@dataclass(frozen=True)
class PairSummary:
    """One pair; its voters are independent people, so its standard error is the ordinary one."""

    pair: str
    votes: int
    mean: float
    sd: float | None
    se: float | None
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Control:
    """A hidden control: its scores, and δ = P(pair > control) − P(pair < control) in the blind test."""

    votes: int
    mean: float
    delta: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Report:
    """Everything that is told about a table of answers."""

    all: Summary
    trusted: Summary
    by_way: dict[str, Summary]
    by_platform: dict[str, Summary]
    by_variant: dict[str, Summary]
    per_pair: tuple[PairSummary, ...]
    alpha: Estimate | None
    repeats: Consistency | None
    controls: dict[str, Control]
    regression: OrdinalFit | None
    alignment: dict[str, Estimate]
    rated_pairs: int
    """Pairs in `alignment`."""
    flags: dict[str, int]
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data without NaN."""
        return asdict(self)


def report(answers: Answers, *, draws: int = 1_000, seed: int = 0) -> Report:
    """Work out everything. The same answers and seed give the same report."""
    ballots = answers.where(answers["condition"] == "match")
    flags = look_at_raters(answers)
    odd = odd_raters(answers, flags)
    trusted = ballots.where(~np.isin(ballots["rater"], odd["any"]))
    boot = TwoWayBootstrap(answers["rater"], answers["pair"], draws=draws, seed=seed) if len(answers) else None
    scores = answers["score"]
    match = answers["condition"] == "match"
    ways = {"open": match & (answers["via"] != "test"), "test": match & (answers["via"] == "test")}

    def summed(where: NDArray[np.bool_]) -> Summary:
        drawn = None if boot is None else boot.counts(scores, VALUES, where)
        return summary(answers.where(where), drawn)

    return Report(
        all=summed(match),
        trusted=summed(match & ~np.isin(answers["rater"], odd["any"])),
        by_way={name: summed(where) for name, where in ways.items() if where.any()},
        by_platform={name: summed(match & (answers["platform"] == name)) for name in _names(ballots["platform"])},
        by_variant={name: summed(match & (answers["variant"] == name)) for name in _names(ballots["variant"])},
        per_pair=tuple(per_pair(ballots)),
        alpha=agreement.alpha(trusted["pair"], trusted["score"], seed=seed) if len(trusted) else None,
        repeats=_repeats(answers),
        controls=_controls(answers, boot),
        regression=_regression(answers, seed),
        alignment=_alignment(trusted),
        rated_pairs=len(np.unique(trusted["pair"])),
        flags={name: len(found) for name, found in odd.items()},
        missing=tuple(_missing(ballots, answers)),
    )


def summary(answers: Answers, drawn: Floats | None = None) -> Summary:
    """Sum up scores; `drawn` are the bootstrap's counts of them, [draws, VALUES]."""
    scores = answers["score"]
    raters, pairs = len(np.unique(answers["rater"])), len(np.unique(answers["pair"]))
    counts = tuple(int(n) for n in np.bincount(scores.astype(np.intp), minlength=VALUES))
    if not len(scores):
        return Summary(0, 0, 0, counts, None, None, None, None, None)
    found = two_way_mean(scores, answers["rater"], answers["pair"])
    enough = len(scores) >= MIN_VOTES and raters >= MIN_RATERS
    return Summary(
        votes=len(scores),
        raters=raters,
        pairs=pairs,
        counts=counts,
        mean=found.value,
        sd=float(scores.std(ddof=1)) if len(scores) > 1 else None,
        se=found.se if enough else None,
        interval=found.interval if enough else None,
        bootstrap=percentile_interval(means(drawn)) if enough and found.interval and drawn is not None else None,
    )


def per_pair(ballots: Answers) -> list[PairSummary]:
    """Return each pair's figures, in the order of their names (numbers as numbers)."""
    counts = agreement.value_counts(ballots["pair"], ballots["score"])
    values = np.arange(VALUES)
    found = []
    for name, row in zip(np.unique(ballots["pair"]), counts, strict=True):
        n = int(row.sum())
        mean = float(row @ values) / n
        sd = float(np.sqrt(row @ (values - mean) ** 2 / (n - 1))) if n > 1 else None
        se = None if sd is None else sd / n**0.5
        found.append(PairSummary(str(name), n, mean, sd, se, tuple(int(k) for k in row)))
    return sorted(found, key=lambda pair: (len(pair.pair), pair.pair))


def look_at_raters(answers: Answers) -> list[RaterFlags]:
    """Return what is odd about each rater with enough answers; `rater` counts in the order of the sorted names."""
    things = np.char.add(np.char.add(answers["pair"], "/"), answers["story"])
    return agreement.rater_flags(answers["rater"], things, answers["score"], answers["delay_s"]) if len(answers) else []


def odd_raters(answers: Answers, flags: Iterable[RaterFlags]) -> dict[str, NDArray[np.str_]]:
    """Return the names of the raters with each flag, and with any."""
    names = np.unique(answers["rater"])
    found = {
        kind: names[[flag.rater for flag in flags if getattr(flag, kind)]] for kind in ("careless", "flat", "hasty")
    }
    with np.errstate(invalid="ignore"):
        found["new_account"] = np.unique(answers["rater"][answers["account_age_s"] < NEW_ACCOUNT_S])
    found["any"] = np.unique(np.concatenate(list(found.values())))
    return found


def _repeats(answers: Answers) -> Consistency | None:
    """Compare repeats with the ballots of the same people about the same pairs."""
    keys = np.char.add(np.char.add(answers["rater"], "/"), answers["pair"])
    match, again = answers["condition"] == "match", answers["condition"] == "repeat"
    first = dict(zip(keys[match], answers["score"][match], strict=True))
    both = [
        (first[key], score) for key, score in zip(keys[again], answers["score"][again], strict=True) if key in first
    ]
    return agreement.consistency(*zip(*both, strict=True)) if both else None


def _controls(answers: Answers, boot: TwoWayBootstrap | None) -> dict[str, Control]:
    """Hold the blind test's pairs against its hidden controls."""
    found: dict[str, Control] = {}
    if boot is None:
        return found
    test = (answers["condition"] == "match") & (answers["via"] == "test")
    real = _counted(answers, test)
    drawn = boot.counts(answers["score"], VALUES, test)
    for kind in ("mismatch", "plain"):
        where = answers["condition"] == kind
        if not where.any():
            continue
        mean = float(answers["score"][where].mean())
        if not test.any():
            found[kind] = Control(int(where.sum()), mean, None, None)
            continue
        control = _counted(answers, where)
        delta = float(deltas(real, control)[0])
        enough = min(int(where.sum()), int(test.sum())) >= MIN_VOTES and _raters(answers, where | test) >= MIN_RATERS
        interval = percentile_interval(deltas(drawn, boot.counts(answers["score"], VALUES, where))) if enough else None
        found[kind] = Control(int(where.sum()), mean, delta, interval)
    return found


def _counted(answers: Answers, where: NDArray[np.bool_]) -> Floats:
    return np.bincount(answers["score"][where].astype(np.intp), minlength=VALUES)[None].astype(np.float64)


def _raters(answers: Answers, where: NDArray[np.bool_]) -> int:
    return len(np.unique(answers["rater"][where]))


def _regression(answers: Answers, seed: int) -> OrdinalFit | None:
    """Regress the score on condition, platform, way and the measured distance (in standard deviations)."""
    if not len(answers):
        return None
    columns: dict[str, NDArray[np.float64]] = {}
    for kind in ("mismatch", "plain"):
        columns[kind] = (answers["condition"] == kind).astype(np.float64)
    for name in _names(answers["platform"])[1:]:
        columns[f"platform {name}"] = (answers["platform"] == name).astype(np.float64)
    columns["blind test"] = (answers["via"] == "test").astype(np.float64)
    distance = answers["distance"].astype(np.float64)
    spread = np.nanstd(distance) if np.isfinite(distance).any() else 0.0
    if spread > 0:
        columns["distance"] = (distance - np.nanmean(distance)) / spread
    return ordinal_regression(answers["score"], columns, answers["rater"], seed=seed)


def _alignment(ballots: Answers) -> dict[str, Estimate]:
    """Correlate each measure of a pair with its mean rating, over pairs: does the measure agree with people?"""
    pair, count = codes(ballots["pair"])
    if count < MIN_PAIRS:
        return {}
    votes = np.bincount(pair, minlength=count)
    ratings = np.bincount(pair, weights=ballots["score"], minlength=count) / votes
    found = {}
    for name in MEASURES:
        measure = np.bincount(pair, weights=ballots[name], minlength=count) / votes
        known = np.isfinite(measure)
        rho = spearman(measure[known], ratings[known]) if known.sum() >= MIN_PAIRS else None
        if rho is not None:
            found[name] = rho
    return found


def _missing(ballots: Answers, answers: Answers) -> Iterable[str]:
    """Say what is not there yet, as keys of the catalogues' section [missing]."""
    raters, pairs = len(np.unique(ballots["rater"])), len(np.unique(ballots["pair"]))
    if not len(ballots):
        yield "no_votes"
    elif len(ballots) < MIN_VOTES:
        yield "few_votes"
    elif raters < MIN_RATERS:
        yield "one_rater"
    elif pairs < MIN_RATERS:
        yield "one_pair"
    if not (answers["condition"] == "mismatch").any():
        yield "no_controls"
    if pairs < MIN_PAIRS:
        yield "few_pairs"


def _names(column: NDArray[np.str_]) -> list[str]:
    return [str(name) for name in np.unique(column) if name]


def _number(value: object) -> float:
    return float("nan") if value is None or value == "" else float(value)  # type: ignore[arg-type]
