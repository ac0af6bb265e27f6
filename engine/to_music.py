"""Story → music: read, find the beats, describe, compose, hear it again, draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr

from engine.card import Card, card_alt_text, draw_card
from engine.emotion.alignment import align
from engine.emotion.beats import beats_of_sentences
from engine.emotion.beatwise import hear_by_beat
from engine.emotion.curve import Beat, EmotionCurve, beats_array
from engine.emotion.sentences import split
from engine.emotion.text import Scores
from engine.emotion.text_input import check_text, is_chinese
from engine.jobs import ComposeRequest, ComposeResult, Language, MusicBeat, MusicFiles, Sentence, StorySentences
from engine.media.encode import Tags, check_fits, encode, write_whole
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.composer import Brief, Music
from engine.report import Report
from engine.settings import EngineSettings
from engine.stages import Stages
from engine.steps import Stopwatch, curve_data, durations, heard_in, plain_beat, points, rounded, seed_of, text_sha256
from engine.wording import alignment_sentence, made_sentence

RATE_HZ = 44_100
"""Usual rate of what composers make: enough to see beforehand that a length cannot be sent."""

TITLE_CHARS = {"en": 40, "zh-TW": 18}
"""Length to which the first sentence is cut when it serves as the title."""


def to_music(
    request: ComposeRequest, stages: Stages, settings: EngineSettings, folder: Path, report: Report
) -> ComposeResult:
    """Compose the music of a story; files go into `folder`. Raises `UserError` and what `report` raises."""
    watch = Stopwatch()
    check_text(request.text, settings.text)
    check_fits(request.seconds, RATE_HZ, request.format, request.max_bytes)
    language: Language = "zh-TW" if is_chinese(request.text) else "en"
    seed = seed_of(text_sha256(request.text)) if request.seed is None else request.seed

    report("read", 0.0)
    with watch("read"):
        sentences = split(request.text)
        scores = stages.text_emotion.score(sentences)
        values = stages.calibration.to_music(scores.values[:, :2])
        lengths = [len(sentence) for sentence in sentences]
        beats = beats_of_sentences(values, lengths, request.seconds, stages.words, stages.calibration)
    report("describe", 0.0)
    with watch("describe"):
        description = stages.describer.describe(beats, request.text, seed, report)
    report("compose", 0.0)
    with watch("compose"):
        music = stages.composer.compose(Brief(description, beats, request.seconds, seed, request.sketches), report)
    title = _title(sentences, language)
    audio = f"music.{request.format}"
    with watch("encode"):
        tags = Tags(title=title, artist="TuneTale", comment=f"made by TuneTale, seed {seed}")
        file = encode(music.samples, music.rate_hz, folder / audio, request.format, tags, max_bytes=request.max_bytes)
        if music.midi is not None:
            write_whole(folder / "music.mid", music.midi)
    report("check", 0.0)
    with watch("check"):
        curve = _hear(music, beats, stages)
        heard = heard_in(curve, beats)
        alignment = align(
            beats_array(beats), heard, durations(beats), stages.bank, seed, stages.music_emotion.name, story="wanted"
        )
    report("draw", 0.0)
    with watch("draw"):
        card = Card(
            title=title,
            subtitle=description,
            curve=curve,
            beats=beats,
            answer=points(heard),
            language=language,
            direction="music",
            footer=(
                alignment_sentence(alignment, language),
                made_sentence(stages.names("text_emotion", "composer").values(), seed, language),
            ),
        )
        draw_card(folder / "card.png", card)
    return ComposeResult(
        seed=seed,
        models=stages.names("text_emotion", "describer", "composer", "music_emotion"),
        story=StorySentences(scored(sentences, scores)),
        description=description,
        beats=tuple(
            MusicBeat(**vars(plain_beat(beat)), heard_valence=rounded(v), heard_arousal=rounded(a))
            for beat, (v, a) in zip(beats, heard, strict=True)
        ),
        curve=curve_data(curve),
        alignment=alignment,
        card_alt=card_alt_text(card),
        files=MusicFiles(audio=audio, midi="music.mid" if music.midi is not None else None, card="card.png"),
        elapsed_s=watch.elapsed_s,
        notes=(*(("lexicon",) if scores.by_lexicon.any() else ()), *(("bit_rate",) if file.lowered else ())),
    )


def scored(texts: Sequence[str], scores: Scores) -> tuple[Sentence, ...]:
    """Return texts and their scores, on the text model's scale, as a result shows them."""
    return tuple(Sentence(text, *map(rounded, row)) for text, row in zip(texts, scores.values, strict=True))


def _hear(music: Music, beats: Sequence[Beat], stages: Stages) -> EmotionCurve:
    mono = soxr.resample(music.samples.mean(axis=1), music.rate_hz, ANALYSIS_RATE_HZ).astype(np.float32)
    return hear_by_beat(mono, beats, lambda part: stages.music_emotion.listen(part).curve)


def _title(sentences: Sequence[str], language: Language) -> str:
    first, limit = sentences[0], TITLE_CHARS[language]
    if len(first) <= limit:
        return first.rstrip(".。")
    cut = first[:limit]
    if language == "en" and " " in cut:
        cut = cut[: cut.rindex(" ")]
    return cut.rstrip(" ,;:，、；：") + "…"
