"""An engine that does nothing by itself: a scenario takes its jobs and says what becomes of them.

The queue, the store and the files are real; only the work is not done.
"""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

from PIL import Image

from engine.errors import TuneTaleError
from engine.jobs import (
    Alignment,
    ComposeRequest,
    ComposeResult,
    CurveData,
    Lease,
    MusicBeat,
    MusicFacts,
    MusicFiles,
    Progress,
    Result,
    Sentence,
    StoryBeat,
    StoryFiles,
    StoryRequest,
    StoryResult,
    StorySentences,
    StoryText,
)
from engine.queue import Queue
from tests.contract.scenario import PATIENCE_S, Recording

SONG = Recording("slow rain.mp3", b"ID3" + bytes(4_000))
"""A recording that nobody listens to."""
TITLE = "The Lamp Keeper"
PARAGRAPHS = ("The tide took the light and gave it back.", "Nobody slept, and nobody minded.")
ALT = "A plane of feelings; the path goes from calm to glad."
_ALIGNMENT = Alignment(0.21, None, None, 0.93, "tests")
_CURVE = CurveData(2.0, 0.0, (0.1, 0.2), (0.3, 0.1))
_MODELS = {"storyteller": "scripted"}
_WAIT_S = 0.05


class ScriptedEngine:
    """Works on the jobs of a queue as it is told."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    async def takes(self) -> Lease:
        """Wait for the next job and begin it."""
        async with asyncio.timeout(PATIENCE_S):
            while (lease := await self.queue.claim()) is None:
                try:
                    await asyncio.wait_for(self.queue.work.wait(), _WAIT_S)
                except TimeoutError:
                    continue
        return lease

    def says(self, lease: Lease, stage: str, fraction: float) -> None:
        """Report progress."""
        self.queue.note(lease.token, Progress(stage, fraction))

    async def finishes(self, lease: Lease, title: str = TITLE, paragraphs: tuple[str, ...] = PARAGRAPHS) -> None:
        """End a job with a result and its files."""
        result = self.result(lease, title, paragraphs)
        assert await self.queue.finish(lease.token, result)

    async def fails(self, lease: Lease, error: TuneTaleError, incident: str | None = None) -> None:
        """End an attempt with an error."""
        assert await self.queue.fail(lease.token, error, incident=incident)

    async def does_all(self, count: int) -> None:
        """Take and finish so many jobs."""
        for _ in range(count):
            await self.finishes(await self.takes())

    def result(self, lease: Lease, title: str, paragraphs: tuple[str, ...]) -> Result:
        """Return a result whose files lie in the job's folder."""
        folder, request = Path(lease.folder), lease.job.request
        (folder / "card.png").write_bytes(picture())
        (folder / "result.json").write_text("{}")
        seed = request.seed if isinstance(request, StoryRequest | ComposeRequest) and request.seed else 7
        if isinstance(request, StoryRequest):
            (folder / "story.md").write_text(title)
            (folder / "readalong.vtt").write_text("WEBVTT\n")
            beats = tuple(
                StoryBeat(10.0 * i, 10.0 * (i + 1), 0.1, 0.2, "calm", i, 0.1, 0.3) for i in range(len(paragraphs))
            )
            return StoryResult(
                request.language,
                seed,
                _MODELS,
                MusicFacts("slow rain", 30.0, "0" * 64),
                _CURVE,
                beats,
                StoryText(title, paragraphs),
                _ALIGNMENT,
                ALT,
                StoryFiles("story.md", "card.png", "readalong.vtt", "result.json"),
            )
        assert isinstance(request, ComposeRequest)
        (folder / "music.mp3").write_bytes(SONG.data)
        return ComposeResult(
            seed,
            _MODELS,
            StorySentences((Sentence(request.text[:80], 0.1, 0.2),)),
            "A slow waltz for piano.",
            (MusicBeat(0.0, request.seconds, 0.1, 0.2, "calm", 0.1, 0.2),),
            _CURVE,
            _ALIGNMENT,
            ALT,
            MusicFiles("music.mp3", None, "card.png", "result.json"),
        )


def picture() -> bytes:
    """Return a small PNG."""
    data = io.BytesIO()
    Image.new("RGB", (90, 60), "navy").save(data, "PNG")
    return data.getvalue()
