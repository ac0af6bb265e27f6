"""One question and one answer over a Unix socket, as JSON lines: how everything here talks to the platform."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any


def say(address: str, message: dict[str, Any]) -> dict[str, Any]:
    """Ask from a thread. Raises `OSError` or `ValueError` when the platform hangs up."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        connection.sendall(json.dumps(message).encode() + b"\n")
        with connection.makefile("rb") as answers:
            answer: dict[str, Any] = json.loads(answers.readline())
    return answer


async def ask(address: str, message: dict[str, Any]) -> dict[str, Any]:
    """Ask from a coroutine. Raises like `say`."""
    reader, writer = await asyncio.open_unix_connection(address)
    try:
        writer.write(json.dumps(message).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await reader.readline())
        return answer
    finally:
        writer.close()
