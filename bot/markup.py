"""The only escaping: text parts to Discord markdown and Telegram HTML, split to the platforms' limits.

Whatever a text contains, people see exactly that text: no markup, no mention, no link of it takes effect. Text is cut
before it is escaped, so a page never ends inside an entity, an escape or a visible character.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence

import regex

from bot.contract import Style, Text

DISCORD_MESSAGE = 2000
"""Characters of one message (docs.discord.com, resources/message)."""
TELEGRAM_MESSAGE = 4096
"""UTF-16 units of one message after entities are parsed (core.telegram.org/bots/api#sendmessage)."""
TELEGRAM_CAPTION = 1024
"""UTF-16 units of a caption after entities are parsed (core.telegram.org/bots/api#sendaudio)."""

_DISCORD = re.compile(r"[\\*_~`|<>#\-+\[\]:@/]|(?<=\d)\.")
"""What can begin markup, a mention, an emoji, a list, a heading, a link or an invitation in Discord; a backslash before
it makes it itself (any ASCII punctuation may be escaped so)."""
_DISCORD_STYLE: dict[Style, tuple[str, str]] = {
    "heading": ("**", "**"),
    "small": ("-# ", ""),
    "code": ("`", "`"),
    "chat": ("<#", ">"),
}
_TELEGRAM_STYLE: dict[Style, tuple[str, str]] = {
    "heading": ("<b>", "</b>"),
    "quote": ("", ""),
    "small": ("<i>", "</i>"),
    "code": ("<code>", "</code>"),
}
_JOINER = "\u2060"
_LIVE = re.compile(r"@(?=\w)|:(?=//)|(?<=\w)\.(?=[^\W\d_]{2})")
"""Where Telegram finds mentions (and pings people), links and domains in plain text by itself, which no escaping stops:
an unseen word joiner there makes them plain words (TDLib's find_entities takes it for the end of either)."""
_QUOTED_LIVE = re.compile(rf"{_LIVE.pattern}|(?<![\w/])[/#$](?=\w)")
"""And commands and tags, in the words of others; in our own sentences a command may be tapped."""
_UNSEEN = regex.compile(
    r"[\p{Cc}--[\n\t]]|[\u061C\u200B\u200E\u200F\u202A-\u202E\u2060-\u2064\u2066-\u206F\uFEFF\uFFF9-\uFFFB]|\p{Cs}",
    regex.VERSION1,
)
"""Control characters but line breaks and tabs; zero-width and bidi controls (Unicode TR9, TR36) but the joiners that
emoji and some scripts need; halves of surrogate pairs, which no encoding can carry."""
_GRAPHEME = regex.compile(r"\X")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)]*\s+|[。！？…][」』”’）]*")
_SPACE = re.compile(r"\s+")
_LEAST_FILL = 0.5
"""A page is cut at a sentence's end if that fills it so far; otherwise between words, otherwise between characters."""


def discord_pages(texts: Sequence[Text], limit: int = DISCORD_MESSAGE) -> tuple[str, ...]:
    """Return the contents of as many Discord messages as are needed, each of at most `limit` characters as sent."""
    return _pages(texts, _discord, len_utf16, lambda _: limit)


def telegram_pages(texts: Sequence[Text], limit: int = TELEGRAM_MESSAGE, first: int | None = None) -> tuple[str, ...]:
    """Return as many Telegram messages (`parse_mode="HTML"`) as are needed, each of at most `limit` UTF-16 units as
    seen; `first` is the limit of the first one, where that is a caption."""
    return _pages(
        texts, _telegram, _seen_in_telegram, lambda page: limit if first is None or page else min(first, limit)
    )


def clip(text: str, limit: int) -> str:
    """Shorten a text to `limit` UTF-16 units without cutting a character, ending in …: labels, titles, alt texts."""
    text = clean(text)
    if len_utf16(text) <= limit:
        return text
    head, _ = _cut(text, lambda part: len_utf16(part) < limit)
    return f"{head.rstrip()}…"


