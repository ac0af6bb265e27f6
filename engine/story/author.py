"""The storyteller for every language model: asks for several stories, repairs, chooses, improves the worst part.

Knows the order of these steps; the words are in `prompt`, the reading in `parse`, the choice in `candidates`, and the
model behind `Chat`. Keeps no state between calls, so it may be used from several threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.emotion.calibration import Calibration
from engine.emotion.curve import beats_array
from engine.errors import UserError
from engine.jobs import Language
from engine.report import Report
from engine.story.candidates import best_of, distances, replacement, worst_of
from engine.story.chat import Ask, Chat, Told
from engine.story.parse import Draft, parse_paragraph, parse_story
from engine.story.prompt import repair_ask, rewrite_ask, story_ask
from engine.story.sanitize import MAX_PARAGRAPH_CHARS, Moderation, clean_text
from engine.story.storyteller import CANDIDATES, Prompt, Story

MAX_BEATS = 16
"""A story of more paragraphs is no story; pieces have at most ten beats."""
WRITTEN, REPAIRED = 0.7, 0.85
"""Where on the way from 0 to 1 the first answers are there, and where the repaired ones are."""

Reader = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts -> [n, 2 or more], valence and arousal first, on the text scale."""


class Detector(Protocol):
    """Tells language from gibberish."""

    def score(self, text: str, language: Language) -> float:
        """Return how sound the text is, from 0 (gibberish) to 1."""
        ...


@dataclass(frozen=True)
class _Read:
    """A draft and, for each of its paragraphs, the misfit and how sound it is."""

    draft: Draft
    misfits: tuple[float, ...]
    soundness: tuple[float, ...]


