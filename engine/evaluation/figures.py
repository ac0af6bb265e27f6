"""Pictures of a report, each with its words for people who do not see it. Knows reports and matplotlib.

    scores     how often each score was given (with few pairs: to each, as the paper's figure 16)
    means      the mean of each pair with its 95 % interval (the paper's figure 17, with true standard errors)
    controls   the blind test's pairs beside its hidden controls
    alignment  TuneTale's own measure against people's ratings, one point for each pair
    overview   the first, second and fourth side by side

Nothing rests on colour alone: bars carry their numbers, series their names or hatching.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from engine.drawing import typography
from engine.drawing.canvas import plain_settings
from engine.drawing.scene import AROUSAL, GRID, INK, MUTED, PAPER, VALENCE
from engine.evaluation.intervals import LEVEL
from engine.evaluation.votes import PairSummary, Report
from engine.jobs import Language
from engine.whole import whole

WIDTH, HEIGHT = 1200, 675
"""Pixels."""
FEW_PAIRS = 6
"""Up to so many pairs have bars of their own for each score."""
MOST_PAIRS = 40
"""More means do not fit beside each other; the best and the least rated halves are shown."""
_DPI = 72
_COLOURS = (AROUSAL, VALENCE, "#7BD88F", "#E58FC5", "#C3B1FF", "#F5F7FC")
_HATCHES = ("", "//", "..", "xx", "\\\\", "--")

Panel = Callable[[Axes], None]
"""Draws into axes; colours and font of its words are set afterwards."""

SAYS: dict[Language, dict[str, str]] = {
    "en": {
        "scores": "How similar do music and story feel?",
        "score": "score: 0 (not similar) to 5 (very similar)",
        "votes": "votes",
        "means": "Mean score of each pair, with 95 % interval",
        "pair": "pair",
        "story": "story",
        "mean": "mean score",
        "controls": "The blind test and its hidden controls",
        "match": "made for each other",
        "mismatch": "story of other music",
        "plain": "story without emotion",
        "alignment": "Does TuneTale's own measure agree with people?",
        "distance": "measured distance of the feelings (smaller fits better)",
        "alt_scores": "Bar chart of {votes} votes. {counts}. Mean {mean}.",
        "alt_count": "score {score}: {count}",
        "alt_means": "Means of {pairs} pairs with 95 % intervals, from {low} (no. {lowest}) to {high} (no. {highest}).",
        "alt_controls": "Mean scores in the blind test. {rows}.",
        "alt_control": "{name}: {mean}",
        "alt_alignment": "Scatter plot of {pairs} pairs: measured distance against mean score. Rank correlation {rho}.",
        "nothing": "not enough votes yet",
    },
    "zh-TW": {
        "scores": "音樂與故事的感覺有多相似？",
        "score": "分數：0（不相似）到 5（非常相似）",
        "votes": "票數",
        "means": "每一組的平均分數與 95 % 信賴區間",
        "pair": "組別",
        "story": "故事",
        "mean": "平均分數",
        "controls": "盲測與其中隱藏的對照",
        "match": "為彼此而作",
        "mismatch": "別的音樂的故事",
        "plain": "沒有情緒的故事",
        "alignment": "TuneTale 自己的量度與人的評分一致嗎？",
        "distance": "量得的情緒距離（越小越合）",
        "alt_scores": "共 {votes} 票的長條圖。{counts}。平均 {mean}。",
        "alt_count": "{score} 分：{count} 票",
        "alt_means": "{pairs} 組的平均分數與 95 % 信賴區間，從 {low}（第 {lowest} 組）到 {high}（第 {highest} 組）。",
        "alt_controls": "盲測中的平均分數。{rows}。",
        "alt_control": "{name}：{mean}",
        "alt_alignment": "{pairs} 組的散布圖：量得的距離對平均分數。等級相關 {rho}。",
        "nothing": "票數還不夠",
    },
}


@dataclass(frozen=True)
class Figured:
    """A picture that was written, and what it shows in words."""

    path: Path
    alt: str


@dataclass(frozen=True, eq=False)
class Sheet:
    """What is drawn: a report, the measured distance of each pair where known, and the language.

    `each` is what a pair is called: "pair", or "story" for the paper's poll.
    """

    report: Report
    distances: Mapping[str, float]
    language: Language = "en"
    each: str = "pair"

    def says(self, key: str, **values: object) -> str:
        """Return a sentence."""
        return SAYS[self.language][key].format(**values)


def draw_all(folder: Path, sheet: Sheet) -> dict[str, Figured]:
    """Write every picture that the report has something for; an existing one is replaced whole. By name.

    Raises `OSError` when the folder cannot be written.
    """
    panels: dict[str, tuple[Panel, str]] = {}
    if sheet.report.all.votes:
        panels["scores"] = (partial(draw_scores, sheet=sheet), alt_scores(sheet))
        panels["means"] = (partial(draw_means, sheet=sheet), alt_means(sheet))
    if sheet.report.controls and "test" in sheet.report.by_way:
        panels["controls"] = (partial(draw_controls, sheet=sheet), alt_controls(sheet))
    if len(_points(sheet)) >= 2:
        panels["alignment"] = (partial(draw_alignment, sheet=sheet), alt_alignment(sheet))
    found = {name: write_picture(folder / f"{name}.png", [draw], alt) for name, (draw, alt) in panels.items()}
    side = [panels[name] for name in ("scores", "means", "alignment") if name in panels]
    if side:
        alt = " ".join(text for _, text in side)
        found["overview"] = write_picture(folder / "overview.png", [draw for draw, _ in side], alt)
    return found


def write_picture(path: Path, panels: Sequence[Panel], alt: str) -> Figured:
    """Draw panels side by side, in our colours and font; an existing picture is replaced whole. Raises `OSError`."""
    with typography.LOCK, plain_settings(), whole(path) as part:
        typography.font(20)  # makes the fonts known
        figure = Figure(figsize=(WIDTH / _DPI, HEIGHT / _DPI), dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        for axes, draw in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
            draw(axes)
            _dress(axes, 24 if len(panels) == 1 else 17)
        figure.savefig(part, format="png", dpi=_DPI, facecolor=PAPER, metadata={"Software": "TuneTale"})
    return Figured(path, alt)


def _dress(axes: Axes, size: float) -> None:
    """Give every word our font and every line our colours."""
    axes.set_facecolor(PAPER)
    axes.tick_params(colors=MUTED, labelcolor=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)
    axes.set_title(_wrapped(axes.get_title(), size), pad=14)
    legend = axes.get_legend()
    words = [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()]
    for text in [*words, *axes.texts, *(legend.get_texts() if legend else [])]:
        wanted = size if text is axes.title else size * 0.8
        text.set_fontproperties(typography.font(round(wanted)))
        text.set_color(INK)


def _wrapped(title: str, size: float) -> str:
    return typography.wrap(title, 1100 if size > 20 else 360, size)


# --- the pictures ------------------------------------------------------------------------------------------------


def draw_scores(axes: Axes, sheet: Sheet) -> None:
    """Draw how often each score was given."""
    pairs = sheet.report.per_pair
    scores = np.arange(6)
    series = (
        [(f"{sheet.says(sheet.each)} {pair.pair}", pair.counts) for pair in pairs]
        if 1 < len(pairs) <= FEW_PAIRS
        else [("", sheet.report.all.counts)]
    )
    wide = 0.84 / len(series)
    for i, (name, counts) in enumerate(series):
        left = scores + (i - (len(series) - 1) / 2) * wide
        bars = axes.bar(left, counts, wide * 0.92, color=_COLOURS[i], hatch=_HATCHES[i], edgecolor=PAPER, label=name)
        axes.bar_label(bars, padding=2)
    if len(series) > 1:
        axes.legend(frameon=False, labelcolor=INK)
    axes.set_title(sheet.says("scores"))
    axes.set_xlabel(sheet.says("score"))
    axes.set_ylabel(sheet.says("votes"))
    axes.set_xticks(scores)
    axes.margins(y=0.12)


def draw_means(axes: Axes, sheet: Sheet) -> None:
    """Draw each pair's mean with the t interval of its voters; pairs with one vote have no interval."""
    pairs = shown_means(sheet.report.per_pair)
    for i, pair in enumerate(pairs):
        reach = _reach(pair)
        if reach is not None:
            axes.plot([i, i], [max(0, pair.mean - reach), min(5, pair.mean + reach)], color=MUTED, linewidth=2.5)
        axes.plot([i], [pair.mean], marker="o", markersize=9, color=AROUSAL)
        if len(pairs) <= 12:
            axes.annotate(f"{pair.mean:.2f}", (i, pair.mean), xytext=(9, -5), textcoords="offset points")
    overall = sheet.report.all.mean
    if overall is not None:
        axes.axhline(overall, color=VALENCE, linewidth=1.5, linestyle="--")
    axes.set_title(sheet.says("means"))
    axes.set_xlabel(sheet.says(sheet.each))
    axes.set_ylabel(sheet.says("mean"))
    axes.set_ylim(0, 5.15)
    step = max(1, len(pairs) // 12)
    axes.set_xticks(range(0, len(pairs), step), [pair.pair for pair in pairs[::step]])
    axes.set_xlim(-0.6, max(0.6, len(pairs) - 0.2))


def draw_controls(axes: Axes, sheet: Sheet) -> None:
    """Draw the mean of the blind test's pairs beside those of its controls."""
    rows = control_rows(sheet)
    for i, (name, mean, count) in enumerate(rows):
        axes.barh([-i], [mean], 0.6, color=_COLOURS[i], hatch=_HATCHES[i], edgecolor=PAPER)
        axes.annotate(f"{mean:.2f}  (n = {count})", (mean, -i), xytext=(8, -6), textcoords="offset points")
        axes.annotate(name, (0, -i + 0.36), xytext=(2, 2), textcoords="offset points")
    axes.set_title(sheet.says("controls"))
    axes.set_xlabel(sheet.says("mean"))
    axes.set_xlim(0, 5.8)
    axes.set_ylim(-len(rows) + 0.4, 0.75)
    axes.set_yticks([])


def draw_alignment(axes: Axes, sheet: Sheet) -> None:
    """Draw the measured distance of each pair against its mean score."""
    points = np.array(_points(sheet))
    axes.scatter(points[:, 0], points[:, 1], s=40, color=AROUSAL, edgecolors=PAPER, alpha=0.85)
    axes.set_title(sheet.says("alignment"))
    axes.set_xlabel(sheet.says("distance"))
    axes.set_ylabel(sheet.says("mean"))
    axes.set_ylim(-0.15, 5.15)


def shown_means(pairs: tuple[PairSummary, ...]) -> list[PairSummary]:
    """Return the pairs whose means are drawn: all, or of many the best and the least rated."""
    if len(pairs) <= MOST_PAIRS:
        return list(pairs)
    ordered = sorted(pairs, key=lambda pair: pair.mean)
    return [*ordered[: MOST_PAIRS // 2], *ordered[-MOST_PAIRS // 2 :]]


def control_rows(sheet: Sheet) -> list[tuple[str, float, int]]:
    """Return (name, mean, votes) of the blind test's pairs and controls."""
    real = sheet.report.by_way["test"]
    rows = [] if real.mean is None else [(sheet.says("match"), real.mean, real.votes)]
    return rows + [(sheet.says(name), found.mean, found.votes) for name, found in sheet.report.controls.items()]


def _points(sheet: Sheet) -> list[tuple[float, float]]:
    each = ((sheet.distances.get(pair.pair, float("nan")), pair.mean) for pair in sheet.report.per_pair)
    return [(distance, mean) for distance, mean in each if np.isfinite(distance)]


def _reach(pair: PairSummary) -> float | None:
    """Return half the width of a pair's t interval."""
    return None if pair.se is None else float(stats.t.ppf((1 + LEVEL) / 2, pair.votes - 1)) * pair.se


# --- the same in words -------------------------------------------------------------------------------------------


def alt_scores(sheet: Sheet) -> str:
    """Return the bar chart in words."""
    found = sheet.report.all
    each = [sheet.says("alt_count", score=score, count=count) for score, count in enumerate(found.counts)]
    counts = ("、" if sheet.language == "zh-TW" else ", ").join(each)
    return sheet.says("alt_scores", votes=found.votes, counts=counts, mean=f"{found.mean:.2f}")


def alt_means(sheet: Sheet) -> str:
    """Return the means in words."""
    ordered = sorted(sheet.report.per_pair, key=lambda pair: pair.mean)
    low, high = ordered[0], ordered[-1]
    return sheet.says(
        "alt_means",
        pairs=len(ordered),
        low=f"{low.mean:.2f}",
        lowest=low.pair,
        high=f"{high.mean:.2f}",
        highest=high.pair,
    )


def alt_controls(sheet: Sheet) -> str:
    """Return the controls in words."""
    rows = [sheet.says("alt_control", name=name, mean=f"{mean:.2f}") for name, mean, _ in control_rows(sheet)]
    return sheet.says("alt_controls", rows=("、" if sheet.language == "zh-TW" else ", ").join(rows))


def alt_alignment(sheet: Sheet) -> str:
    """Return the scatter plot in words."""
    rho = sheet.report.alignment.get("distance")
    told = sheet.says("nothing") if rho is None else f"{rho.value:+.2f}"
    return sheet.says("alt_alignment", pairs=len(_points(sheet)), rho=told)
