"""The model behind the storyteller "openai": any server that speaks OpenAI's protocol (Ollama, llama.cpp, vLLM, …).

Knows the protocol and its failures; what comes back is data, bounded in length. The key is read where it is used and
goes into the client alone: never into a message, a log, or the settings.
"""

from __future__ import annotations

import asyncio
import difflib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
import openai
from openai import AsyncOpenAI

from engine.errors import Transient, TuneTaleError, UserError
from engine.secret_file import read_secret
from engine.settings import ServerSettings, WritingSettings
from engine.story.chat import Ask, Told

log = logging.getLogger(__name__)

TOLD_EVERY_S = 0.1
"""How often progress is told; also the longest time until a cancelled job lets go."""
CONNECT_S = 10.0
"""A server that is there accepts a connection at once."""
MAX_CHARS = 60_000
"""Characters kept of an answer: far more than the longest story; the rest is not read."""
MAX_BYTES = 4_000_000
"""Bytes read of one response: each token comes in an envelope of some 300 bytes."""
RETRY_S = 0.5
"""Pause after an answer that broke off; doubles each time."""
_DETAIL_CHARS = 160


class _BrokenAnswer(Exception):
    """The server began to answer and did not end, or what it said is no answer."""


class _TooMuch(Exception):
    """The response has more than MAX_BYTES."""


@dataclass
class _Slot:
    """One answer on its way."""

    text: str = ""
    tokens: int = 0
    done: bool = False


