"""Chooses fragments for beats: a beam search over a frame's facts, the emotion of each paragraph, and length.

Knows fragments, scores and targets; knows no text beyond word counts, and writes none. Deterministic: the same
request and seed give the same plan.

The score of a plan is a sum of costs in units of the library's own spread of emotion (z), so that valence and
arousal count alike although texts vary less in arousal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from engine.emotion.setting import Setting
from engine.jobs import Language
from engine.story.library import COLOUR_ROLES, PLOT_ROLES, SHIFT_ROLES, Fragment, Frame, Library
from engine.story.wording import LANGUAGES, fragment_lengths, opening, stem_masks

Floats = NDArray[np.float64]

BEAM = 40
"""Partial stories kept after every step."""
BRANCH = 10
"""Continuations tried for each of them."""
KEPT_PER_FATE = 10
"""Partial stories kept for each outcome, so that the turn is chosen with the end in sight."""

FRAGMENT_COST = 0.5
"""Weight of each fragment's own distance to the target: keeps opposites from averaging out in one paragraph."""
PARAGRAPH_COST = 3.2
"""Weight of the distance between a paragraph's mean and its target, as the listener will judge it."""
LENGTH_COST = 10.0
"""Weight of the relative error in length so far."""
OVERRUN_COST = 80.0
"""Weight of what the whole story's relative error exceeds TOLERANCE by."""
TOLERANCE = 0.06
"""Relative error in length that nobody minds."""
VARIETY = 2.4
"""Largest seeded disadvantage of a colour fragment or frame; what makes two seeds tell two stories."""
PLOT_VARIETY = 0.8
"""The same for a plot fragment: there are as many plots as frames, and a turn or an end has to feel right."""
IN_MIND = 0.5
"""Share of the colour fragments that a story has in mind; the others come only for want of these (FAR_FETCHED). Keeps
what fits almost everywhere from coming almost everywhere."""
FAR_FETCHED = 3.0
BRIEF = 12
"""Words up to which a colour fragment is always in mind: the shortest stories need all of the few there are."""
SIZE_COST = 0.5
"""For a fragment that is longer or shorter than its place has room for, in shares of that room or of the mean length,
whichever is less: where words are few, each of them counts."""
MIN_FAIR = 4.0
"""Room below which no fragment fits anyhow."""
ECHO_COST = 0.12
"""For each content word that the story has used already."""
SAME_OPENING_COST = 0.5
"""When a fragment begins with the same word as the one before it."""
SAME_KIND_COST = 0.5
"""When two colour fragments of one role follow each other."""
CONTRAST_COST = 0.9
"""For neighbours in one paragraph that were meant more than CONTRAST_FROM apart, per unit of the plane beyond it."""
CONTRAST_FROM = 0.7
BROKEN_PROMISE_COST = 2.0
"""When what follows a bridge does not go where the bridge said."""
SUIT_COST = 0.8
"""Weight of the mean difference between the music's facts and those that a fragment or frame suits."""
MISSING_EVENT_COST = 0.6
"""When no event can happen here and the paragraph goes without."""

FRAMES_TRIED = 4
"""Plot shapes that compete for one story."""
NEARLY = 0.3
"""Scale of the seeded chance between frames that fit about equally well (Gumbel noise: a frame that is this much worse
a paragraph is chosen 1/e times as often); without it, like pieces would always get like plots."""
PLOT_SHARE = 0.5
"""Share of fragments that carry the plot when there is room for more than the plot needs."""
QUEST_FROM = 3.5
"""Room, in mean plot fragments, from which a story says what is wanted; the shortest leave it to the opening."""
MAX_COLOUR = 14
"""Colour fragments in one paragraph at most."""
LEAD_CHANCE = 0.25
"""Chance that a paragraph begins with a scene instead of an act."""
SHIFT_FROM = 1.3
"""Change of target (z) from which a bridge may open the paragraph."""
SHIFT_CHANCE = 0.6


@dataclass(frozen=True)
class Order:
    """What the planner is asked for: targets on the text scale, and each paragraph's share of the length."""

    targets: Floats
    shares: Floats
    words: int
    language: Language
    setting: Setting | None


@dataclass(frozen=True)
class Plan:
    """One list of fragments for each paragraph, and what it costs."""

    frame: Frame
    season: str
    paragraphs: tuple[tuple[Fragment, ...], ...]
    cost: float


