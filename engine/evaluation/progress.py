"""The program that draws how far a listening test is: counts (JSON) in, a picture and its words out. Knows no votes.

Run: `python -m engine.evaluation.progress COUNTS.json PICTURE.png [--language LANG]`, with the fields of `Campaign`.
The JSON on stdout is `{"path", "alt"}`. On the left are people, on the right the votes of each pair beside the goal.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from pydantic import TypeAdapter, ValidationError

from engine.drawing.scene import AROUSAL, MUTED, PAPER, VALENCE
from engine.errors import UserError
from engine.evaluation.figures import Figured, write_picture
from engine.jobs import Language

NUMBERED = 30
"""Up to so many bars have room for their number."""
MOST_TICKS = 12

SAYS: dict[Language, dict[str, str]] = {
    "en": {
        "people": "“{name}”: people",
        "wanted": "wanted",
        "begun": "begun",
        "complete": "done",
        "votes": "Votes of each pair, and the goal",
        "pair": "pair",
        "alt": "Listening test “{name}”: {complete} of {wanted} people are done, {begun} have begun.",
        "alt_votes": "{pairs} pairs have {fewest} to {most} votes each; the goal is {goal:.3g}.",
    },
    "zh-TW": {
        "people": "「{name}」：人數",
        "wanted": "目標",
        "begun": "已開始",
        "complete": "已完成",
        "votes": "每一組的票數與目標",
        "pair": "組別",
        "alt": "聆聽測試「{name}」：{wanted} 人中已有 {complete} 人完成，{begun} 人開始。",
        "alt_votes": "{pairs} 組各有 {fewest} 到 {most} 票；目標是 {goal:.3g} 票。",
    },
}


@dataclass(frozen=True)
class Campaign:
    """A listening test: people `wanted`, `begun` and `complete` (who have rated `each` pairs), votes by pair."""

    name: str
    wanted: int
    begun: int
    complete: int
    each: int
    votes: Mapping[str, int]

    @property
    def goal(self) -> float:
        """Votes that each pair has once everybody wanted is done, as they are dealt evenly; 0 without pairs."""
        return self.wanted * self.each / len(self.votes) if self.votes else 0.0


def draw(path: Path, found: Campaign, language: Language) -> Figured:
    """Write the picture; an existing one is replaced whole. Raises `UserError` where it cannot be written."""
    panels = [partial(draw_people, found=found, language=language)]
    if found.votes:
        panels.append(partial(draw_votes, found=found, language=language))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_picture(path, panels, alt(found, language))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.", code="unwritable_out") from None


def draw_people(axes: Axes, found: Campaign, language: Language) -> None:
    """Draw how many are wanted, have begun and are done, each with its number."""
    said = SAYS[language]
    rows = (("wanted", found.wanted, MUTED), ("begun", found.begun, VALENCE), ("complete", found.complete, AROUSAL))
    for i, (_, count, colour) in enumerate(rows):
        axes.barh([-i], [count], 0.55, color=colour, edgecolor=PAPER)
        axes.annotate(str(count), (count, -i), xytext=(8, -6), textcoords="offset points")
    axes.set_title(said["people"].format(name=found.name))
    axes.set_xlim(0, max(found.wanted, found.begun) * 1.18)
    axes.set_yticks([0, -1, -2], [said[name] for name, _, _ in rows])
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def draw_votes(axes: Axes, found: Campaign, language: Language) -> None:
    """Draw the votes of each pair, and the goal as a dashed line."""
    said, pairs, counts = SAYS[language], list(found.votes), list(found.votes.values())
    bars = axes.bar(range(len(pairs)), counts, 0.8, color=AROUSAL)
    if len(pairs) <= NUMBERED:
        axes.bar_label(bars, padding=2)
    axes.axhline(found.goal, color=VALENCE, linewidth=1.5, linestyle="--")
    axes.set_title(said["votes"])
    axes.set_xlabel(said["pair"])
    step = -(-len(pairs) // MOST_TICKS)
    axes.set_xticks(range(0, len(pairs), step), pairs[::step])
    axes.set_ylim(0, max(found.goal, *counts, 1.0) * 1.12)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))


def alt(found: Campaign, language: Language) -> str:
    """Return the picture in words."""
    said = SAYS[language]
    words = said["alt"].format(name=found.name, wanted=found.wanted, begun=found.begun, complete=found.complete)
    if not found.votes:
        return words
    counts = found.votes.values()
    votes = said["alt_votes"].format(pairs=len(counts), fewest=min(counts), most=max(counts), goal=found.goal)
    return words + (" " if language == "en" else "") + votes


def main(arguments: Sequence[str]) -> int:
    """Draw, and print path and words as one line of JSON."""
    parser = argparse.ArgumentParser(prog="engine.evaluation.progress", description=__doc__)
    parser.add_argument("counts", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--language", choices=("en", "zh-TW"), default="en")
    asked = parser.parse_args(arguments)
    try:
        found = TypeAdapter(Campaign).validate_json(asked.counts.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(f"{asked.counts} does not say how far a listening test is: {error}", code="bad_table") from None
    drawn = draw(asked.picture, found, asked.language)
    print(json.dumps({"path": str(drawn.path.absolute()), "alt": drawn.alt}))  # noqa: T201
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        sys.exit(2)