class ServerChat:
    """Implements `engine.story.chat.Chat`. Keeps no connection between calls, so several threads may use it."""

    def __init__(self, server: ServerSettings, writing: WritingSettings, key: str) -> None:
        self._server = server
        self._writing = writing
        self._key = key

    @classmethod
    def load(cls, server: ServerSettings, writing: WritingSettings) -> Self:
        """Check the address and read the key. Raises `UserError`; whether the server is there is seen when asked."""
        try:
            parts = urlsplit(server.url)
        except ValueError:
            parts = urlsplit("")
        if "@" in parts.netloc:
            raise UserError(
                "engine.server.url holds a password; please leave it out, and name a file with the key instead.",
                code="bad_url",
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(
                f"{server.url!r} is no address of a server; engine.server.url is like http://127.0.0.1:11434/v1.",
                code="bad_url",
            )
        if not server.model:
            raise UserError("engine.server.model is empty; please name a model of the server.", code="no_model")
        key = _read_key(server)
        if key and parts.scheme == "http" and not _is_here(parts.hostname):
            log.warning("the API key travels to %s unencrypted; https would be safer", parts.hostname)
        return cls(server, writing, key)

    @property
    def name(self) -> str:
        """Name of backend and model, as shown to people."""
        return f"openai/{self._server.model}"

    def write(self, asks: Sequence[Ask], told: Told) -> list[str]:
        """Return an answer to each ask; "" for one that failed while others came.

        Raises `Transient` when the server is away, busy or breaks off, `UserError` when it refuses, and what `told`
        raises, within a moment.
        """
        return asyncio.run(self._write(asks, told))

    async def _write(self, asks: Sequence[Ask], told: Told) -> list[str]:
        slots = [_Slot() for _ in asks]
        room = asyncio.Semaphore(self._server.parallel)
        async with self._client() as client:
            tasks = [asyncio.create_task(self._tried(client, room, *pair)) for pair in zip(asks, slots, strict=True)]
            try:
                pending: set[asyncio.Task[str]] = set(tasks)
                while pending:
                    _, pending = await asyncio.wait(pending, timeout=TOLD_EVERY_S)
                    told(sum(map(_share, asks, slots)) / len(asks))
                return await self._taken(client, tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _taken(self, client: AsyncOpenAI, tasks: Sequence[asyncio.Task[str]]) -> list[str]:
        """Return the answers; those that failed are empty, unless all did."""
        errors = [error for task in tasks if (error := task.exception()) is not None]
        unexpected = [error for error in errors if not isinstance(error, openai.OpenAIError | _BrokenAnswer)]
        if unexpected:
            raise unexpected[0]
        if len(errors) == len(tasks):
            raise await self._sentence(client, errors[0])
        if errors:
            log.warning(
                "%d of %d answers of %s failed: %s", len(errors), len(tasks), self.name, type(errors[0]).__name__
            )
        return ["" if task.exception() else task.result() for task in tasks]

    def _client(self) -> AsyncOpenAI:
        timeout = httpx2.Timeout(self._server.timeout_s, connect=min(CONNECT_S, self._server.timeout_s))
        return AsyncOpenAI(
            base_url=self._server.url,
            api_key=self._key or "none",
            timeout=timeout,
            max_retries=self._server.retries,
            http_client=httpx2.AsyncClient(transport=_Bounded(), timeout=timeout, follow_redirects=False),
        )

    async def _tried(self, client: AsyncOpenAI, room: asyncio.Semaphore, ask: Ask, slot: _Slot) -> str:
        """Ask until an answer comes whole. What is refused or unreachable is tried again by the client itself."""
        async with room:
            for attempt in range(self._server.retries + 1):
                try:
                    await self._stream(client, ask, slot)
                    slot.done = True
                    return slot.text
                except _BrokenAnswer:
                    if attempt == self._server.retries:
                        raise
                    slot.text, slot.tokens = "", 0
                    await asyncio.sleep(RETRY_S * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _stream(self, client: AsyncOpenAI, ask: Ask, slot: _Slot) -> None:
        messages: Any = [message.plain() for message in ask.messages]
        try:
            stream = await client.chat.completions.create(
                model=self._server.model,
                messages=messages,
                temperature=self._writing.temperature,
                top_p=self._writing.top_p,
                max_tokens=ask.max_tokens,
                seed=ask.seed & 0x7FFFFFFF,
                stream=True,
            )
            ended = False
            async with stream:
                async for chunk in stream:
                    for choice in chunk.choices or ():
                        slot.text += choice.delta.content or ""
                        ended |= choice.finish_reason is not None
                    slot.tokens += 1
                    if len(slot.text) > MAX_CHARS:
                        slot.text = slot.text[:MAX_CHARS]
                        return
        except _TooMuch:
            if not slot.text:
                raise _BrokenAnswer from None
            return
        except openai.APIStatusError:
            raise
        except (openai.APITimeoutError, httpx2.TimeoutException):
            raise openai.APITimeoutError(request=_REQUEST) from None
        except openai.APIConnectionError:
            raise
        except (openai.APIError, httpx2.HTTPError, ValueError, TypeError, AttributeError, KeyError) as error:
            # Within a stream anything may come: an error event, half a line, JSON of another shape.
            raise _BrokenAnswer(type(error).__name__) from error
        if not ended:
            raise _BrokenAnswer("the stream ended too soon")

    async def _sentence(self, client: AsyncOpenAI, error: BaseException) -> TuneTaleError:
        """Put what went wrong into one sentence, without what the server says of the key."""
        url, model = self._server.url, self._server.model
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return UserError(
                    f"The server {url} refuses the API key; please check engine.server.api_key_file or"
                    " engine.server.api_key_variable.",
                    code="bad_key",
                )
            case openai.NotFoundError():
                return await self._unknown(client)
            case openai.RateLimitError():
                return Transient(f"The server {url} is busy; please try again later.", code="server_busy")
            case openai.APIStatusError(status_code=status) if status < 500:
                return UserError(
                    f"The server {url} refuses to write with {model} ({status}: {self._detail(error)}); please check"
                    " engine.server.",
                    code="server_refuses",
                )
            case openai.APIStatusError(status_code=status):
                return Transient(f"The server {url} failed ({status}); please try again later.", code="server_failed")
            case openai.APITimeoutError():
                return Transient(
                    f"The server {url} was silent for {self._server.timeout_s:g} s; please try again later.",
                    code="server_silent",
                )
            case openai.APIConnectionError():
                return Transient(
                    f"The server {url} cannot be reached; please see whether it runs, and try again.",
                    code="server_unreachable",
                )
        return Transient(
            f"The server {url} broke off its answers, or does not speak OpenAI's protocol; please try again.",
            code="server_broken",
        )

    async def _unknown(self, client: AsyncOpenAI) -> UserError:
        url, model = self._server.url, self._server.model
        try:
            known = [str(entry.id) for entry in (await client.with_options(max_retries=0).models.list()).data]
        except Exception as error:  # whatever it says: it does not speak the protocol
            log.info("models of %s: %r", url, error)
            return UserError(
                f"Nothing at {url} speaks OpenAI's protocol; the address often ends in /v1.", code="bad_url"
            )
        close = difflib.get_close_matches(model, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"it has: {', '.join(known[:8]) or 'none'}."
        return UserError(f"The server {url} has no model {model}; {hint}", code="no_model")

    def _detail(self, error: openai.APIStatusError) -> str:
        text = " ".join(str(error.message).split())
        text = "".join(char for char in text if char.isprintable())
        return (text.replace(self._key, "***") if self._key else text)[:_DETAIL_CHARS]


class _Bounded(httpx2.AsyncHTTPTransport):
    """Reads no more than MAX_BYTES of a response, whatever it is."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        response.stream = _BoundedStream(response.stream)
        return response


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = 0
        async for part in self._inner:
            total += len(part)
            if total > MAX_BYTES:
                raise _TooMuch
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


_REQUEST = httpx2.Request("POST", "http://server")
"""openai's errors want a request; nobody reads it."""


def _share(ask: Ask, slot: _Slot) -> float:
    return 1.0 if slot.done else min(0.99, slot.tokens / ask.max_tokens)


def _read_key(server: ServerSettings) -> str:
    """Return the key, "" for none. Raises `UserError`, which never holds a part of it."""
    if server.api_key_variable:
        key, where = os.environ.get(server.api_key_variable, ""), f"environment variable {server.api_key_variable}"
    elif server.api_key_file:
        where = f"file {server.api_key_file}"
        key = read_secret(Path(server.api_key_file))
    else:
        return ""
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise UserError(f"The {where} holds no API key.", code="bad_key")
    return key


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
