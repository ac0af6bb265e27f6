"""Whatever a text contains, people see exactly that text; pages keep the platforms' limits and cut no character."""

from __future__ import annotations

import html
import re
import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.contract import Style, Text
from bot.markup import DISCORD_MESSAGE, clean, clip, discord_pages, len_utf16, telegram_pages

TRICKS = [
    "@everyone @here <@123> <@&4> <#5> <t:1:R> <:x:1> <a:x:1> :smile:",
    "**b** __u__ _i_ ~~s~~ ||x|| `c` ```py\nx``` > q\n>>> q\n# h\n-# s\n- l\n* l\n1. l\n+ l",
    "[label](https://evil.example) https://evil.example discord.gg/abc <https://evil.example>",
    "<b>x</b> <a href='x'>y</a> &lt; &amp; &#60; <tg-spoiler>z</tg-spoiler>",
    "\\*not bold\\* \\\\ \\",
    "family 👨‍👩‍👧‍👦 flags 🇹🇼🇩🇪 é e\u0301 語 한국어",
    "a\u202eb\u200bc\x00d\ufeff",
    "* ",
    "`",
]
ANY_TEXT = st.text(st.characters(codec=None), max_size=200) | st.lists(st.sampled_from(TRICKS), max_size=3).map(
    " ".join
)
STYLES: tuple[Style, ...] = ("plain", "quote", "heading", "small")


def seen_on_discord(content: str) -> str:
    """Return what Discord shows of our own styles and escapes; fail on anything else that it would act on."""
    lines = []
    for line in content.split("\n"):
        body = line.removeprefix("-# ")
        if body.startswith("**") and body.endswith("**") and len(body) > 4:
            body = body[2:-2]
        assert not re.search(r"(?<!\\)(?:\\\\)*[*_~`|<>\[\]@:/]", body), content
        assert not re.match(r"\s*(?:[#\-+>]|\d+\.)", body), content
        assert not body.endswith("\\") or len(body) - len(body.rstrip("\\")) & 1 == 0, content
        lines.append(re.sub(r"\\([^0-9A-Za-z\s])", r"\1", body))
    return "\n".join(lines)


def seen_on_telegram(content: str) -> str:
    inside = re.sub(r"</?(?:b|i|code)>", "", content)
    assert "<" not in inside, content
    assert not re.search(r"&(?!(?:lt|gt|amp);)", inside), content
    seen = html.unescape(inside)
    assert not re.search(r"@\w|://|\w\.[^\W\d_]{2}", re.sub("<code>.*?</code>", "", seen)), content
    return seen


def squeezed(text: str) -> str:
    """Return a text without white space, which pages may change between them, and without the unseen joiners."""
    return re.sub(r"[\s\u2060]+", "", text)


@settings(deadline=None, max_examples=60)
@given(ANY_TEXT, st.sampled_from(STYLES))
def test_people_see_exactly_the_text(text: str, style: Style) -> None:
    wanted = squeezed(clean(text))
    assert squeezed("".join(map(seen_on_discord, discord_pages([Text(text, style)])))) == wanted
    assert squeezed("".join(map(seen_on_telegram, telegram_pages([Text(text, style)])))) == wanted


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(ANY_TEXT, st.sampled_from(STYLES)), max_size=3), st.integers(30, 300))
def test_pages_keep_their_limits_and_lose_nothing(blocks: list[tuple[str, Style]], limit: int) -> None:
    texts = [Text(text, style) for text, style in blocks]
    wanted = squeezed("".join(clean(text) for text, _ in blocks))
    for page in discord_pages(texts, limit):
        assert 0 < len(page) <= limit and len_utf16(page) <= limit
    pages = telegram_pages(texts, limit, first=20)
    assert all(len_utf16(seen_on_telegram(page)) <= (limit if i else 20) for i, page in enumerate(pages))
    assert squeezed("".join(map(seen_on_telegram, pages))) == wanted
    assert squeezed("".join(map(seen_on_discord, discord_pages(texts, limit)))) == wanted


