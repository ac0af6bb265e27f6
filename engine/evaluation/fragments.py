"""Checks the storyteller's material: slots, twins, echoes, dead ends, coverage of the plane, and model against tag.

Knows the material and its scores; changes nothing. `problems` must be empty before the material ships (a test holds it
to that); `notes` are for the writer to judge.

Run: `tunetale evaluate fragments [--notes] [--frames]`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engine.dispatch import OneSentenceParser
from engine.emotion.sentences import split
from engine.evaluation.near_duplicates import near_duplicates
from engine.story.library import (
    COLOUR_ROLES,
    DATA,
    PERSON_SLOTS,
    PLOT_ROLES,
    ROLES,
    SLOT,
    Fragment,
    Frame,
    Library,
    MaterialError,
    load_library,
)
from engine.story.scores import SCORES, read_scores
from engine.story.wording import fragment_lengths

LEVELS = ((-1.0, -0.3), (-0.3, 0.3), (0.3, 1.0))
"""Low, middle and high thirds of a tag's axis."""
QUADRANTS = (("bad", "calm"), ("bad", "wild"), ("good", "calm"), ("good", "wild"))
MIN_COLOUR = 6
"""Colour fragments that every ninth of the plane must have, so that ten like beats need not repeat one."""
MAX_BRIEF = 20
"""Words of a fragment short enough for the shortest stories, which every step of a plot must have."""
TWIN_RATIO = (0.8, 3.2)
"""Chinese characters for one English word; outside of it a twin is hardly the same text (median here: 1.5)."""
MAX_WORDS = 75
"""A fragment is one to three sentences; longer ones leave the planner no room."""
MIN_SENTENCE = {"en": 20, "zh": 7}
"""Characters of a sentence whose repetition a reader would notice; shorter ones are cries and replies."""
STRONG_GAP = 2.0
"""Standard deviations between writer's tag and model's reading that are worth a look."""

_SIMPLIFIED = frozenset(
    "们这说时为会对学过没还进远运边问间门开关见觉观听声热爱乐东车马鸟鱼龙风飞云电灯点烟坏块场坚坛报护担拥择挥换损据"
    "梦树桥检楼岁归寻导将尔尘层属币师帮带广庆应张强总恋惊态怀忆战戏户执扫扬抢轻载较输达迁连迟适选递邻钟铁银错长"
)
_ASCII_MARKS = re.compile(r"[,.!?;:\"']")


@dataclass(frozen=True)
class Findings:
    """What is wrong (`problems`), what is worth a look (`notes`), and fragments by role and ninth of the plane."""

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    coverage: dict[str, NDArray[np.int64]]


def check(library: Library, read: NDArray[np.float64] | None = None, banned: dict[str, str] | None = None) -> Findings:
    """Check the material; `read` [n, 2] is what the model read, left out to check the texts alone."""
    fragments = library.fragments
    problems = [problem for fragment in fragments for problem in _text_problems(fragment, library, banned or {})]
    problems += _duplicates(fragments)
    problems += _echoes(fragments)
    problems += _unlike_twins(fragments)
    for frame in library.frames:
        problems += _frame_problems(frame, library)
    coverage = {role: _ninths([f for f in fragments if f.role == role]) for role in ROLES}
    colour = np.sum([coverage[role] for role in COLOUR_ROLES], axis=0)
    for (v, a), count in np.ndenumerate(colour):
        if count < MIN_COLOUR:
            problems.append(f"Only {count} colour fragments at valence {LEVELS[v]}, arousal {LEVELS[a]}.")
    notes = [] if read is None else _disagreements(fragments, read)
    return Findings(tuple(problems), tuple(notes), coverage)


# --- texts -----------------------------------------------------------------------------------------------------


def _text_problems(fragment: Fragment, library: Library, banned: dict[str, str]) -> Iterator[str]:
    en, zh = fragment.en, fragment.zh
    plain_en, plain_zh = SLOT.sub(" ", en), SLOT.sub("", zh)
    if _things(en) != _things(zh):
        yield f"{fragment.origin}: the twins use different slots: {sorted(_things(en) ^ _things(zh))}."
    if re.search(r"[⺀-鿿]", en):
        yield f"{fragment.origin}: Chinese characters in the English text."
    if re.search(r"[A-Za-z]", plain_zh):
        yield f"{fragment.origin}: Latin letters in the Chinese text."
    if _ASCII_MARKS.search(plain_zh):
        yield f"{fragment.origin}: half-width punctuation in the Chinese text."
    if simplified := sorted(_SIMPLIFIED & set(plain_zh)):
        yield f"{fragment.origin}: simplified characters {''.join(simplified)}."
    for text, opening, closing in ((en, "“", "”"), (zh, "「", "」")):
        if text.count(opening) != text.count(closing):
            yield f"{fragment.origin}: quotation marks do not pair."
    if "”" in zh or "「" in en:
        yield f"{fragment.origin}: quotation marks of the other language."
    if zh and zh[-1] not in "。！？」…":
        yield f"{fragment.origin}: the Chinese text does not end a sentence."
    if en and en[-1] not in ".!?”":
        yield f"{fragment.origin}: the English text does not end a sentence."
    if len(en.split()) > MAX_WORDS:
        yield f"{fragment.origin}: {len(en.split())} words, more than {MAX_WORDS}."
    if re.search(r"\}s\b", en):
        yield f"{fragment.origin}: a plural made from a slot."
    for slot in re.findall(r"\ba \{(\w+)\}", en):
        if vowel := [pair[0] for pair in _values(slot, fragment, library) if pair[0][:1].lower() in "aeiou"]:
            yield f"{fragment.origin}: 'a {{{slot}}}' may become 'a {vowel[0]}'."
    words = set(re.findall(r"[a-z]+", plain_en.lower()))
    for word in sorted(words & set(banned.get("en", "").split())):
        yield f"{fragment.origin}: speaks of music ('{word}')."
    for word in banned.get("zh", "").split():
        if word in plain_zh:
            yield f"{fragment.origin}: speaks of music ('{word}')."


