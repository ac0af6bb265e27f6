"""What the main process and a worker say to each other, and how it looks on the pipe. Knows no process and no queue.

A frame is a big-endian 32-bit length and so many bytes of JSON, one message each. Messages are frozen dataclasses;
`type` tells them apart. Whatever does not fit is refused with `BadFrame`, and the listener then gives the speaker up.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import Annotated, BinaryIO, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from engine.jobs import Progress, Request, Result
from engine.settings import EngineSettings

MAX_FRAME_BYTES = 8 * 2**20
"""Largest body: ~50 times the result of a 15-minute piece, and small enough to hold many in memory."""

_HEADER = struct.Struct(">I")

_Message = TypeVar("_Message")


class BadFrame(ValueError):
    """What came, or should go, over the pipe is not a message of at most MAX_FRAME_BYTES."""


# --- to the worker -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """The first message: load the models that the settings name."""

    settings: EngineSettings
    type: Literal["start"] = "start"


@dataclass(frozen=True)
class Run:
    """Do a job; its files go into `folder`, which exists."""

    token: str
    request: Request
    folder: str
    type: Literal["run"] = "run"


@dataclass(frozen=True)
class Cancel:
    """Give a job up at its next report; unknown tokens are ignored (the job has just ended)."""

    token: str
    type: Literal["cancel"] = "cancel"


@dataclass(frozen=True)
class Stop:
    """End now, whatever is running."""

    type: Literal["stop"] = "stop"


ToWorker = Annotated[Start | Run | Cancel | Stop, Field(discriminator="type")]


# --- from the worker ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """The models are loaded: their names by stage, and the seconds that it took."""

    models: dict[str, str]
    load_s: float
    type: Literal["ready"] = "ready"


@dataclass(frozen=True)
class Unable:
    """The models cannot be loaded as the settings ask; the worker ends after this."""

    code: str
    message: str
    type: Literal["unable"] = "unable"


@dataclass(frozen=True)
class Alive:
    """The process runs, however busy its jobs are."""

    type: Literal["alive"] = "alive"


@dataclass(frozen=True)
class Working:
    """Where a job stands."""

    token: str
    progress: Progress
    type: Literal["working"] = "working"


@dataclass(frozen=True)
class Done:
    """A job's result."""

    token: str
    result: Result
    type: Literal["done"] = "done"


@dataclass(frozen=True)
class Failed:
    """A job's end without a result. `trace` is filled for bugs only, and is for the log."""

    token: str
    kind: Literal["user", "transient", "crashed", "cancelled", "bug"]
    code: str
    message: str
    trace: str = ""
    type: Literal["failed"] = "failed"


FromWorker = Annotated[Ready | Unable | Alive | Working | Done | Failed, Field(discriminator="type")]


# --- frames ------------------------------------------------------------------------------------------------------

_TO_WORKER: TypeAdapter[ToWorker] = TypeAdapter(ToWorker)
_FROM_WORKER: TypeAdapter[FromWorker] = TypeAdapter(FromWorker)


def frame_to_worker(message: ToWorker) -> bytes:
    """Return the message as a frame; raises `BadFrame` when it is too large or holds text that is not Unicode."""
    return _frame(_TO_WORKER, message)


def frame_from_worker(message: FromWorker) -> bytes:
    """Return the message as a frame; raises `BadFrame` when it is too large or holds text that is not Unicode."""
    return _frame(_FROM_WORKER, message)


def read_to_worker(stream: BinaryIO) -> ToWorker | None:
    """Wait for a message; None when the main process has closed the pipe between two frames. Raises `BadFrame`."""
    header = stream.read(_HEADER.size)
    if not header:
        return None
    size = _size(header)
    return _message(_TO_WORKER, stream.read(size), size)


async def read_from_worker(stream: asyncio.StreamReader) -> FromWorker | None:
    """Wait for a message; None when the worker has closed the pipe between two frames. Raises `BadFrame`."""
    header = await _up_to(stream, _HEADER.size)
    if not header:
        return None
    size = _size(header)
    return _message(_FROM_WORKER, await _up_to(stream, size), size)


def _frame(adapter: TypeAdapter[_Message], message: _Message) -> bytes:
    try:
        body = adapter.dump_json(message)
    except ValueError as error:  # a lone surrogate has no UTF-8
        raise BadFrame(f"the message cannot be written: {error}") from None
    if len(body) > MAX_FRAME_BYTES:
        raise BadFrame(f"the message has {len(body)} bytes, more than {MAX_FRAME_BYTES}")
    return _HEADER.pack(len(body)) + body


def _size(header: bytes) -> int:
    if len(header) < _HEADER.size:
        raise BadFrame("the pipe was closed in the middle of a frame")
    size = int(_HEADER.unpack(header)[0])
    if size > MAX_FRAME_BYTES:
        raise BadFrame(f"a frame of {size} bytes was announced, more than {MAX_FRAME_BYTES}")
    return size


def _message(adapter: TypeAdapter[_Message], body: bytes, size: int) -> _Message:
    if len(body) < size:
        raise BadFrame("the pipe was closed in the middle of a frame")
    try:
        return adapter.validate_json(body)
    except ValidationError as error:  # its own text would quote what people wrote
        raise BadFrame(f"not a message: {error.errors(include_input=False)[0]['msg']}") from None


async def _up_to(stream: asyncio.StreamReader, size: int) -> bytes:
    try:
        return await stream.readexactly(size)
    except asyncio.IncompleteReadError as error:
        return error.partial
