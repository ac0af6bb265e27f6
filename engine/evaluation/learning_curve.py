"""Draws learning curves (the paper's figures 9, 10 and 14). Knows numbers an epoch; knows no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from engine.whole import whole


def draw_learning_curve(
    path: Path, title: str, measure: str, curves: Mapping[str, Sequence[float]], *, step: str = "epoch"
) -> None:
    """Write a PNG with one line for each of `curves`: name → value after step 1, 2, …; `measure` names the y axis, and
    `step` the x axis."""
    figure = Figure(figsize=(6.4, 4.0), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, values in curves.items():
        axes.plot(range(1, len(values) + 1), values, marker="o", markersize=3, label=name)
    axes.set(title=title, xlabel=step, ylabel=measure)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(curves))  # inside it would lie on the lines
    with whole(path) as unfinished:
        figure.savefig(unfinished, format="png")