def _things(text: str) -> set[str]:
    """Return the slots that both twins must have; Chinese may leave pronouns out, and use them for names."""
    return {slot.lower() for slot in SLOT.findall(text)} - PERSON_SLOTS


def _values(slot: str, fragment: Fragment, library: Library) -> Sequence[tuple[str, str]]:
    for frame in library.frames:
        if frame.name == fragment.frame and slot in frame.slots:
            return frame.slots[slot]
    return library.world.slots.get(slot, ())


def _duplicates(fragments: Sequence[Fragment]) -> list[str]:
    found = []
    for language in ("en", "zh"):
        first: dict[str, str] = {}
        for fragment in fragments:
            text = fragment.en if language == "en" else fragment.zh
            for sentence in split(text):
                if len(SLOT.sub("", sentence)) < MIN_SENTENCE[language]:
                    continue
                if sentence in first:
                    found.append(f"{fragment.origin}: the sentence '{sentence}' stands in {first[sentence]} too.")
                first[sentence] = fragment.origin
    return found


def _echoes(fragments: Sequence[Fragment]) -> Iterator[str]:
    """Find pairs that a reader could meet in one story, or in the stories of two plots, and would take for one."""
    for language in ("en", "zh"):
        texts = [SLOT.sub("" if language == "zh" else " ", getattr(fragment, language)) for fragment in fragments]
        for i, j, share in near_duplicates(texts):
            one, other = fragments[i], fragments[j]
            if one.frame and one.frame == other.frame and one.role == other.role and one.role != "event":
                continue  # ways to tell the same step: only one of them comes
            yield f"{other.origin}: says nearly the same as {one.origin} ({share:.0%} of the {language} text)."


def _unlike_twins(fragments: Sequence[Fragment]) -> Iterator[str]:
    low, high = TWIN_RATIO
    ratios = fragment_lengths(fragments, "zh-TW") / np.maximum(fragment_lengths(fragments, "en"), 1)
    for fragment, ratio in zip(fragments, ratios, strict=True):
        if not low <= ratio <= high:
            yield f"{fragment.origin}: {ratio:.1f} Chinese characters for an English word; is it the same text?"


# --- plots -----------------------------------------------------------------------------------------------------


def _frame_problems(frame: Frame, library: Library) -> Iterator[str]:
    by_role = {role: [f for f in frame.fragments if f.role == role] for role in PLOT_ROLES}
    for name, fragments in _steps(by_role, library).items():
        there = {_quadrant(f.tag) for f in fragments}
        for quadrant in QUADRANTS:
            if quadrant not in there:
                yield f"frames/{frame.name}.toml: no {name} that is {' and '.join(quadrant)}."
        if fragments and fragment_lengths(fragments, "en").min() > MAX_BRIEF and name != "event" and name != "quest":
            yield f"frames/{frame.name}.toml: no {name} in at most {MAX_BRIEF} words."
    if not frame.places or not frame.titles or not frame.seasons:
        yield f"frames/{frame.name}.toml: places, titles and seasons must not be empty."
    yield from _dead_ends(frame, by_role, library.common)


def _steps(by_role: dict[str, list[Fragment]], library: Library) -> dict[str, list[Fragment]]:
    """Return what must be there for every feeling: each role, but ends by their outcome. (A turn's valence follows from
    its outcome, so all turns count together.)"""
    won, lost = library.world.bits["won"], library.world.bits["lost"]
    steps = {role: fragments for role, fragments in by_role.items() if role != "end"}
    for fate, other in ((won, lost), (lost, won)):
        name = "end of a won story" if fate == won else "end of a lost story"
        steps[name] = [f for f in by_role["end"] if other not in f.needs]
    return steps


