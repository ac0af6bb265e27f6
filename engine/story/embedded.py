"""The storyteller that works with no download: plans over authored material and fills in names and places.

Knows prompts and stories; the search is in `planner`, the grammar in `render`. Keeps no state between calls, so it may
be used from several threads.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from engine.errors import UserError
from engine.report import Report
from engine.story.library import Frame, Library, MaterialError, Pair, load_library
from engine.story.planner import Order, Plan, Planner
from engine.story.render import Cast, Person, render, render_title
from engine.story.scores import load_scores
from engine.story.storyteller import CANDIDATES, WORDS, Prompt, Story

MAX_BEATS = 10
EVEN_SHARE = 0.5
"""How far paragraphs are of equal length; the rest follows the length of their beats."""
MAX_RETRIES = 8
"""How often a candidate that equals an earlier one is planned anew."""


class EmbeddedStoryteller:
    """Tells stories in English and Traditional Chinese from TuneTale's own fragments."""

    def __init__(self, library: Library, planner: Planner) -> None:
        self.library = library
        self.planner = planner

    @classmethod
    def load(cls) -> Self:
        """Read fragments and scores. Raises `UserError` when they are damaged or do not belong together."""
        try:
            library = load_library()
            return cls(library, Planner(library, load_scores(library.fragments)))
        except MaterialError as error:
            raise UserError(error.problems[0], code="bad_material") from error

    @property
    def name(self) -> str:
        """Name of backend and model, as shown to people."""
        return "embedded/fragments"

    def tell(self, prompt: Prompt, report: Report) -> tuple[Story, ...]:
        """Return `prompt.candidates` different stories, one paragraph for every beat.

        Raises `UserError` for no beats, more than MAX_BEATS, a length outside WORDS, or an unknown language.
        """
        _check(prompt)
        stories: dict[tuple[str, ...], Story] = {}
        frames: list[str] = []
        for number in range(prompt.candidates):
            report("write", number / prompt.candidates)
            for retry in range(MAX_RETRIES):
                seed = (prompt.seed & 0xFFFFFFFF, number, retry)
                plan = self.planner.plan(order(prompt), seed, avoid=frozenset(frames))
                story = self._story(plan, prompt, seed)
                if story.paragraphs not in stories:
                    break
            frames.append(plan.frame.name)
            stories.setdefault(story.paragraphs, story)
        report("write", 1.0)
        return tuple(stories.values())

    def _story(self, plan: Plan, prompt: Prompt, seed: tuple[int, ...]) -> Story:
        rng = np.random.default_rng((*seed, 1))  # a stream of its own: naming never changes the plot
        cast = self._cast(plan.frame, rng)
        title = plan.frame.titles[rng.integers(len(plan.frame.titles))]
        paragraphs = render(plan.paragraphs, cast, prompt.language)
        return Story(
            title=prompt.title or render_title(title, cast, prompt.language),
            paragraphs=paragraphs,
            language=prompt.language,
            twin=None if prompt.language == "en" else render(plan.paragraphs, cast, "en"),
        )

    def _cast(self, frame: Frame, rng: np.random.Generator) -> Cast:
        """Cast hero and companion with different pronouns, and choose one value for every slot."""
        world = self.library.world

        def pick(pairs: tuple[Pair, ...]) -> Pair:
            return pairs[rng.integers(len(pairs))]

        hero_gender, friend_gender = (("she", "he"), ("he", "she"))[rng.integers(2)]
        hero = Person(pick(world.names[hero_gender]), hero_gender)
        name = pick(world.names[friend_gender])
        kin = world.kins[frame.companion][friend_gender]
        slots = {key: pick(pairs) for key, pairs in (*world.slots.items(), *frame.slots.items())}
        slots |= {"place": pick(frame.places), "kin": kin.kin}
        return Cast(hero, Person(kin.called or name, friend_gender), slots)


def order(prompt: Prompt) -> Order:
    """Return what the planner needs to know of a prompt; paragraphs are longer where beats are."""
    lengths = np.array([max(beat.end_s - beat.start_s, 0.0) for beat in prompt.beats])
    even = np.full(len(lengths), 1 / len(lengths))
    by_time = lengths / lengths.sum() if lengths.sum() > 0 else even
    return Order(
        targets=np.array(prompt.targets, dtype=np.float64).reshape(-1, 2),
        shares=EVEN_SHARE * even + (1 - EVEN_SHARE) * by_time,
        words=prompt.words,
        language=prompt.language,
        setting=prompt.setting,
    )


def _check(prompt: Prompt) -> None:
    if prompt.language not in WORDS:
        raise UserError(f"Stories are told in {' and '.join(WORDS)}, not in '{prompt.language}'.", code="bad_language")
    if not prompt.beats or len(prompt.beats) != len(prompt.targets):
        raise UserError("A story needs at least one beat, and one target for every beat.", code="no_beats")
    if len(prompt.beats) > MAX_BEATS:
        raise UserError(f"A story has at most {MAX_BEATS} beats, not {len(prompt.beats)}.", code="too_many_beats")
    if not np.isfinite(np.array(prompt.targets, dtype=np.float64)).all():
        raise UserError("Every beat's target must be two finite numbers.", code="bad_target")
    low, high = WORDS[prompt.language]
    if not low <= prompt.words <= high:
        unit = "words" if prompt.language == "en" else "characters"
        raise UserError(
            f"A story can have {low} to {high} {unit}, not {prompt.words}; please choose a number in between.",
            code="bad_words",
        )
    fewest, most = CANDIDATES
    if not fewest <= prompt.candidates <= most:
        raise UserError(
            f"Ask for {fewest} to {most} candidate stories, not {prompt.candidates}.", code="bad_candidates"
        )
