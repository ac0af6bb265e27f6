"""Reads captions of music for the describer. Knows wording; knows no stories and no model.

The captions are MusicCaps' (Agostinelli et al. 2023, "MusicLM"; CC BY-SA 4.0), written by musicians about ten seconds
of a video each. Of each caption one or two sentences are kept: what is played, and how it feels. Sentences about
voices, recordings, scenes or people are left out, as a composer of instrumental music cannot follow them.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from engine.errors import UserError

CAPTIONS = Path("musiccaps/musiccaps-public.csv")
MIN_CAPTION_WORDS, MAX_CAPTION_WORDS = 8, 45
MIN_SENTENCE_WORDS = 4

_UNWANTED = re.compile(
    r"quality|record|vocal|\bs[aiu]ng|singer|voic|lyric|speech|speak|spoken|talk|narrat|dialog|audio|video|youtube|"
    r"tutorial|demonstrat|nois|static|hiss|\bmono\b|stereo|panned|speakers?\b|headphone|\bmic\b|microphone|\bmix\b|"
    r"amateur|background|sound effect|\bsfx|\bclip\b|\brap|choir|chant|chorus|acapella|cappella|\bhum|whistl|"
    r"out of tune|crowd|audience|applau|laugh|scream|shout|howl|cheers?\b|cheering|clapping|\bfx\b|"
    r"\b(wo)?m[ae]n\b|male|someone|somebody|person|people|player|drummer|performer|ladies|bab(y|ies)|child|kid|"
    r"i'?m\b|\bi\b|you\b|your\b|church|gospel|religi|christ|worship|movie|film|cartoon|anime|advert|commercial|"
    r"\bgame|\btv\b|dog\b|cat\b|bird|animal|gun|engine|phone|door|splash|\bshow\b|live\b|concert|festival|fight|"
    r"background|excerpt|sample|\bbeat.?box|no melody|no instruments|\bdj\b|turntable|scratch|instagram|tiktok|"
    r"\b(could|can|may|might|would)( also)? be|\bsoundtrack|romantic time|somewhere|probably",
    re.I,
)
_LEANS_BACK = re.compile(
    r"(it|they|these|those|then|this is (followed|accompanied)|for percussion|later|after|in the (end|middle)|"
    r"other|another|finally|suddenly|also|there (is|are) (also|no)|at the|as well)\b",
    re.I,
)
"""Openings of sentences that make no sense as the first."""
_MOOD = re.compile(
    r"\bmoods?\b|\bfeel|atmosphere|emotion|\bvibes?\b|ambian?[ct]e|evok|\bmusic is\b|"
    r"\bsounds (?!like|of|that|with|are|is|play|in)",
    re.I,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def read_captions(data: Path) -> list[str]:
    """Return captions of instrumental music that say how it feels, one or two sentences each, sorted, each once.

    Raises `UserError` when the file is missing, has no column `caption`, or holds no such caption.
    """
    path = data / CAPTIONS
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"The captions {path} cannot be read; give a folder with {CAPTIONS}.", code="bad_data"
        ) from error
    if not rows or any(row.get("caption") is None for row in rows):
        raise UserError(f"{path} has no column 'caption', or a row without it.", code="bad_data")
    found = {caption for row in rows if (caption := shortened(row["caption"])) is not None}
    if not found:
        raise UserError(f"{path} has no caption that says how instrumental music feels.", code="bad_data")
    return sorted(found)


def shortened(caption: str) -> str | None:
    """Return what is played and how it feels, or None where the caption does not say both."""
    sentences = [_capital(text) for text in _SENTENCE_END.split(" ".join(caption.split())) if _is_usable(text)]
    firsts = [i for i, text in enumerate(sentences) if not _LEANS_BACK.match(text)]
    moods = [i for i, text in enumerate(sentences) if _MOOD.search(text)]
    if not firsts or not moods:
        return None
    first, mood = firsts[0], next((i for i in moods if i != firsts[0]), firsts[0])
    kept = [sentences[first]] if mood == first else [sentences[first], sentences[mood]]
    words = sum(len(text.split()) for text in kept)
    return " ".join(kept) if MIN_CAPTION_WORDS <= words <= MAX_CAPTION_WORDS else None


def _is_usable(sentence: str) -> bool:
    return (
        sentence.isascii()
        and sentence.endswith(".")
        and len(sentence.split()) >= MIN_SENTENCE_WORDS
        and not _UNWANTED.search(sentence)
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
