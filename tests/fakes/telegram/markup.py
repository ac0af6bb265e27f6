"""What a person sees of a text that a bot sent: Telegram's HTML as the service parses it.

Follows `parse_html` and `clean_input_string` of tdlib (td/telegram/MessageEntity.cpp, misc.cpp) as far as a bot can
tell: the tags of the Bot API documentation, four named character references, errors with byte offsets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TAGS = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    **dict.fromkeys(("span", "tg-spoiler"), "spoiler"),
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}
_REFERENCE = re.compile(r"&(?:(lt|gt|amp|quot);|#(?:x([0-9a-fA-F]+)|([0-9]+));?)")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ATTRIBUTE = re.compile(r"""\s*([^\s=>]+)\s*(?:=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+)))?""")
_MENTION = re.compile(r"(?<![\w@/])@[A-Za-z]\w{2,31}\b")


class CannotParse(Exception):
    """The text is no HTML that the service takes; the message is what it answers."""


@dataclass(frozen=True)
class Entity:
    """A stretch of visible text with a style; offsets count characters of the visible text."""

    type: str
    offset: int
    length: int
    url: str | None = None


@dataclass(frozen=True)
class Visible:
    """What is seen: the text, its styles, and the names in it that the service makes mentions of."""

    text: str
    entities: tuple[Entity, ...] = field(default=())

    @property
    def mentions(self) -> tuple[str, ...]:
        """Whoever is pinged: `@name` outside of code, and links to a person."""
        quiet = [e for e in self.entities if e.type in ("code", "pre", "text_link")]
        names = [
            found[0]
            for found in _MENTION.finditer(self.text)
            if not any(e.offset <= found.start() < e.offset + e.length for e in quiet)
        ]
        return (*names, *(e.url for e in self.entities if e.url is not None and e.url.startswith("tg://user")))

    def styled(self, style: str) -> tuple[str, ...]:
        """Return the stretches of the text that have a style."""
        return tuple(self.text[e.offset : e.offset + e.length] for e in self.entities if e.type == style)


def utf16_units(text: str) -> int:
    """Count a text as Telegram does."""
    return len(text.encode("utf-16-le")) // 2


def clean(text: str) -> str:
    """Drop what the service drops from every text: control characters and the bidi ones."""
    text = re.sub("[\u2028-\u202e\u0333\u033f\u030a\r]", "", text)
    return re.sub(r"[\x00-\x09\x0b-\x1f]", " ", text)


def plain(text: str) -> Visible:
    """Return what is seen of a text without a parse mode."""
    return Visible(clean(text).strip())


def parse(html: str) -> Visible:
    """Return what is seen of HTML. Raises `CannotParse` with the service's words."""
    html = clean(html)
    text: list[str] = []
    open_tags: list[tuple[str, int, str | None]] = []
    entities: list[Entity] = []
    length = position = 0
    while position < len(html):
        character = html[position]
        if character == "&" and (found := _REFERENCE.match(html, position)):
            code = _NAMED[found[1]] if found[1] else _character(found)
            text.append(code)
            length += len(code)
            position = found.end()
        elif character != "<":
            text.append(character)
            length += 1
            position += 1
        elif html.startswith("</", position):
            position, entity = _close(html, position, open_tags, length)
            if entity.length:
                entities.append(entity)
        else:
            position, tag, url = _open(html, position)
            open_tags.append((tag, length, url))
    if open_tags:
        raise CannotParse(f'Can\'t find end tag corresponding to start tag "{open_tags[-1][0]}"')
    return _trimmed("".join(text), entities)


def _character(found: re.Match[str]) -> str:
    code = int(found[2], 16) if found[2] else int(found[3])
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else found[0]


def _offset(html: str, position: int) -> int:
    return len(html[:position].encode())


def _open(html: str, start: int) -> tuple[int, str, str | None]:
    name = re.compile(r"[^\s>]*").match(html, start + 1)
    assert name is not None
    tag = name[0].lower()
    if tag not in TAGS:
        raise CannotParse(f'Unsupported start tag "{tag}" at byte offset {_offset(html, start)}')
    position, url, spoiler = name.end(), None, tag != "span"
    while True:
        rest = html[position:].lstrip()
        position = len(html) - len(rest)
        if not rest:
            raise CannotParse(f"Unclosed start tag at byte offset {_offset(html, start)}")
        if rest[0] == ">":
            break
        attribute = _ATTRIBUTE.match(html, position)
        if attribute is None or attribute.end() == position:
            raise CannotParse(f'Empty attribute name in the tag "{tag}" at byte offset {_offset(html, start)}')
        value = next((v for v in attribute.group(2, 3, 4) if v is not None), "")
        if tag == "a" and attribute[1].lower() == "href":
            url = _REFERENCE.sub(lambda m: _NAMED.get(m[1] or "", m[0]), value)
        spoiler |= attribute[1].lower() == "class" and value == "tg-spoiler"
        position = attribute.end()
    if not spoiler:
        raise CannotParse(f'Tag "span" must have class "tg-spoiler" at byte offset {_offset(html, start)}')
    return position + 1, tag, url


def _close(html: str, start: int, open_tags: list[tuple[str, int, str | None]], length: int) -> tuple[int, Entity]:
    where = _offset(html, start)
    end = html.find(">", start)
    if end < 0:
        raise CannotParse(f"Unclosed end tag at byte offset {where}")
    if not open_tags:
        raise CannotParse(f"Unexpected end tag at byte offset {where}")
    tag, began, url = open_tags.pop()
    found = html[start + 2 : end].strip().lower()
    if found not in ("", tag):
        raise CannotParse(f'Unmatched end tag at byte offset {where}, expected "</{tag}>", found "</{found}>"')
    return end + 1, Entity(TAGS[tag], began, length - began, url)


def _trimmed(text: str, entities: list[Entity]) -> Visible:
    left = len(text) - len(text.lstrip())
    seen = text.strip()
    kept = []
    for entity in sorted(entities, key=lambda e: (e.offset, -e.length)):
        start, end = max(0, entity.offset - left), min(len(seen), entity.offset + entity.length - left)
        if start < end:
            kept.append(Entity(entity.type, start, end - start, entity.url))
    return Visible(seen, tuple(kept))
