"""The result card: what a finished job says in a chat, why it failed, and the reasons behind a pair. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from bot.config import RetentionSettings
from bot.contract import Audio, Button, Document, Part, Picture, Reply, Text
from bot.markup import clip
from bot.replies import explain, say
from bot.tokens import write
from engine.jobs import Answer, ComposeResult, Language, MusicBeat, Result, StoryBeat, StoryResult, result_to_json
from engine.wording import alignment_sentence, made_sentence

TITLE_UNITS = 200
"""Longest title, in UTF-16 units: fits Discord's and Telegram's headings, names and menus."""
QUOTED_UNITS = 90
"""How much of a paragraph is quoted when it is talked about."""


def card_of(job: int, result: Result, folder: str, pair: int | None, language: Language) -> Reply:
    """Return the card of a result whose files are in `folder`."""
    where = Path(folder)
    match result:
        case StoryResult():
            parts = _story(result, where, pair, language)
        case ComposeResult():
            parts = _music(result, where, pair, language)
        case _:
            parts = (Text(say(language, "chat.only_made")),)
    if pair is None:
        return Reply(parts, language=language)
    other = "compose" if isinstance(result, StoryResult) else "story"
    row = (
        Button(say(language, "button.again"), write("again", job)),
        Button(say(language, f"button.{other}"), write("other", pair)),
        Button(say(language, "button.why"), write("why", pair)),
        Button(say(language, "button.delete"), write("delete", pair), danger=True),
    )
    return Reply(parts, (row,), pair=pair, language=language)


def failure_of(answer: Answer, language: Language) -> Reply:
    """Return why a job failed, in the asker's language, with a button to try again unless the request is the reason."""
    message = explain(language, answer.error_code or "error", answer.error_message or "")
    parts = [Text(message)]
    if answer.incident is not None:
        parts.append(Text(say(language, "error.reported", incident=answer.incident), "small"))
    again = Button(say(language, "button.retry"), write("again", answer.job_id))
    return Reply(tuple(parts), () if answer.fault == "asker" else ((again,),), language=language)


def fate_of(card: Reply, kept: bool, retention: RetentionSettings) -> Reply:
    """Add what becomes of the file that the person had sent: kept while others may rate the pair, or deleted."""
    if kept:
        days = math.ceil(retention.uploads_days)
        said = say(card.language, "card.kept", days=days) if days else say(card.language, "card.kept_always")
    elif retention.again_hours:
        said = say(card.language, "card.not_kept", hours=math.ceil(retention.again_hours))
    else:
        said = say(card.language, "card.not_kept_now")
    texts = next((i for i, part in enumerate(card.parts) if not isinstance(part, Text)), len(card.parts))
    return replace(card, parts=(*card.parts[:texts], Text(said, "small"), *card.parts[texts:]))


def why_of(result: StoryResult | ComposeResult, language: Language) -> Reply:
    """Explain a pair beat by beat, with all numbers as a file."""
    lines = [Text(say(language, "why.title"), "heading")]
    for number, beat in enumerate(result.beats):
        if isinstance(beat, StoryBeat):
            asked, answered = (beat.valence, beat.arousal), (beat.story_valence, beat.story_arousal)
            words = result.story.paragraphs[beat.paragraph] if isinstance(result, StoryResult) else ""
        else:
            assert isinstance(beat, MusicBeat)
            asked, answered, words = (beat.valence, beat.arousal), (beat.heard_valence, beat.heard_arousal), ""
        distance = ((asked[0] - answered[0]) ** 2 + (asked[1] - answered[1]) ** 2) ** 0.5
        said = say(
            language,
            f"why.{'story' if isinstance(result, StoryResult) else 'music'}",
            number=number + 1,
            start=clock(beat.start_s),
            end=clock(beat.end_s),
            word=beat.word,
            v=f"{asked[0]:+.2f}",
            a=f"{asked[1]:+.2f}",
            v2=f"{answered[0]:+.2f}",
            a2=f"{answered[1]:+.2f}",
            distance=f"{distance:.2f}",
        )
        lines.append(Text(f"{said}\n{clip(words, QUOTED_UNITS)}" if words else said))
    lines.append(Text(say(language, "why.space"), "small"))
    lines.append(Text(alignment_sentence(result.alignment, language), "small"))
    document = Document("result.json", data=result_to_json(result).encode())
    return Reply((*lines, document), private=True, language=language)


def clock(seconds: float) -> str:
    """Return a time in a piece as m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def _story(result: StoryResult, folder: Path, pair: int | None, language: Language) -> tuple[Part, ...]:
    music = clip(result.music.title, TITLE_UNITS)
    parts: list[Part] = [
        Text(clip(result.story.title, TITLE_UNITS), "heading"),
        *(Text(paragraph, "quote") for paragraph in result.story.paragraphs),
        Text(say(language, "card.to_music", title=music, length=clock(result.music.duration_s)), "small"),
        *_facts(result, pair, language),
    ]
    if result.files.card is not None:
        parts.append(Picture(folder / result.files.card, "emotion-card.png", result.card_alt))
    if result.files.readalong is not None:
        parts.append(Document("read-along.vtt", path=folder / result.files.readalong))
    return tuple(parts)


def _music(result: ComposeResult, folder: Path, pair: int | None, language: Language) -> tuple[Part, ...]:
    duration_s = result.beats[-1].end_s if result.beats else 0.0
    first = next((sentence.text for sentence in result.story.sentences if sentence.text.strip()), "")
    title = clip(first.strip(), 60) or say(language, "card.untitled")
    parts: list[Part] = []
    if result.files.audio is not None:
        path = folder / result.files.audio
        cover = folder / result.files.card if result.files.card is not None else None
        parts.append(Audio(path, f"tunetale-{result.seed}{path.suffix}", title, "TuneTale", duration_s, cover))
    parts += [
        Text(say(language, "card.description", text=result.description), "quote"),
        *_facts(result, pair, language),
    ]
    if result.files.card is not None:
        parts.append(Picture(folder / result.files.card, "emotion-card.png", result.card_alt))
    return tuple(parts)


def _facts(result: StoryResult | ComposeResult, pair: int | None, language: Language) -> list[Text]:
    made = made_sentence(dict.fromkeys(result.models.values()), result.seed, language)
    notes = [Text(say(language, f"note.{note}"), "small") for note in result.notes]
    return [
        *notes,
        Text(alignment_sentence(result.alignment, language), "small"),
        Text(made if pair is None else f"{made}{say(language, 'card.pair', pair=pair)}", "small"),
    ]