def _dead_ends(frame: Frame, by_role: dict[str, list[Fragment]], common: Sequence[Fragment]) -> Iterator[str]:
    """Walk all states of the facts that a story can reach; every one must lead on, every fragment must be reached."""
    changers = [f for f in common if f.sets]  # colour that changes the weather
    reached: set[str] = set()
    states = {frame.start | bit for bit in frame.season_bits}
    for role in ("open", "quest", "turn", "end"):
        fitting = {state: [f for f in by_role[role] if f.may_follow(state)] for state in states}
        if not all(fitting.values()):
            yield f"frames/{frame.name}.toml: a story can come to a point where no {role} fits."
        reached |= {f.origin for found in fitting.values() for f in found}
        states = {f.after(state) for state, found in fitting.items() for f in found}
        movers = changers + (by_role["event"] if role == "quest" else [])
        states, moved = _closure(states, movers)
        reached |= moved
    for fragment in (f for fragments in by_role.values() for f in fragments):
        if fragment.origin not in reached:
            yield f"{fragment.origin}: can never come."


def _closure(states: set[int], movers: Sequence[Fragment]) -> tuple[set[int], set[str]]:
    """Return every state that the movers can lead to, and which of them could come at all."""
    states, todo, moved = set(states), list(states), set()
    while todo:
        state = todo.pop()
        for mover in movers:
            if mover.may_follow(state):
                moved.add(mover.origin)
                if mover.after(state) not in states:
                    states.add(mover.after(state))
                    todo.append(mover.after(state))
    return states, moved


# --- feeling ---------------------------------------------------------------------------------------------------


def _quadrant(tag: tuple[float, float]) -> tuple[str, str]:
    return ("good" if tag[0] > 0 else "bad", "wild" if tag[1] > 0 else "calm")


def _ninths(fragments: Sequence[Fragment]) -> NDArray[np.int64]:
    """Count by tag: [valence low..high, arousal low..high]."""
    counts = np.zeros((3, 3), dtype=np.int64)
    for fragment in fragments:
        v, a = (int(value >= LEVELS[1][0]) + int(value > LEVELS[1][1]) for value in fragment.tag)
        counts[v, a] += 1
    return counts


def _disagreements(fragments: Sequence[Fragment], read: NDArray[np.float64]) -> list[str]:
    tags = np.array([fragment.tag for fragment in fragments])
    gaps = np.abs((tags - tags.mean(axis=0)) / tags.std(axis=0) - (read - read.mean(axis=0)) / read.std(axis=0))
    notes = []
    for index in np.argsort(-gaps.max(axis=1), kind="stable"):
        if gaps[index].max() < STRONG_GAP:
            break
        axis = ("valence", "arousal")[int(gaps[index].argmax())]
        meant, found = tags[index], read[index]
        notes.append(
            f"{fragments[index].origin}: {axis} meant {meant[0]:+.1f}, {meant[1]:+.1f}, "
            f"read {found[0]:+.2f}, {found[1]:+.2f}."
        )
    return notes


# --- report ----------------------------------------------------------------------------------------------------


def banned_words(directory: Path = DATA) -> dict[str, str]:
    """Return the words that no story may use, by language ('en', 'zh'), separated by spaces."""
    table: dict[str, str] = tomllib.loads((directory / "world.toml").read_text(encoding="utf-8")).get("banned", {})
    return table


def frame_table(library: Library) -> Table:
    """Count each frame's fragments by role and corner of the plane (good or bad, calm or wild)."""
    table = Table("frame", "role", *(f"{v}, {a}" for v, a in QUADRANTS), title="fragments by frame")
    for frame in library.frames:
        for role in PLOT_ROLES:
            corners = Counter(_quadrant(f.tag) for f in frame.fragments if f.role == role)
            table.add_row(frame.name, role, *(str(corners[quadrant]) for quadrant in QUADRANTS))
    return table


def print_findings(library: Library, findings: Findings, console: Console, *, notes: bool) -> None:
    """Print the coverage table and what was found."""
    table = Table("role", *(f"V{v} A{a}" for v in "-0+" for a in "-0+"), "all", title="fragments by tag")
    for role, counts in findings.coverage.items():
        table.add_row(role, *(str(count) for count in counts.ravel()), str(counts.sum()))
    console.print(table)
    roles = Counter(f.frame or "common" for f in library.fragments)
    console.print(f"{len(library.fragments)} fragments: " + ", ".join(f"{name} {n}" for name, n in roles.items()))
    for problem in findings.problems:
        console.print(f"[red]{problem}[/red]")
    console.print(f"{len(findings.problems)} problems, {len(findings.notes)} strong disagreements of model and tag")
    for note in findings.notes if notes else ():
        console.print(note)


def main(arguments: Sequence[str]) -> int:
    """Check the shipped material; 0 when there are no problems, 1 otherwise."""
    parser = OneSentenceParser(prog="tunetale evaluate fragments", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--notes", action="store_true", help="list where model and tag disagree strongly")
    parser.add_argument("--frames", action="store_true", help="show what every plot has for every feeling")
    asked = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    try:
        library = load_library()
        findings = check(library, read_scores(library.fragments, SCORES), banned_words())
    except MaterialError as error:
        console.print("\n".join(error.problems), markup=False)
        return 1
    if asked.frames:
        console.print(frame_table(library))
    print_findings(library, findings, console, notes=asked.notes)
    return 1 if findings.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