HIDDEN = st.text(st.sampled_from("\u200b\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff\u061c\x00\x1b"), max_size=3)
PINGS = st.sampled_from(
    ["@everyone", "@here", "<@123456789012345678>", "<@&12345>", "<#12345>", "@someone", "https://evil.example/x",
     "discord.gg/abc", "t.me/evil", "/forgetme", "tg://resolve?domain=x", "[a](https://evil.example)"]
)  # fmt: skip


@settings(deadline=None, max_examples=80)
@given(PINGS, st.data(), st.sampled_from(STYLES))
def test_unseen_characters_inside_a_mention_or_link_hide_nothing(ping: str, data: st.DataObject, style: Style) -> None:
    """Zero-width and bidi characters are taken out first; what then stands there is escaped like any other text."""
    text = "".join(data.draw(HIDDEN) + char for char in ping)
    assert clean(text) == ping
    # Both readers fail on anything that pings or links, and give back what people see.
    assert squeezed("".join(map(seen_on_discord, discord_pages([Text(text, style)])))) == squeezed(ping)
    (page,) = telegram_pages([Text(text, style)])
    assert squeezed(seen_on_telegram(page)) == squeezed(ping)
    assert not re.search("[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u061c\x00\x1b]", page)


@pytest.mark.parametrize("unit", ["語", "👨‍👩‍👧‍👦", "🇹🇼", "e\u0301", "word "])
def test_no_character_is_cut(unit: str) -> None:
    pages = telegram_pages([Text(unit * 5000, "quote")])
    pieces = [piece for page in pages for piece in regex.findall(r"\X", page) if piece.strip()]
    assert pieces == regex.findall(r"\X", unit.strip() * 5000) and len(pages) >= 2


def test_a_long_story_is_cut_between_paragraphs_then_sentences() -> None:
    paragraphs = [f"Paragraph {i} goes on. " * 30 for i in range(15)]
    pages = discord_pages([Text("Title", "heading"), *(Text(p, "quote") for p in paragraphs)])
    assert sum(map(len, pages)) > 9000 and max(map(len, pages)) <= DISCORD_MESSAGE
    assert all(page.endswith("on.") for page in pages)
    assert pages[0].startswith("**Title**\n\nParagraph 0")
    chinese = "海浪帶走了光，又把它還了回來。" * 400
    assert all(page.endswith("。") for page in telegram_pages([Text(chinese, "quote")]))


def test_a_character_of_a_thousand_marks_is_no_way_out() -> None:
    zalgo = "a" + "\u0301" * 9000
    assert max(map(len, discord_pages([Text(zalgo)]))) <= DISCORD_MESSAGE
    assert unicodedata.normalize("NFC", "".join(telegram_pages([Text(zalgo)]))).startswith("á")


def test_styles() -> None:
    texts = [Text("Title", "heading"), Text("seed 5", "code"), Text("note", "small"), Text("12", "chat")]
    assert discord_pages(texts) == ("**Title**\n\n`seed 5`\n\n-# note\n\n<#12>",)
    assert telegram_pages(texts[:3]) == ("<b>Title</b>\n\n<code>seed 5</code>\n\n<i>note</i>",)
    assert discord_pages([]) == () and telegram_pages([Text("  \n ")]) == ()
    assert discord_pages([Text("`", "code")]) == ("`ˋ`",) and discord_pages([Text("@everyone 1", "chat")]) == ("<#1>",)


def test_telegram_finds_nothing_in_the_words_of_others_but_commands_in_ours() -> None:
    hostile = "@everyone see https://evil.example or evil.example, /forgetme #tag $USD, 3.5 s and e.g. this"
    (page,) = telegram_pages([Text(hostile, "quote")])
    assert page.replace("\u2060", "") == hostile and page.count("\u2060") == 7
    assert telegram_pages([Text("Please use /forgetme.")]) == ("Please use /forgetme.",)


def test_clip() -> None:
    assert clip("short", 5) == "short"
    assert clip("a longer title", 9) == "a longer…"
    assert len_utf16(clip("👨‍👩‍👧‍👦" * 9, 30)) <= 30 and clip("👨‍👩‍👧‍👦" * 9, 30).endswith("👦…")