def clean(text: str) -> str:
    """Take out what cannot be seen and changes how other text is read: control, zero-width and bidi characters."""
    return str(_UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def len_utf16(text: str) -> int:
    """Return the length in UTF-16 units, as both platforms count (an emoji is two or more)."""
    return len(text) + sum(1 for char in text if ord(char) > 0xFFFF)


def _discord(text: str, style: Style) -> str:
    """Return one piece as Discord markdown."""
    before, after = _DISCORD_STYLE.get(style, ("", ""))
    if style == "chat":
        return f"{before}{re.sub('[^0-9]', '', text)}{after}"
    if style == "code":  # between back-ticks nothing can be escaped
        return f"{before}{text.replace('`', 'ˋ').replace(chr(10), ' ')}{after}"
    if style in ("heading", "small"):
        text = " ".join(text.split())
    return f"{before}{_escape(text)}{after}" if text else ""


def _escape(text: str) -> str:
    return _DISCORD.sub(r"\\\g<0>", text)


def _telegram(text: str, style: Style) -> str:
    """Return one piece as Telegram HTML."""
    before, after = _TELEGRAM_STYLE.get(style, ("", ""))
    if style != "code":  # there Telegram looks for nothing
        text = (_QUOTED_LIVE if style == "quote" else _LIVE).sub(rf"\g<0>{_JOINER}", text)
    return f"{before}{html.escape(text, quote=False)}{after}"


def _seen_in_telegram(rendered: str) -> int:
    return len_utf16(html.unescape(re.sub(r"</?(?:b|i|code)>", "", rendered)))


def _pages(
    texts: Sequence[Text],
    render: Callable[[str, Style], str],
    length: Callable[[str], int],
    limit_of: Callable[[int], int],
) -> tuple[str, ...]:
    """Fill pages with blocks; a block that does not fit is cut (only when it does not fit a page of its own either,
    or would leave the page rather empty)."""
    pages: list[str] = []
    page = ""
    for block in texts:
        rest = clean(block.text).strip()
        while rest:
            limit, gap = limit_of(len(pages)), "\n\n" if page else ""
            room = page + gap
            if length(room + render(rest, block.style)) <= limit:
                page, rest = room + render(rest, block.style), ""
                continue
            head, tail = _cut(rest, lambda part: length(room + render(part, block.style)) <= limit)  # noqa: B023
            alone = page and length(render(rest, block.style)) <= limit_of(len(pages) + 1)
            if page and (not head or alone or block.style != "quote"):
                pages.append(page)
                page = ""
                continue
            if not head:  # one character with thousands of marks on it
                head, tail = rest[: limit // 4], rest[limit // 4 :]
            pages.append(room + render(head, block.style))
            page, rest = "", tail
    return (*pages, page) if page else tuple(pages)


def _cut(text: str, fits: Callable[[str], bool]) -> tuple[str, str]:
    """Return the longest good beginning that fits, and the rest; an empty beginning when not one character fits."""
    ends = [match.end() for match in _GRAPHEME.finditer(text)]
    low, high = 0, len(ends)  # how many graphemes fit: rendering is monotonic in length
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(text[: ends[middle - 1]].rstrip()) else (low, middle - 1)
    if not low:
        return "", text
    most = ends[low - 1]
    if most == len(text):
        return text, ""
    best = _last(_ends(_SENTENCE_END, text, most), most) or _last(_ends(_SPACE, text, most), most) or most
    return text[:best].rstrip(), text[best:].lstrip()


def _ends(pattern: re.Pattern[str], text: str, most: int) -> Iterator[int]:
    return (match.end() for match in pattern.finditer(text) if match.end() <= most)


def _last(ends: Iterator[int], most: int) -> int | None:
    found = max(ends, default=0)
    return found if found >= _LEAST_FILL * most else None
