"""Reads a story out of a language model's answer, and says in a sentence what is wrong with one. Pure.

Models add greetings, headings, numbers, markdown, and thoughts; all of that is taken off. What must be there is a title
and one paragraph for each beat, in the right language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.emotion.text_input import count_han, is_chinese
from engine.jobs import Language

MAX_TITLE_CHARS = 120
"""A longer first line is no title."""
SHORTEST_SHARE = 0.35
"""A story below this share of the wanted length is refused."""
_SIMPLIFIED_SHARE = 0.02
"""Share of Chinese characters that may be simplified: a slip is no reason to write all anew."""

_THOUGHTS = re.compile(r"<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHTS_END = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
"""Alone where the prompt itself began the thoughts."""
_SPECIAL = re.compile(r"<\|[a-z_0-9]+\|>|</?s>|<(?:start|end)_of_turn>", re.IGNORECASE)
_FENCE = re.compile(r"^\s*(```|~~~).*$", re.MULTILINE)
_RULE = re.compile(r"^\s*([-*_=~—]\s*){3,}$")
_MARK = re.compile(r"[*_#>`\s]*")
_TITLE = re.compile(
    r"^[*_#>`\s]*(?:title|標題|題目|篇名|故事名稱)\s*[*_]*\s*[:：]\s*[*_]*\s*(?P<title>.+)$", re.IGNORECASE
)
_HEADING = re.compile(r"^\s*(?:#{1,6}\s+(?P<a>.+)|(?P<mark>\*\*|__)(?P<b>.+)(?P=mark)|《(?P<c>[^》]+)》)\s*$")
_NUMBER = re.compile(
    r"^[*_#>`\s]*(?:paragraph|part|beat|第)?\s*[\[(（【]?\s*(?P<number>\d{1,2}|[一二三四五六七八九十]{1,2})\s*[段節]?\s*"
    r"[\])）】]?\s*(?:[.:](?!\d)|[：、)）．]|[-–—](?=\s)|[*_]+|$)[*_\s]*(?P<rest>.*)$",
    re.IGNORECASE,
)
_LABEL = re.compile(r"^\s*(?:[*_]{1,2})?[\[(（【][^\])）】\n]{1,60}[\])）】](?:[*_]{1,2})?\s*[:：]?\s*")
_PREAMBLE = re.compile(
    r"^(?:sure|certainly|of course|okay|ok|absolutely|here(?:'|’)?s|here is|great|好的|當然|沒問題|以下|這是|這裡是)",
    re.IGNORECASE,
)
_AFTERWORD = re.compile(
    r"^[*_(（\[\s]*(?:i hope|hope you|let me know|would you|note[:：]|word count|total words|\d+ words"
    r"|the end\W*$|end of|希望(?:你|您|這)|如果(?:你|您)需要|字數|總字數|全文|（?完）?\s*$|（?全文完)",
    re.IGNORECASE,
)
_CHINESE_DIGITS = {digit: number for number, digit in enumerate("一二三四五六七八九十", 1)}
_SENTENCE_END = re.compile(r"[.!?。！？…][\"'”’」』)）]*")
_SIMPLIFIED = frozenset(
    "们这说时对个会国过还见开门问间东车长张马鸟风飞爱听觉让话谁边应该经样点头声无岁从发现实样种业乐亲"
)

_PROBLEMS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "it has no title",
        "count": "it has {found} instead of {wanted} numbered paragraphs",
        "empty": "paragraph {number} is empty",
        "short": "it is far too short ({found} of about {wanted} words)",
        "language": "it must be in English throughout",
        "simplified": "",
    },
    "zh-TW": {
        "title": "沒有標題",
        "count": "有 {found} 個編號的段落，應該是 {wanted} 個",
        "empty": "第 {number} 段是空的",
        "short": "太短了（大約應有 {wanted} 字，只有 {found} 字）",
        "language": "全文都必須是繁體中文",
        "simplified": "有簡體字，必須全部用繁體字",
    },
}


@dataclass(frozen=True)
class Draft:
    """A story as read out of an answer; `problem` says in its language what is wrong, "" if nothing."""

    title: str
    paragraphs: tuple[str, ...]
    problem: str = ""


def parse_story(answer: str, count: int, words: int, language: Language, title: str | None = None) -> Draft:
    """Read a story of `count` paragraphs and about `words` words (characters); `title`, if given, is its title."""
    lines = _lines(answer)
    found, body = _split_title(lines)
    paragraphs = _numbered(body, count) or _blocks(body, count)
    draft = Draft(title or found, tuple(filter(None, map(_clean, paragraphs))))
    return Draft(draft.title, draft.paragraphs, _problem(draft, count, words, language))


def parse_paragraph(answer: str, language: Language) -> str:
    """Read one paragraph; "" where there is none in this language."""
    lines = _lines(answer)
    if sum(map(bool, lines)) > 1:
        _, lines = _split_title(lines)
    lines = [match["rest"] if (match := _NUMBER.match(line)) else line for line in lines]
    blocks = _blocks(lines, 1)
    text = _clean(blocks[0]) if len(blocks) == 1 else ""
    return text if text and not _foreign(text, language) else ""


def _lines(answer: str) -> list[str]:
    text = _SPECIAL.sub("", _THOUGHTS_END.split(_THOUGHTS.sub("", answer))[-1])
    text = _FENCE.sub(
        "", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n\n")
    )
    return ["" if _RULE.match(line) else line.strip() for line in text.split("\n")]


def _split_title(lines: Sequence[str]) -> tuple[str, list[str]]:
    """Return the title ("" if none) and the lines after it, without what stood before it."""
    for i, line in enumerate(lines):
        if (match := _TITLE.match(line)) and (title := _plain_title(match["title"])):
            return title, list(lines[i + 1 :])
    filled = [i for i, line in enumerate(lines) if line]
    for i in filled[:3]:  # a heading or a bare line, perhaps after a greeting
        line = lines[i]
        if _NUMBER.match(line):
            break
        if _PREAMBLE.match(line) or line.endswith((":", "：")):
            continue
        heading = _HEADING.match(line)
        text = next(filter(None, heading.group("a", "b", "c"))) if heading else line
        bare = len(line) <= MAX_TITLE_CHARS // 2 and not _SENTENCE_END.search(line) and len(filled) > 1
        if (heading or bare) and (title := _plain_title(text)):
            return title, list(lines[i + 1 :])
        break
    return "", list(lines)


def _plain_title(text: str) -> str:
    text = re.sub(r"[*_`#]+", "", text).strip()
    for opening, closing in ("“”", '""', "「」", "『』", "《》", "''", "‘’"):
        if len(text) > 1 and text[0] == opening and text[-1] == closing:
            text = text[1:-1].strip()
    text = text.rstrip(".。").strip()
    return text if 0 < len(text) <= MAX_TITLE_CHARS and text != "…" else ""


def _numbered(lines: Sequence[str], count: int) -> list[str]:
    """Return the paragraphs behind the numbers 1, 2, …; none unless all numbers come in order."""
    paragraphs: list[list[str]] = []
    ended = False
    for line in lines:
        match = _NUMBER.match(line)
        if match and _value(match["number"]) == len(paragraphs) + 1:
            paragraphs.append([match["rest"]])
            ended = False
        elif paragraphs:
            # After the last paragraph comes what the model says to the person; before that, a stray block belongs in.
            ended |= len(paragraphs) >= count and not line and any(paragraphs[-1])
            if not ended:
                paragraphs[-1].append(line)
    return [_joined(parts) for parts in paragraphs]


def _blocks(lines: Sequence[str], count: int) -> list[str]:
    """Return the blocks between blank lines, or the lines where that gives the right number; greetings fall away."""
    blocks = [_joined(block.split("\n")) for block in re.split(r"\n{2,}", "\n".join(lines)) if block.strip()]
    if len(blocks) != count and len(single := [line for line in lines if line]) == count:
        blocks = single
    if blocks and (blocks[0].endswith((":", "：")) or (len(blocks) > count and _PREAMBLE.match(blocks[0]))):
        blocks = blocks[1:]
    while blocks and (_AFTERWORD.match(blocks[-1]) or not any(char.isalnum() for char in blocks[-1])):
        blocks = blocks[:-1]
    return blocks


def _joined(parts: Sequence[str]) -> str:
    """Join lines that a model has wrapped; Chinese needs no space between them."""
    text = ""
    for part in filter(None, parts):
        text += part if not text or count_han(text[-1] + part[0]) or text[-1] in "，。！？；：、」』" else f" {part}"
    return text


def _value(number: str) -> int:
    if number.isdigit():
        return int(number)
    tens = 10 if number[0] == "十" and len(number) > 1 else 0
    return tens + _CHINESE_DIGITS[number[-1]]


def _clean(text: str) -> str:
    """Take markdown and a bracketed label of the feeling off; end with a whole sentence."""
    text = _LABEL.sub("", text)
    text = re.sub(r"\*\*|__|`|(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)", "", text)
    text = " ".join(_MARK.sub("", text, count=1).split())
    if text and not _SENTENCE_END.search(text[-3:]):
        ends = list(_SENTENCE_END.finditer(text))
        if ends and ends[-1].end() >= len(text) / 2:  # the answer was cut off within a sentence
            text = text[: ends[-1].end()]
    return text


def _problem(draft: Draft, count: int, words: int, language: Language) -> str:
    say = _PROBLEMS[language]
    text = "".join(draft.paragraphs)
    length = count_han(text) if language == "zh-TW" else sum(len(part.split()) for part in draft.paragraphs)
    if len(draft.paragraphs) != count:
        return say["count"].format(found=len(draft.paragraphs), wanted=count)
    for number, paragraph in enumerate(draft.paragraphs, 1):
        if not any(char.isalpha() for char in paragraph):
            return say["empty"].format(number=number)
    if any(_foreign(paragraph, language) for paragraph in draft.paragraphs):
        return say["language"]
    if length < SHORTEST_SHARE * words:
        return say["short"].format(found=length, wanted=words)
    if not draft.title:
        return say["title"]
    if language == "zh-TW" and sum(char in _SIMPLIFIED for char in text) > _SIMPLIFIED_SHARE * length:
        return say["simplified"]
    return ""


def _foreign(text: str, language: Language) -> bool:
    return is_chinese(text) != (language == "zh-TW")
