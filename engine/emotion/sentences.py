"""Splits English and Chinese text into sentences. Pure; knows punctuation and abbreviations, nothing of emotion.

Our own, because the kept libraries lose against story prose: pysbd (last release 2021) tears closing curly quotes from
their sentence and is silent on 」；, and neither it nor blingfire knows both languages in one text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.emotion.text_input import count_han

_OPEN = "「『“‘（《〈【"
_CLOSE = "」』”’）》〉】\"')]»"
_LONG_HAN = 60
"""A Chinese sentence of more characters, nearly always a long speech, is also cut inside its quotation marks."""
_STUTTER_HAN = 4
"""An ellipsis after fewer characters is a stutter (我……我不知道), not the end of a sentence."""

_ALWAYS_ABBREVIATED = frozenset(
    "mr mrs ms dr prof st mt rev hon gen col capt lt sgt maj messrs mme mlle vs viz cf e.g i.e".split()  # noqa: SIM905
)
"""Abbreviations that do not end a sentence, even before a capital letter."""

_ENGLISH_END = re.compile(rf"(?P<mark>[.!?…⋯]+)(?P<close>[{re.escape(_CLOSE)}]*)(?=\s)")
_CHINESE_END = re.compile(rf"(?P<mark>[。！？!?；…⋯]+)(?P<close>[{re.escape(_CLOSE)}]*)")
_LAST_WORD = re.compile(r"(?:[A-Za-z]+\.)*[A-Za-z]+$")
_NEXT_START = re.compile(r"[\s\"'“‘(\[«*_—–-]*(?P<first>.)", re.DOTALL)
_PARAGRAPH = re.compile(r"\s*\n\s*\n\s*")
_LINE = re.compile(r"\s*\n\s*")
_SPACE = re.compile(r"\s+")


def split(text: str) -> tuple[str, ...]:
    """Return the sentences of `text` in order, each without surrounding space and with at least one letter or digit.

    Every character of `text` that is not white space is in exactly one sentence, in order, unless the whole text has
    no letter or digit: then there is no sentence. Blank lines always end a sentence; a single line break does so in
    Chinese (where nobody wraps lines by hand) and is a space in English.
    """
    found: list[str] = []
    carried = ""  # marks that stand before the first word belong to it
    for block in _blocks(text):
        for piece in _sentences(block):
            if any(char.isalnum() for char in piece):
                found.append(carried + piece)
                carried = ""
            elif found:
                found[-1] += piece if piece[0] in _CLOSE else f" {piece}"
            else:
                carried += f"{piece} "
    return tuple(found)


def _blocks(text: str) -> Iterator[str]:
    for paragraph in _PARAGRAPH.split(text):
        lines = _LINE.split(paragraph)
        block = ""
        for line in lines:
            if block and count_han(block[-8:]) + count_han(line[:8]):
                yield block
                block = line
            else:
                block = f"{block} {line}" if block else line
        yield _SPACE.sub(" ", block).strip()


def _sentences(block: str) -> Iterator[str]:
    for piece in _cut(block, _ends(block, inside_quotes=False)):
        if count_han(piece) > _LONG_HAN:
            yield from _cut(piece, _ends(piece, inside_quotes=True))
        else:
            yield piece


def _cut(text: str, ends: Iterator[int]) -> Iterator[str]:
    start = 0
    for end in ends:
        yield text[start:end].strip()
        start = end
    if rest := text[start:].strip():
        yield rest


def _ends(text: str, *, inside_quotes: bool) -> Iterator[int]:
    """Yield the positions at which a sentence of `text` ends, before its last character."""
    start = 0
    for match in sorted([*_ENGLISH_END.finditer(text), *_CHINESE_END.finditer(text)], key=lambda found: found.end()):
        end = match.end()
        if end <= start or end >= len(text):
            continue
        chinese = bool(count_han(text[max(start, match.start() - 4) : match.start()]))
        if chinese:
            is_end = _chinese_end(text, start, match, inside_quotes)
        else:
            is_end = text[end].isspace() and _english_end(text, start, match)
        if is_end:
            yield end
            start = end


def _english_end(text: str, start: int, match: re.Match[str]) -> bool:
    following = _NEXT_START.match(text, match.end())
    if following is None or following["first"].islower():
        return False  # "Who is there?" asked the fox. / He waited … and waited.
    if match["mark"] != "." or match["close"]:
        return True
    word = _LAST_WORD.search(text, start, match.start())
    if word is None:
        return True
    is_initial = len(word[0]) == 1 and word[0].isupper() and word[0] != "I"
    return not is_initial and word[0].lower() not in _ALWAYS_ABBREVIATED


def _chinese_end(text: str, start: int, match: re.Match[str], inside_quotes: bool) -> bool:
    if set(match["mark"]) <= set("…⋯") and count_han(text[start : match.start()]) < _STUTTER_HAN:
        return False
    if inside_quotes:
        return True
    if _is_open(text[start : match.end()]):
        return False
    following = text[match.end()]
    # 「你是誰？」他問。 is one sentence: after a speech only a new speech or a space begins the next one.
    return not match["close"] or following in _OPEN or following.isspace()


def _is_open(text: str) -> bool:
    return sum(text.count(mark) for mark in "「『“") > sum(text.count(mark) for mark in "」』”")
