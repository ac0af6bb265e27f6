"""A reply as Discord messages: texts on as few as they need, files and buttons on the last. Pure but for opening files.

parts ──▶ sheets (content ≤ 2000, ≤ 10 files, ≤ 25 MiB) ──▶ one message each
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypedDict

import discord

from bot.contract import Audio, Button, Document, Picture, Reply, Text
from bot.discord.buttons import TokenButton
from bot.markup import DISCORD_MESSAGE, clip, discord_pages
from engine import vault

MAX_FILES = 10
"""Files of one message."""
MAX_REQUEST = 25 * (1 << 20)
"""Bytes of one whole request (docs.discord.com, reference: uploading files)."""
_FORM_OVERHEAD = 64 * 1024
MAX_ALT = 1024
MAX_LABEL = 80

FilePart = Audio | Picture | Document


@dataclass(frozen=True)
class Sheet:
    """What one message holds."""

    content: str = ""
    files: tuple[FilePart, ...] = ()
    buttons: tuple[tuple[Button, ...], ...] = ()


class Fields(TypedDict):
    """Arguments that every way of sending a message takes."""

    content: str
    files: Sequence[discord.File]
    view: discord.ui.View


def sheets_of(reply: Reply, prefix: str = "") -> tuple[Sheet, ...]:
    """Lay out a reply; `prefix` (a mention) stands before its first word."""
    texts = [part for part in reply.parts if isinstance(part, Text)]
    pages = list(discord_pages(texts, DISCORD_MESSAGE - len(prefix))) if texts else []
    if prefix:
        pages[:1] = [f"{prefix}{pages[0]}" if pages else prefix.strip()]
    bundles = list(_bundles([part for part in reply.parts if not isinstance(part, Text)]))
    # The last page goes together with the first files, so that a card and its buttons are one message.
    shared = 1 if pages and bundles else 0
    made = [Sheet(page) for page in pages[: len(pages) - shared]]
    for i, files in enumerate(bundles):
        made.append(Sheet(pages[-1] if shared and i == 0 else "", tuple(files)))
    if not made:
        made = [Sheet()]
    last = made[-1]
    return (*made[:-1], Sheet(last.content, last.files, reply.buttons))


def _bundles(files: Sequence[FilePart]) -> Iterator[list[FilePart]]:
    bundle: list[FilePart] = []
    weight = _FORM_OVERHEAD
    for file in files:
        size = size_of(file)
        if bundle and (len(bundle) == MAX_FILES or weight + size > MAX_REQUEST):
            yield bundle
            bundle, weight = [], _FORM_OVERHEAD
        bundle.append(file)
        weight += size
    if bundle:
        yield bundle


def size_of(file: FilePart) -> int:
    """Return the bytes of a file part; raises OSError when the file is not there."""
    if isinstance(file, Document) and file.path is None:
        return len(file.data or b"")
    assert file.path is not None
    return file.path.stat().st_size


@contextmanager
def opened(sheet: Sheet) -> Iterator[Fields]:
    """Give the arguments for sending a sheet; its files are open inside. Raises OSError when one is not there."""
    files: list[discord.File] = []
    try:
        for part in sheet.files:
            files.append(_open(part))
        yield Fields(content=sheet.content, files=files, view=view_of(sheet.buttons))
    finally:
        for file in files:
            file.close()


def _open(part: FilePart) -> discord.File:
    if isinstance(part, Document) and part.path is None:
        return discord.File(io.BytesIO(part.data or b""), part.name)
    assert part.path is not None
    alt = clip(part.alt, MAX_ALT) if isinstance(part, Picture) else None
    return discord.File(io.BytesIO(vault.current().read(part.path)), part.name, description=alt)


def view_of(rows: Sequence[Sequence[Button]]) -> discord.ui.View:
    """Return buttons as a view that the library need not remember: they are found by their ids alone."""
    view = discord.ui.View(timeout=None)
    for i, row in enumerate(rows):
        for button in row:
            view.add_item(TokenButton(button.token, clip(button.label, MAX_LABEL), danger=button.danger, row=i))
    view.stop()
    return view
