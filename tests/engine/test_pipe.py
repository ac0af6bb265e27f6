from __future__ import annotations

import asyncio
import io
import struct

import pytest

from engine import pipe
from engine.jobs import (
    ComposeRequest,
    CurveData,
    EmotionRequest,
    EmotionResult,
    FileSource,
    MusicFacts,
    PlainBeat,
    Progress,
    TextEmotionRequest,
)
from engine.pipe import Alive, BadFrame, Cancel, Done, Failed, Ready, Run, Start, Stop, Unable, Working
from engine.settings import EngineSettings, WorkerSettings

RESULT = EmotionResult(
    models={"music_emotion": "m"},
    music=MusicFacts("夜曲", 3.0, "ab"),
    curve=CurveData(2.0, 0.0, (0.1, -1.0), (0.25, 1.0)),
    beats=(PlainBeat(0.0, 3.0, 0.1, 0.2, "calm"),),
)
TO_WORKER: tuple[pipe.ToWorker, ...] = (
    Start(EngineSettings(worker=WorkerSettings(slots=7))),
    Run("t", EmotionRequest(FileSource("/a/b.mp3", "b.mp3")), "/folder"),
    Run("t", ComposeRequest("Once upon a time 很久以前 \u0000 🎵", seed=2**32 - 1), "/folder"),
    Cancel("t"),
    Stop(),
)
FROM_WORKER: tuple[pipe.FromWorker, ...] = (
    Ready({"composer": "c"}, 1.5),
    Unable("no_model", "There is none."),
    Alive(),
    Working("t", Progress("listen", 0.5)),
    Done("t", RESULT),
    Failed("t", "bug", "bug", "boom", "Traceback …"),
)


def stream(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def test_messages_to_the_worker_arrive_as_they_are_and_in_order() -> None:
    inbox = io.BytesIO(b"".join(map(pipe.frame_to_worker, TO_WORKER)))
    assert tuple(iter(lambda: pipe.read_to_worker(inbox), None)) == TO_WORKER


async def test_messages_from_the_worker_arrive_as_they_are_and_in_order() -> None:
    reader = stream(b"".join(map(pipe.frame_from_worker, FROM_WORKER)))
    assert tuple([await pipe.read_from_worker(reader) for _ in FROM_WORKER]) == FROM_WORKER
    assert await pipe.read_from_worker(reader) is None


def test_a_text_of_ten_megabytes_is_not_sent() -> None:
    with pytest.raises(BadFrame, match="more than"):
        pipe.frame_to_worker(Run("t", TextEmotionRequest(("x" * 10_000_000,)), "/folder"))


def test_the_largest_frame_is_sent_and_read() -> None:
    empty = len(pipe.frame_to_worker(Cancel(""))) - 4
    largest = Cancel("x" * (pipe.MAX_FRAME_BYTES - empty))
    frame = pipe.frame_to_worker(largest)
    assert len(frame) == 4 + pipe.MAX_FRAME_BYTES
    assert pipe.read_to_worker(io.BytesIO(frame)) == largest
    with pytest.raises(BadFrame):
        pipe.frame_to_worker(Cancel(largest.token + "x"))


def test_half_a_surrogate_pair_is_not_sent() -> None:
    with pytest.raises(BadFrame, match="cannot be written"):
        pipe.frame_to_worker(Run("t", ComposeRequest("\ud83c"), "/folder"))


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


BAD = {
    "words": b"Loading weights: 100%\n",
    "huge": struct.pack(">I", pipe.MAX_FRAME_BYTES + 1) + b"{}",
    "half a header": b"\x00\x00",
    "header alone": struct.pack(">I", 4),
    "half a body": framed(b'{"type":"stop"}')[:-3],
    "empty": framed(b""),
    "not JSON": framed(b"stop"),
    "not UTF-8": framed(b'{"type":"cancel","token":"\xff"}'),
    "unknown type": framed(b'{"type":"quit"}'),
    "missing field": framed(b'{"type":"done"}'),
    "NaN": framed(b'{"type":"working","token":"t","progress":{"stage":"listen","fraction":null}}'),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
async def test_what_is_no_message_is_refused_on_both_sides(data: bytes) -> None:
    with pytest.raises(BadFrame):
        pipe.read_to_worker(io.BytesIO(data))
    with pytest.raises(BadFrame):
        await pipe.read_from_worker(stream(data))


def test_each_side_refuses_the_messages_of_the_other() -> None:
    with pytest.raises(BadFrame):
        pipe.read_to_worker(io.BytesIO(pipe.frame_from_worker(Alive())))


def test_a_refusal_does_not_quote_what_people_wrote() -> None:
    secret = framed(b'{"type":"run","token":"t","request":{"kind":"compose","text":["my diary"]},"folder":"/f"}')
    with pytest.raises(BadFrame) as refused:
        pipe.read_to_worker(io.BytesIO(secret))
    assert "diary" not in str(refused.value)