class Author:
    """Implements `engine.story.storyteller.Storyteller` with a language model."""

    def __init__(
        self,
        chat: Chat,
        reader: Reader,
        detector: Detector,
        moderation: Moderation,
        calibration: Calibration,
        *,
        rewrites: int,
    ) -> None:
        self._chat = chat
        self._reader = reader
        self._detector = detector
        self._moderation = moderation
        self._calibration = calibration
        self._rewrites = rewrites

    @property
    def name(self) -> str:
        """Name of backend and model, as shown to people."""
        return self._chat.name

    def tell(self, prompt: Prompt, report: Report) -> tuple[Story, ...]:
        """Return the best story as a tuple of one.

        Raises `UserError` when the prompt asks for nothing that can be told or the model wrote nothing that can be
        used, and what the model and `report` raise.
        """
        _check(prompt)
        asks = [story_ask(prompt, _seed(prompt, number, 0)) for number in range(prompt.candidates)]
        drafts = self._drafts(prompt, asks, report)
        read = self._best(prompt, drafts)
        read = self._improved(prompt, read, report)
        report("write", 1.0)
        return (Story(read.draft.title, read.draft.paragraphs, prompt.language),)

    def _drafts(self, prompt: Prompt, asks: Sequence[Ask], report: Report) -> list[Draft]:
        """Return the stories that can be used, after one round of repair for those that could not."""
        answers = self._chat.write(asks, _part(report, 0.0, WRITTEN))
        drafts = [_parse(answer, prompt) for answer in answers]
        broken = [i for i, draft in enumerate(drafts) if draft.problem]
        if broken:
            again = [repair_ask(prompt, asks[i], answers[i], drafts[i].problem, _seed(prompt, i, 1)) for i in broken]
            repaired = self._chat.write(again, _part(report, WRITTEN, REPAIRED))
            for i, answer in zip(broken, repaired, strict=True):
                drafts[i] = _parse(answer, prompt)
        usable = [draft for draft in drafts if not draft.problem]
        if not usable:
            raise UserError(
                f"{self.name} did not write a story of {len(prompt.beats)} paragraphs with a title, although it was"
                " asked twice; please try another seed, or let the owner choose another model.",
                code="bad_story",
            )
        return usable

    def _best(self, prompt: Prompt, drafts: Sequence[Draft]) -> _Read:
        allowed = [draft for draft in drafts if self._moderation.allows((draft.title, *draft.paragraphs))]
        if not allowed:
            raise UserError(
                "Every story came out with a word that is not allowed here; please try again with another seed.",
                code="moderated",
            )
        read = [self._read(prompt, draft) for draft in allowed]
        best = best_of([one.misfits for one in read], [one.soundness for one in read])
        if best is None:
            raise UserError(
                f"{self.name} wrote nothing that can be read; please try another seed, or let the owner choose another"
                " model.",
                code="gibberish",
            )
        return read[best]

    def _improved(self, prompt: Prompt, read: _Read, report: Report) -> _Read:
        """Have the worst paragraph written anew, several times at once, and keep what fits better."""
        tried: frozenset[int] = frozenset()
        for number in range(self._rewrites):
            worst = worst_of(read.misfits, tried)
            if worst is None:
                break
            tried |= {worst}
            paragraphs = list(read.draft.paragraphs)
            asks = [
                rewrite_ask(prompt, read.draft.title, paragraphs, worst, _seed(prompt, i, 2 + number))
                for i in range(prompt.candidates)
            ]
            step = (1.0 - REPAIRED) / self._rewrites
            start = REPAIRED + number * step
            texts = self._chat.write(asks, _part(report, start, start + step))
            new = [clean_text(parse_paragraph(text[: 2 * MAX_PARAGRAPH_CHARS], prompt.language)) for text in texts]
            new = [text for text in new if 0 < len(text) <= MAX_PARAGRAPH_CHARS and self._moderation.allows([text])]
            if not new:
                continue
            misfits, soundness = self._judged(prompt, new, [worst] * len(new))
            chosen = replacement(read.misfits[worst], misfits, soundness)
            if chosen is not None:
                paragraphs[worst] = new[chosen]
                read = self._read(prompt, Draft(read.draft.title, tuple(paragraphs)))
        return read

    def _read(self, prompt: Prompt, draft: Draft) -> _Read:
        return _Read(draft, *self._judged(prompt, draft.paragraphs, range(len(draft.paragraphs))))

    def _judged(
        self, prompt: Prompt, texts: Sequence[str], beats: Sequence[int]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the misfit of each text to its beat, and how sound it is."""
        wanted = beats_array(prompt.beats)[list(beats)]
        got = self._calibration.to_music(self._reader(texts)[:, :2])
        soundness = tuple(float(self._detector.score(text, prompt.language)) for text in texts)
        return tuple(distances(wanted, got).tolist()), soundness


def _parse(answer: str, prompt: Prompt) -> Draft:
    draft = parse_story(
        answer[: (len(prompt.beats) + 2) * MAX_PARAGRAPH_CHARS],
        len(prompt.beats),
        prompt.words,
        prompt.language,
        prompt.title,
    )
    return Draft(clean_text(draft.title), tuple(map(clean_text, draft.paragraphs)), draft.problem)


def _seed(prompt: Prompt, candidate: int, round_: int) -> int:
    """Return a seed of its own for each candidate and round, below 2**46 for 32-bit seeds."""
    return ((prompt.seed & 0xFFFFFFFF) * CANDIDATES[1] + candidate) * 1_000 + round_


def _part(report: Report, start: float, end: float) -> Told:
    return lambda share: report("write", start + (end - start) * share)


def _check(prompt: Prompt) -> None:
    if not prompt.beats:
        raise UserError("A story needs at least one beat; please give music with something to hear.", code="no_beats")
    if len(prompt.beats) > MAX_BEATS:
        raise UserError(f"A story has at most {MAX_BEATS} beats, not {len(prompt.beats)}.", code="too_many_beats")
    if not np.isfinite(beats_array(prompt.beats)).all():
        raise UserError("Every beat's valence and arousal must be finite numbers.", code="bad_target")
