"""What a person sees of a Discord message, and whom it pings. The rules are those of Discord's own client.

Patterns after the open reimplementations of Discord's renderer (brussell98/discord-markdown); styles are tried in
that order at every position, block styles only at the start of a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Seen:
    """Visible text, and what is special about parts of it."""

    text: str = ""
    styles: list[tuple[str, str]] = field(default_factory=list)
    """Style and the text it covers: bold, italic, code, quote, heading and so on."""
    links: list[tuple[str, str]] = field(default_factory=list)
    """Label and address; for a bare link both are the address."""
    mentions: set[str] = field(default_factory=set)
    """`everyone`, `here`, or `user:1`, `role:2`."""

    def styled(self, style: str) -> list[str]:
        return [text for name, text in self.styles if name == style]


_BLOCK = [
    ("heading", re.compile(r"(#{1,3}) +([^\n]+)(?:\n|$)")),
    ("subtext", re.compile(r"-# +([^\n]+)(?:\n|$)")),
    ("quote", re.compile(r"\s*>>> ([\s\S]*)")),
    ("quote_line", re.compile(r" *> ([^\n]*)(?:\n|$)")),
    ("item", re.compile(r" *[-*] +(?=\S)")),
]
_INLINE = [
    ("code_block", re.compile(r"```(?:[a-zA-Z0-9_+\-.#]*\n)?\n*([^\n][\s\S]*?)\n*```")),
    ("code", re.compile(r"(`+)([\s\S]*?[^`])\1(?!`)")),
    ("escape", re.compile(r"\\([^0-9A-Za-z\s])")),
    ("link", re.compile(r"<(https?://[^\s>]+)>")),
    ("masked", re.compile(r"\[((?:\\[\s\S]|[^\]\\])+)\]\(<?(https?://[^\s)>]+)>?(?: \"[^\"]*\")?\)")),
    ("link", re.compile(r"(https?://[^\s<]+[^<.,:;\"'\]\s])")),
    ("user", re.compile(r"<@!?(\d+)>")),
    ("role", re.compile(r"<@&(\d+)>")),
    ("channel", re.compile(r"<#(\d+)>")),
    ("emoji", re.compile(r"<a?:(\w{2,32}):\d+>")),
    ("time", re.compile(r"<t:(-?\d+)(?::[tTdDfFR])?>")),
    ("command", re.compile(r"</([\w \-]+):\d+>")),
    ("all", re.compile(r"@(everyone|here)")),
    ("bold", re.compile(r"\*\*((?:\\[\s\S]|[^\\])+?)\*\*(?!\*)")),
    ("underline", re.compile(r"__((?:\\[\s\S]|[^\\])+?)__(?!_)")),
    ("strike", re.compile(r"~~((?:\\[\s\S]|[^\\])+?)~~")),
    ("spoiler", re.compile(r"\|\|((?:\\[\s\S]|[^\\])+?)\|\|")),
    ("italic", re.compile(r"\*(?=\S)((?:\*\*|\\[\s\S]|\s+(?:\\[\s\S]|[^*\s\\]|\*\*)|[^\s*\\])+?)\*(?!\*)")),
    ("italic", re.compile(r"\b_((?:__|\\[\s\S]|[^\\_])+?)_\b")),
]
_NESTED = {"bold", "underline", "strike", "spoiler", "italic"}
_SPECIAL = re.compile(r"[\\`<\[@*_~|h\n]")


def see(text: str) -> Seen:
    """Return what a person sees of a message's content or an embed's description."""
    seen = Seen()
    _inside(text, seen, at_line_start=True)
    return seen


def _inside(text: str, seen: Seen, *, at_line_start: bool) -> None:
    at = 0
    while at < len(text):
        if at_line_start and (end := _match(_BLOCK, text, at, seen)):
            # The text that follows a list marker is on the same line, everything else has taken the line's end along.
            at_line_start = text[end - 1] == "\n"
            at = end
            continue
        if end := _match(_INLINE, text, at, seen):
            at_line_start = False
            at = end
            continue
        # Letters that nothing begins with go together, for speed.
        special = _SPECIAL.search(text, at + 1)
        stop = special.start() if special and text[at] not in "\n" else at + 1 if special else len(text)
        seen.text += text[at:stop]
        at_line_start = text[stop - 1] == "\n"
        at = stop


def _match(rules: list[tuple[str, re.Pattern[str]]], text: str, at: int, seen: Seen) -> int:
    """Apply the first rule that matches here and return where it ends, or 0."""
    for name, pattern in rules:
        if (found := pattern.match(text, at)) and (name != "italic" or _opens(text, at)):
            _APPLY.get(name, _styled)(name, found, seen)
            return found.end()
    return 0


def _opens(text: str, at: int) -> bool:
    return text[at] == "*" or at == 0 or not (text[at - 1].isalnum() or text[at - 1] == "_")


def _styled(name: str, found: re.Match[str], seen: Seen) -> None:
    inner = Seen()
    content = found[found.lastindex or 0]
    if name in ("code", "code_block"):
        inner.text = content.strip(" ") if name == "code" else content
    else:
        _inside(content, inner, at_line_start=False)
    _add(name.removesuffix("_line"), inner, seen, end="\n" if found[0].endswith("\n") and name not in _NESTED else "")


def _add(name: str, inner: Seen, seen: Seen, end: str = "") -> None:
    seen.text += inner.text + end
    seen.styles += [(name, inner.text), *inner.styles]
    seen.links += inner.links
    seen.mentions |= inner.mentions


def _plain(prefix: str) -> Callable[[str, re.Match[str], Seen], None]:
    def apply(name: str, found: re.Match[str], seen: Seen) -> None:
        seen.text += f"{prefix}{found[1]}"

    return apply


def _item(name: str, found: re.Match[str], seen: Seen) -> None:
    seen.text += "• "
    seen.styles.append(("item", ""))


def _link(name: str, found: re.Match[str], seen: Seen) -> None:
    seen.text += found[1]
    seen.links.append((found[1], found[1]))


def _masked(name: str, found: re.Match[str], seen: Seen) -> None:
    label = see(found[1])
    seen.text += label.text
    seen.links.append((label.text, found[2]))


def _mention(name: str, found: re.Match[str], seen: Seen) -> None:
    seen.text += f"@{name}-{found[1]}"
    seen.mentions.add(f"{name}:{found[1]}")


def _all(name: str, found: re.Match[str], seen: Seen) -> None:
    seen.text += found[0]
    seen.mentions.add(found[1])


_APPLY: dict[str, Callable[[str, re.Match[str], Seen], None]] = {
    "escape": _plain(""),
    "channel": _plain("#"),
    "emoji": _plain(":"),
    "time": _plain("time "),
    "command": _plain("/"),
    "item": _item,
    "link": _link,
    "masked": _masked,
    "user": _mention,
    "role": _mention,
    "all": _all,
}
