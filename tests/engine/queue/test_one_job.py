"""The way of one job on a real store. A test named p1 to p12 shows the promise of that number: accepted means kept (1),
effect once (2), nothing lost or stuck (3), stale workers change nothing (4), hung and crashing jobs end (5), fair (6),
bounded (7), the same twice is one (8), a stop is clean (9), cancel works (10), backups and migrations hold (12).
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from db import pairs
from db.store import Store
from engine.errors import Cancelled, Crashed, Transient, TuneTaleError, UserError
from engine.jobs import (
    ComposeRequest,
    Progress,
)
from engine.policy import Policy
from engine.queue import Queue
from tests.engine.queue.cases import ANNA, BEN, MUSIC, READ, ROOMY, TEXTS, claim, state
from tests.fakes.clock import FakeClock

# --- the way of one job ------------------------------------------------------------------------------------------


async def test_from_submit_to_answer(queue: Queue, files: Path, clock: FakeClock) -> None:
    assert await queue.idle()
    job = await queue.submit(TEXTS, ANNA)
    assert (job.state, job.attempt, job.asker, job.request) == ("queued", 0, ANNA, TEXTS)
    assert job.created == clock.now()
    assert await queue.position(job.id) == 1
    assert not await queue.idle()

    lease = await claim(queue)
    assert (lease.job.id, lease.job.state, lease.job.attempt) == (job.id, "running", 1)
    assert (lease.until - clock.now(), lease.deadline - clock.now()) == (15.0, 300.0)
    assert Path(lease.folder) == files / f"{job.id}-1"
    assert list(Path(lease.folder).iterdir()) == []
    assert await queue.position(job.id) is None
    assert await queue.claim() is None

    assert queue.progress(job.id) is None
    queue.note(lease.token, Progress("read", 0.5))
    assert queue.progress(job.id) == Progress("read", 0.5)
    assert await queue.finish(lease.token, READ)
    assert queue.progress(job.id) is None

    answer = await queue.next_answer("console")
    assert answer is not None
    assert (answer.job_id, answer.asker, answer.result, answer.attempt) == (job.id, ANNA, READ, 1)
    assert (answer.folder, answer.error_code, answer.error_message) == (lease.folder, None, None)
    assert await queue.next_answer("console") is None
    assert not await queue.idle()
    await queue.answered(answer.id, "m2")
    assert await queue.idle()
    assert await state(queue, job.id) == ("done", 1)


async def test_a_composition_makes_a_pair_and_other_results_do_not(queue: Queue, store: Store) -> None:
    composed = await queue.submit(ComposeRequest("Rain."), ANNA)
    await queue.finish((await claim(queue)).token, MUSIC)
    read = await queue.submit(TEXTS, ANNA)
    await queue.finish((await claim(queue)).token, READ)
    pair = await store.read(lambda conn: pairs.of_job(conn, composed.id))
    assert pair is not None
    assert (pair.kind, pair.folder, pair.deleted) == ("compose", f"{composed.id}-1", None)
    assert (pair.distance, pair.valence_r, pair.arousal_r) == (0.125, None, 0.5)
    assert (pair.better_than_shuffled, pair.aligned_by) == (0.75, "test")
    assert await store.read(lambda conn: pairs.of_job(conn, read.id)) is None


async def test_a_user_error_is_told_and_not_tried_again(queue: Queue) -> None:
    job = await queue.submit(TEXTS, ANNA)
    assert await queue.fail((await claim(queue)).token, UserError("Send a text.", code="empty"))
    assert await state(queue, job.id) == ("dead", 1)
    answer = await queue.next_answer("console")
    assert answer is not None
    assert (answer.result, answer.folder) == (None, None)
    assert (answer.error_code, answer.error_message, answer.incident) == ("empty", "Send a text.", None)


async def test_our_own_fault_is_told_with_its_incident(queue: Queue) -> None:
    await queue.submit(TEXTS, ANNA)
    await queue.fail((await claim(queue)).token, TuneTaleError("Something went wrong."), incident="abc123")
    answer = await queue.next_answer("console")
    assert answer is not None
    assert (answer.error_code, answer.incident) == ("error", "abc123")


async def test_p5_two_crashes_are_the_end_with_a_sentence(queue: Queue, clock: FakeClock) -> None:
    job = await queue.submit(TEXTS, ANNA)
    await queue.fail((await claim(queue)).token, Crashed("The worker died."))
    assert await state(queue, job.id) == ("queued", 1)
    assert await queue.claim() is None  # not before the delay is over
    clock.advance(1.0)
    await queue.fail((await claim(queue)).token, Crashed("The worker died twice."))
    assert await state(queue, job.id) == ("dead", 2)
    answer = await queue.next_answer("console")
    assert answer is not None
    assert (answer.error_code, answer.error_message) == ("crashed", "The worker died twice.")
    assert answer.incident


async def test_three_transient_failures_with_growing_delays(queue: Queue, clock: FakeClock) -> None:
    job = await queue.submit(TEXTS, ANNA)
    for delay in (2.0, 10.0):
        await queue.fail((await claim(queue)).token, Transient("The site is busy."))
        clock.advance(delay - 0.01)
        assert await queue.claim() is None
        clock.advance(0.01)
    await queue.fail((await claim(queue)).token, Transient("The site is busy."))
    assert await state(queue, job.id) == ("dead", 3)


async def test_a_retry_wakes_the_claimer_by_itself(store: Store, files: Path) -> None:
    queue = Queue(store, files, policy=Policy(transient_delay_s=0.4))
    await queue.submit(TEXTS, ANNA)
    await queue.fail((await claim(queue)).token, Transient("busy"))
    assert await queue.claim() is None
    assert not queue.work.is_set()
    await asyncio.wait_for(queue.work.wait(), 5)
    assert await queue.claim() is not None


async def test_an_earlier_retry_is_not_forgotten_for_a_later_one(store: Store, files: Path) -> None:
    queue = Queue(store, files, policy=ROOMY)
    for _ in range(2):
        await queue.submit(TEXTS, ANNA)
        await queue.finish((await claim(queue)).token, READ)
    soon, late = await queue.next_answer("console"), await queue.next_answer("console")
    assert soon is not None
    assert late is not None
    queue.answers("console").clear()
    await queue.answer_failed(soon.id, "429", 0.02)
    await queue.answer_failed(late.id, "503", 3600.0)
    await asyncio.wait_for(queue.answers("console").wait(), 5)
    again = await queue.next_answer("console")
    assert again is not None
    assert again.id == soon.id


async def test_events_say_when_there_may_be_work_and_answers(queue: Queue) -> None:
    assert await queue.claim() is None
    assert not queue.work.is_set()
    await asyncio.gather(queue.submit(TEXTS, ANNA), queue.submit(TEXTS, BEN))
    lease = await claim(queue)
    assert queue.work.is_set()  # the other one
    await claim(queue)
    assert await queue.claim() is None
    assert not queue.work.is_set()
    queue.answers("console").clear()
    await queue.finish(lease.token, READ)
    assert queue.answers("console").is_set()


# --- fencing -----------------------------------------------------------------------------------------------------


async def test_p4_a_stale_token_changes_nothing(queue: Queue, clock: FakeClock) -> None:
    job = await queue.submit(ComposeRequest("Rain."), ANNA)
    stale = await claim(queue)
    clock.advance(15.1)
    assert await queue.recover() == 1
    clock.advance(1.0)
    rightful = await claim(queue)
    assert rightful.job.id == job.id
    assert rightful.token != stale.token

    queue.note(stale.token, Progress("compose", 0.9))
    assert queue.progress(job.id) is None
    assert await queue.heartbeat([stale.token, rightful.token, "made up"]) == {rightful.token}
    assert not await queue.finish(stale.token, MUSIC)
    assert not await queue.fail(stale.token, UserError("no"))
    await queue.release([stale.token])
    assert await state(queue, job.id) == ("running", 2)
    assert await queue.next_answer("console") is None
    assert await queue.finish(rightful.token, MUSIC)
    assert not await queue.finish(rightful.token, MUSIC)


async def test_p5_heartbeats_keep_a_lease_until_the_deadline_and_no_longer(queue: Queue, clock: FakeClock) -> None:
    await queue.submit(TEXTS, ANNA)
    lease = await claim(queue)
    for _ in range(31):
        clock.advance(10.0)
        assert await queue.heartbeat([lease.token]) == {lease.token}
        assert await queue.recover() == 0
    clock.advance(5.1)  # 15.1 s past the deadline of 300 s
    await queue.heartbeat([lease.token])
    assert await queue.recover() == 1
    assert await queue.heartbeat([lease.token]) == frozenset()


# --- cancel ------------------------------------------------------------------------------------------------------


async def test_p10_cancel_in_every_state(queue: Queue) -> None:
    waiting, running, done, dead = [await queue.submit(TEXTS, ANNA) for _ in range(4)]
    assert await queue.cancel(waiting.id)
    leases = {lease.job.id: lease.token for lease in [await claim(queue) for _ in range(3)]}
    await queue.finish(leases[done.id], READ)
    await queue.fail(leases[dead.id], UserError("no"))
    queue.note(leases[running.id], Progress("read", 0.5))
    queue.work.clear()
    assert await queue.cancel(running.id)
    assert queue.work.is_set()
    assert queue.progress(running.id) is None
    for over in (waiting, running, done, dead):
        assert not await queue.cancel(over.id)
    assert not await queue.cancel(999)

    assert await queue.heartbeat([leases[running.id]]) == frozenset()
    assert not await queue.finish(leases[running.id], READ)
    states = [(await state(queue, job.id))[0] for job in (waiting, running, done, dead)]
    assert states == ["cancelled", "cancelled", "done", "dead"]
    assert await queue.claim() is None


async def test_a_worker_that_reports_the_cancel_ends_the_job_without_an_answer(queue: Queue) -> None:
    job = await queue.submit(TEXTS, ANNA)
    await queue.fail((await claim(queue)).token, Cancelled())
    assert await state(queue, job.id) == ("cancelled", 1)
    assert await queue.idle()


async def test_p10_cancel_racing_finish_has_one_winner(queue: Queue) -> None:
    winners = set()
    for i in range(30):
        job = await queue.submit(TEXTS, ANNA)
        token = (await claim(queue)).token
        race = [queue.finish(token, READ), queue.cancel(job.id)]
        first, second = await asyncio.gather(*(race if i % 2 else reversed(race)))
        finished, cancelled = (first, second) if i % 2 else (second, first)
        assert finished != cancelled
        answer = await queue.next_answer("console")
        assert (answer is not None) == finished
        if answer is not None:
            await queue.answered(answer.id, None)
        winners.add(finished)
    assert winners == {True, False}
    assert await queue.idle()
