"""Attachments: streamed to a file, never past the size that Discord stated. Knows nothing of what is in them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import aiohttp
import discord

from bot.contract import Upload
from bot.discord.trouble import NETWORK
from engine.errors import Transient, UserError

TIMEOUT_S = 300.0
"""For one whole download; the interaction's token lives three times as long."""
CHUNK = 1 << 16
AUDIO_ENDINGS = (".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".wav", ".flac", ".mp4", ".webm", ".mka", ".aiff")


class Downloads:
    """Fetches attachments; one HTTP session for all."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def upload(self, attachment: discord.Attachment) -> Upload:
        """Return an attachment as something that the core can fetch."""

        async def fetch(path: Path) -> None:
            await self._fetch(attachment, path)

        return Upload(attachment.filename, attachment.size, fetch, duration_s=attachment.duration)

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    async def _fetch(self, attachment: discord.Attachment, path: Path) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), cookie_jar=aiohttp.DummyCookieJar()
            )
        left = attachment.size
        try:
            async with self._session.get(attachment.url, allow_redirects=False) as response:
                if response.status in (403, 404):
                    raise UserError("The file is not there any more; please send it again.", code="file_gone")
                if response.status != 200:
                    raise Transient(f"Discord did not hand over the file ({response.status}).", code="platform")
                with path.open("wb") as file:
                    async for chunk in response.content.iter_chunked(CHUNK):
                        left -= len(chunk)
                        if left < 0:
                            raise UserError("The file is larger than stated; please send it again.", code="too_large")
                        await asyncio.to_thread(file.write, chunk)
        except NETWORK as error:
            raise Transient("Discord did not hand over the file; please try again.", code="platform") from error


def looks_like_audio(attachment: discord.Attachment) -> bool:
    """Return whether an attachment may be a recording; what it really is the engine finds out."""
    kind = (attachment.content_type or "").partition("/")[0]
    return kind in ("audio", "video") or attachment.filename.lower().endswith(AUDIO_ENDINGS)


def looks_like_text(attachment: discord.Attachment) -> bool:
    """Return whether an attachment may be a plain text."""
    return (attachment.content_type or "").startswith("text/plain") or attachment.filename.lower().endswith(".txt")


_LINK = re.compile(r"https?://[^\s<>]+")


def link_in(text: str) -> str | None:
    """Return the first http(s) link of a text."""
    found = _LINK.search(text)
    return None if found is None else found[0].rstrip(".,;:!?)\"'")
