"""Who asks for what in the tests of the queue."""

from __future__ import annotations

from engine.jobs import (
    Alignment,
    Asker,
    ComposeResult,
    CurveData,
    Lease,
    Sentence,
    StorySentences,
    TextEmotionRequest,
    TextEmotionResult,
)
from engine.policy import Policy
from engine.queue import Queue

ANNA = Asker("console", "anna", "kitchen", reply_to="m1")
BEN = Asker("console", "ben", "kitchen")
TEXTS = TextEmotionRequest(("A quiet street.",))
READ = TextEmotionResult({"text": "test"}, (Sentence("A quiet street.", 0.25, -0.5),))
MUSIC = ComposeResult(
    seed=1,
    models={},
    story=StorySentences(()),
    description="calm",
    beats=(),
    curve=CurveData(2.0, 0.0, (0.1,), (0.2,)),
    alignment=Alignment(0.125, None, 0.5, 0.75, "test"),
    card_alt="a card",
)
ROOMY = Policy(per_person=10_000, per_chat=10_000, total=10_000)


async def claim(queue: Queue) -> Lease:
    lease = await queue.claim()
    assert lease is not None
    return lease


async def state(queue: Queue, job_id: int) -> tuple[str, int]:
    job = await queue.job(job_id)
    assert job is not None
    return job.state, job.attempt
