"""Music → story: listen, find the beats, tell, check against the music, draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.card import Card, card_alt_text, draw_card
from engine.emotion.alignment import align
from engine.emotion.beats import find_beats
from engine.emotion.curve import VA, Beat, beats_array
from engine.errors import UserError
from engine.jobs import Alignment, Language, StoryBeat, StoryFiles, StoryRequest, StoryResult, StoryText
from engine.readalong import write_readalong
from engine.report import Report
from engine.settings import EngineSettings
from engine.stages import Stages
from engine.steps import (
    Stopwatch,
    curve_data,
    durations,
    get_recording,
    music_facts,
    plain_beat,
    points,
    rounded,
    seed_of,
)
from engine.story.sanitize import Moderation, clean_story
from engine.story.storyteller import Prompt, Story
from engine.wording import alignment_sentence, made_sentence

WORDS_PER_SECOND = {"en": 2.0, "zh-TW": 3.5}
"""Default length: slower than people read aloud, so that the read-along stays within the music."""
DEFAULT_WORDS = {"en": (120, 400), "zh-TW": (200, 700)}
"""Shortest and longest default story."""


def default_words(duration_s: float, language: Language) -> int:
    """Return the default length of a story in words (characters for zh-TW)."""
    low, high = DEFAULT_WORDS[language]
    return int(np.clip(round(duration_s * WORDS_PER_SECOND[language]), low, high))


def to_story(
    request: StoryRequest, stages: Stages, settings: EngineSettings, folder: Path, report: Report
) -> StoryResult:
    """Tell the story of a piece of music; files go into `folder`. Raises `UserError` and what `report` raises."""
    watch = Stopwatch()
    if request.max_seconds is not None:
        most_s = min(request.max_seconds, settings.media.max_seconds)
        settings = replace(settings, media=replace(settings.media, max_seconds=most_s))
    recording = get_recording(request.source, settings, folder, report, watch)
    seed = seed_of(recording.sha256) if request.seed is None else request.seed

    report("listen", 0.0)
    with watch("listen"):
        heard = stages.music_emotion.listen(recording.samples)
        beats = find_beats(heard.curve, stages.words, stages.calibration)
    moderation = Moderation(settings.moderation)
    moderation.check_title(request.title)
    report("write", 0.0)
    wanted = beats_array(beats)
    with watch("write"):
        asked = _flattened(beats, stages) if request.plain else beats
        targets = points(stages.calibration.to_text(beats_array(asked)))
        prompt = Prompt(
            beats=asked,
            targets=targets,
            language=request.language,
            words=request.words or default_words(recording.duration_s, request.language),
            seed=seed,
            candidates=request.candidates or settings.candidates,
            title=request.title,
            setting=heard.setting,
        )
        candidates = tuple(map(clean_story, stages.storyteller.tell(prompt, report)))
    report("check", 0.0)
    with watch("check"):
        candidates = moderation.allowed(candidates)
        checked = [_check(story, beats, wanted, stages, seed) for story in candidates]
        best = min(range(len(checked)), key=lambda i: (checked[i][1].distance, i))
    story, (answer, alignment, by_lexicon) = candidates[best], checked[best]

    report("draw", 0.0)
    with watch("draw"):
        card = Card(
            title=story.title,
            subtitle=recording.title,
            curve=heard.curve,
            beats=beats,
            answer=points(answer),
            language=request.language,
            direction="story",
            footer=(
                alignment_sentence(alignment, request.language),
                made_sentence(stages.names("music_emotion", "storyteller").values(), seed, request.language),
            ),
        )
        files = StoryFiles(story="story.txt", card="card.png", readalong="readalong.vtt")
        _write_story(folder / "story.txt", story)
        draw_card(folder / "card.png", card)
        late = write_readalong(
            folder / "readalong.vtt", story.paragraphs, beats, recording.duration_s, request.language
        )
    notes = []
    if by_lexicon:
        notes.append("lexicon")
    if late:
        notes.append("readalong_longer_than_music")
    return StoryResult(
        language=request.language,
        seed=seed,
        models=stages.names("music_emotion", "text_emotion", "storyteller"),
        music=music_facts(recording),
        curve=curve_data(heard.curve),
        beats=tuple(
            StoryBeat(**vars(plain_beat(beat)), paragraph=i, story_valence=rounded(v), story_arousal=rounded(a))
            for i, (beat, (v, a)) in enumerate(zip(beats, answer, strict=True))
        ),
        story=StoryText(story.title, story.paragraphs),
        alignment=alignment,
        card_alt=card_alt_text(card),
        files=files,
        elapsed_s=watch.elapsed_s,
        notes=tuple(notes),
    )


def _flattened(beats: Sequence[Beat], stages: Stages) -> tuple[Beat, ...]:
    """Return the same stretches of time, all with the mean feeling of music and its word."""
    valence, arousal = stages.calibration.music.mean
    (word,) = stages.words.nearest(stages.calibration.to_words((valence, arousal)).tolist())
    return tuple(replace(beat, valence=valence, arousal=arousal, word=word.term) for beat in beats)


def _check(story: Story, beats: Sequence[Beat], wanted: VA, stages: Stages, seed: int) -> tuple[VA, Alignment, bool]:
    """Return how the story reads on the music's scale [B, 2], the alignment, and whether the weaker reader was used."""
    if len(story.paragraphs) != len(beats):
        raise UserError(
            f"The storyteller wrote {len(story.paragraphs)} of {len(beats)} paragraphs; please try another seed.",
            code="bad_story",
        )
    scores = stages.text_emotion.score(story.twin or story.paragraphs)
    answer = stages.calibration.to_music(scores.values[:, :2])
    alignment = align(wanted, answer, durations(beats), stages.bank, seed, stages.text_emotion.name)
    return answer, alignment, bool(scores.by_lexicon.any())


def _write_story(path: Path, story: Story) -> None:
    path.write_text("\n\n".join((story.title, *story.paragraphs)) + "\n", encoding="utf-8")