@dataclass(frozen=True)
class _State:
    """A partial story: indices of fragments by paragraph, the facts, and running sums."""

    facts: int
    done: tuple[tuple[int, ...], ...]
    current: tuple[int, ...]
    used: int
    stems: int
    length: int
    sums: tuple[float, float, float]
    cost: float
    opening: str
    role: str


class Planner:
    """Plans over one library. `scores` is [n, 2], (valence, arousal) of `library.fragments` on the text scale."""

    def __init__(self, library: Library, scores: Floats) -> None:
        self.library = library
        self.fragments = library.fragments
        self.scores = scores
        self.spread = scores.std(axis=0)
        self._stems = stem_masks([fragment.en for fragment in self.fragments])
        self._openings = [opening(fragment.en) for fragment in self.fragments]
        self._lengths = {language: fragment_lengths(self.fragments, language) for language in LANGUAGES}
        self._plot = np.array([f.role in PLOT_ROLES for f in self.fragments])
        colour = np.array([f.role in COLOUR_ROLES for f in self.fragments])
        self._by_lot = colour & (self._lengths["en"] > BRIEF)
        self._by_frame = {
            frame.name: [i for i, f in enumerate(self.fragments) if f.frame in (None, frame.name)]
            for frame in library.frames
        }
        self._fates = [library.world.bits[word] for word in ("undecided", "won", "lost")]

    def plan(self, order: Order, seed: tuple[int, ...], avoid: frozenset[str] = frozenset()) -> Plan:
        """Return a plan that fits as well as any over FRAMES_TRIED frames drawn by the seed; those in `avoid` only for
        want of others."""
        rng = np.random.default_rng(seed)
        names = rng.permutation(len(self.library.frames))
        frames = [self.library.frames[i] for i in names]
        luck = {frame.name: rng.uniform(0, VARIETY) + self._frame_cost(frame, order) for frame in frames}
        frames.sort(key=lambda frame: (frame.name in avoid, luck[frame.name]))
        plans = []
        for frame in frames:
            plans += self._search(frame, order, rng)
            if len(plans) >= FRAMES_TRIED:
                break
        chance = {plan.frame.name: rng.gumbel(0.0, NEARLY) for plan in plans}
        return min(plans, key=lambda plan: (plan.frame.name in avoid, plan.cost - chance[plan.frame.name]))

    def _frame_cost(self, frame: Frame, order: Order) -> float:
        return 3 * SUIT_COST * _unsuited(frame.suits, order.setting)

    # --- the search ------------------------------------------------------------------------------------------

    def _search(self, frame: Frame, order: Order, rng: np.random.Generator) -> list[Plan]:
        """Return the best plan in this frame as a list of one, or none when its facts allow no way through."""
        season = _season(frame, order.setting, rng)
        indices = np.array(self._by_frame[frame.name])
        noise = rng.uniform(0, 1, len(self.fragments)) * np.where(self._plot, PLOT_VARIETY, VARIETY)
        noise += FAR_FETCHED * (self._by_lot & (rng.random(len(self.fragments)) > IN_MIND))
        noise += SUIT_COST * np.array([_unsuited(f.suits, order.setting) for f in self.fragments])
        start = frame.start | self.library.world.bits[season]
        beam = [_State(start, (), (), 0, 0, 0, (0.0, 0.0, 0.0), 0.0, "", "")]
        lengths = self._lengths[order.language]
        layout = self._layout(frame, order)
        budgets = np.cumsum(order.shares) * order.words
        for number, plot in enumerate(layout):
            target = order.targets[number]
            distance = np.sqrt((((self.scores - target) / self.spread) ** 2).sum(axis=1))
            room = float(budgets[number]) - beam[0].length
            slots = self._slots(plot, room, self._shift(order, number, rng), order.language, rng)
            fair = max(room / len(slots), MIN_FAIR)
            misfit = np.abs(lengths - fair) / min(fair, lengths.mean())
            base = FRAGMENT_COST * distance + noise + SIZE_COST * misfit
            ranked = self._ranked(base, indices)
            for slot in slots:
                beam = self._step(beam, slot, ranked, base, order.language)
                if not beam:
                    return []
            beam = self._close(beam, target, float(budgets[number]), order.words, last=number == len(layout) - 1)
        best = beam[0]
        paragraphs = tuple(tuple(self.fragments[i] for i in part) for part in best.done)
        return [Plan(frame, season, paragraphs, best.cost / len(layout) + self._frame_cost(frame, order))]

    def _layout(self, frame: Frame, order: Order) -> list[list[str]]:
        """Return the plot roles of each paragraph: at least one each, unless that would make the story too long."""
        paragraphs = len(order.targets)
        lengths = self._lengths[order.language]
        events = sum(f.role == "event" for f in frame.fragments)
        wanted = round(PLOT_SHARE * order.words / float(lengths.mean()))
        affordable = order.words / float(lengths[self._plot].mean())
        before = ["open", "quest"] if affordable >= QUEST_FROM else ["open"]
        least = len(before) + 2
        plots = max(least, min(least + events, int(affordable), max(wanted, paragraphs)))
        roles = before + ["event"] * (plots - least) + ["turn", "end"]
        layout: list[list[str]] = [[] for _ in range(paragraphs)]
        for position, role in enumerate(roles):
            layout[_place(position, plots, paragraphs)].append(role)
        return layout

    def _slots(
        self, plot: Sequence[str], room: float, shift: str, language: Language, rng: np.random.Generator
    ) -> list[str]:
        """Return the roles of one paragraph in order; 'colour' stands for any of the colour roles."""
        lengths = self._lengths[language]
        plot_length, colour_length = float(lengths[self._plot].mean()), float(lengths[~self._plot].mean())
        room -= plot_length * len(plot)
        slots = [shift] if shift and room > colour_length / 2 else []
        colours = min(MAX_COLOUR, max(0 if plot else 1, round(room / colour_length)))
        lead = colours > 0 and "open" not in plot and rng.random() < LEAD_CHANCE
        if lead:
            slots.append("scene")
            colours -= 1
        places = [position for position, role in enumerate(plot) if role != "end"] or [-1]  # nothing follows the end
        after = [0] * (len(plot) + 1)
        for number in range(colours):
            after[places[number * len(places) // max(colours, 1)] + 1] += 1
        slots += ["colour"] * after[0]
        for position, role in enumerate(plot):
            slots += [role] + ["colour"] * after[position + 1]
        return slots

    def _shift(self, order: Order, number: int, rng: np.random.Generator) -> str:
        """Return the bridge role that leads into this paragraph, or nothing."""
        draw = rng.random()
        if number == 0:
            return ""
        change = (order.targets[number] - order.targets[number - 1]) / self.spread
        if np.abs(change).max() < SHIFT_FROM or draw > SHIFT_CHANCE:
            return ""
        if abs(change[0]) >= abs(change[1]):
            return "lift" if change[0] > 0 else "fall"
        return "stir" if change[1] > 0 else "settle"

    def _ranked(self, base: Floats, indices: NDArray[np.int64]) -> dict[str, list[int]]:
        ranked: dict[str, list[int]] = {}
        for index in indices[np.argsort(base[indices], kind="stable")].tolist():
            role = self.fragments[index].role
            ranked.setdefault(role, []).append(index)
            if role in COLOUR_ROLES:
                ranked.setdefault("colour", []).append(index)
        return ranked

    def _step(
        self, beam: list[_State], slot: str, ranked: dict[str, list[int]], base: Floats, language: Language
    ) -> list[_State]:
        found: list[_State] = []
        for state in beam:
            fitting = self._fitting(state, ranked.get(slot, ()))
            if not fitting and slot == "event":
                fitting = self._fitting(state, ranked.get("colour", ()))
                state = replace(state, cost=state.cost + MISSING_EVENT_COST)
            if not fitting and slot not in PLOT_ROLES:
                found.append(state)
            found += [self._extend(state, index, base, language) for index in fitting]
        found.sort(key=lambda state: state.cost)
        kept = found[:BEAM]
        for fate in self._fates:
            alive = sum(1 for state in kept if state.facts & fate)
            rest = (state for state in found[BEAM:] if state.facts & fate)
            kept += [state for state, _ in zip(rest, range(KEPT_PER_FATE - alive), strict=False)]
        return kept

    def _fitting(self, state: _State, ranked: Sequence[int]) -> list[int]:
        """Return the first BRANCH fragments that have not been told and may come now."""
        fitting = (
            index for index in ranked if not state.used >> index & 1 and self.fragments[index].may_follow(state.facts)
        )
        return list(islice(fitting, BRANCH))

    def _extend(self, state: _State, index: int, base: Floats, language: Language) -> _State:
        fragment = self.fragments[index]
        cost = float(base[index]) + ECHO_COST * (self._stems[index] & state.stems).bit_count()
        cost += SAME_OPENING_COST * (self._openings[index] == state.opening)
        cost += SAME_KIND_COST * (fragment.role == state.role and fragment.role in COLOUR_ROLES)
        if state.current:
            before = self.fragments[state.current[-1]]
            if before.role in SHIFT_ROLES:
                cost += BROKEN_PROMISE_COST * (not _keeps(before.role, fragment.tag))
            else:
                cost += CONTRAST_COST * max(0.0, math.dist(before.tag, fragment.tag) - CONTRAST_FROM)
        weight = float(self._lengths["en"][index])
        valence, arousal = self.scores[index]
        return _State(
            facts=fragment.after(state.facts),
            done=state.done,
            current=(*state.current, index),
            used=state.used | 1 << index,
            stems=state.stems | self._stems[index],
            length=state.length + int(self._lengths[language][index]),
            sums=(state.sums[0] + weight * valence, state.sums[1] + weight * arousal, state.sums[2] + weight),
            cost=state.cost + cost,
            opening=self._openings[index],
            role=fragment.role,
        )

    def _close(self, beam: list[_State], target: Floats, budget: float, words: int, *, last: bool) -> list[_State]:
        """End a paragraph: charge for its mean and for the length so far; drop those left empty."""
        closed = []
        for state in beam:
            if not state.current:
                continue
            valence, arousal, weight = state.sums
            gap = (np.array([valence, arousal]) / weight - target) / self.spread
            error = abs(state.length - budget) / words
            cost = PARAGRAPH_COST * float(np.sqrt(gap @ gap)) + LENGTH_COST * error
            if last:
                cost += OVERRUN_COST * max(0.0, error - TOLERANCE)
            closed.append(
                replace(
                    state,
                    cost=state.cost + cost,
                    done=(*state.done, state.current),
                    current=(),
                    sums=(0.0, 0.0, 0.0),
                )
            )
        return sorted(closed, key=lambda state: state.cost)


def _keeps(shift: str, tag: tuple[float, float]) -> bool:
    """Whether a fragment goes where a bridge of this role leads."""
    valence, arousal = tag
    return {"lift": valence > 0, "fall": valence < 0, "stir": arousal > 0, "settle": arousal < 0}[shift]


def _place(position: int, plots: int, paragraphs: int) -> int:
    """Return the paragraph of a plot role: spread evenly, the first in the first and the last in the last."""
    if plots >= paragraphs:
        return position * paragraphs // plots
    return round(position * (paragraphs - 1) / (plots - 1))


def _unsuited(suits: tuple[tuple[str, float], ...], setting: Setting | None) -> float:
    """Mean difference from the music's facts, less what chance would give: below 0 for what suits the music, above 0
    for what does not; nothing where either side says nothing."""
    if setting is None or not suits:
        return 0.0
    facts = {
        "tempo": min(1.0, max(0.0, (setting.tempo_bpm - 50) / 130)),
        "brightness": setting.brightness,
        "loudness": setting.loudness,
        "density": setting.density,
    }
    by_chance = sum(value * value - value + 0.5 for _, value in suits)  # E|u - value|, u uniform on [0, 1]
    return (sum(abs(facts[key] - value) for key, value in suits) - by_chance) / len(suits)


def _season(frame: Frame, setting: Setting | None, rng: np.random.Generator) -> str:
    """Draw one of the frame's seasons; bright music leans to summer, dark music to winter."""
    light = {"winter": 0.1, "autumn": 0.35, "spring": 0.65, "summer": 0.9}
    brightness = setting.brightness if setting else 0.5
    lean = 4.0 if setting else 0.0  # e-fold for a quarter of the range: noticeable, never certain
    weights = np.array([np.exp(-lean * abs(light[season] - brightness)) for season in frame.seasons])
    return str(rng.choice(frame.seasons, p=weights / weights.sum()))
