"""The queue on a real store. A test named p1 to p12 shows the promise of that number: accepted means kept (1),
effect once (2), nothing lost or stuck (3), stale workers change nothing (4), hung and crashing jobs end (5), fair (6),
bounded (7), the same twice is one (8), a stop is clean (9), cancel works (10), backups and migrations hold (12).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db import pairs
from db.store import Store
from engine.errors import Cancelled, Crashed, Transient, TuneTaleError, UserError
from engine.jobs import (
    Alignment,
    Asker,
    ComposeRequest,
    ComposeResult,
    CurveData,
    EmotionRequest,
    FileSource,
    Lease,
    Progress,
    Sentence,
    StorySentences,
    TextEmotionRequest,
    TextEmotionResult,
)
from engine.policy import Policy
from engine.queue import Queue
from tests.fakes.clock import FakeClock

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


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def queue(store: Store, files: Path, clock: FakeClock) -> Queue:
    return Queue(store, files, clock=clock, policy=ROOMY)


async def claim(queue: Queue) -> Lease:
    lease = await queue.claim()
    assert lease is not None
    return lease


async def state(queue: Queue, job_id: int) -> tuple[str, int]:
    job = await queue.job(job_id)
    assert job is not None
    return job.state, job.attempt


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
    queue = Queue(store, files, policy=Policy(transient_delay_s=0.02))
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
    queue.answers.clear()
    await queue.answer_failed(soon.id, "429", 0.02)
    await queue.answer_failed(late.id, "503", 3600.0)
    await asyncio.wait_for(queue.answers.wait(), 5)
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
    queue.answers.clear()
    await queue.finish(lease.token, READ)
    assert queue.answers.is_set()


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


# --- the same twice, and too much --------------------------------------------------------------------------------


async def test_p8_fifty_identical_submits_are_one_job(queue: Queue) -> None:
    submitted = await asyncio.gather(*(queue.submit(TEXTS, ANNA, dedupe="update 7") for _ in range(50)))
    assert len({job.id for job in submitted}) == 1
    lease = await claim(queue)
    assert (await queue.submit(TEXTS, ANNA, dedupe="update 7")).id == lease.job.id
    assert await queue.claim() is None
    elsewhere = Asker("telegram", "anna", "kitchen")
    assert (await queue.submit(TEXTS, elsewhere, dedupe="update 7")).id != lease.job.id
    await queue.finish(lease.token, READ)
    assert (await queue.submit(TEXTS, ANNA, dedupe="update 7")).id != lease.job.id


async def test_p7_quotas_refuse_with_numbers_and_keep_nothing(store: Store, files: Path) -> None:
    queue = Queue(store, files, policy=Policy(per_person=2, per_chat=3, total=4))

    async def code(person: str, chat: str) -> str | None:
        try:
            await queue.submit(TEXTS, Asker("console", person, chat))
        except UserError as error:
            return error.code
        return None

    assert [await code("anna", "a") for _ in range(3)] == [None, None, "quota_person"]
    assert [await code("ben", "a"), await code("cleo", "a")] == [None, "quota_chat"]
    assert [await code("cleo", "c"), await code("dora", "d")] == [None, "quota_total"]
    people = await store.read(lambda conn: conn.execute("SELECT key FROM person ORDER BY key").fetchall())
    assert people == [("anna",), ("ben",), ("cleo",)]
    assert (await claim(queue)).job.asker.person == "anna"
    assert await code("anna", "b") is None  # running is not waiting


async def test_p6_a_flood_of_500_makes_nobody_wait_for_more_than_one_of_it(queue: Queue) -> None:
    flood = Asker("console", "flood", "lake")
    await asyncio.gather(*(queue.submit(TEXTS, flood) for _ in range(500)))
    await claim(queue)
    others = [Asker("console", f"person {i}", f"chat {i}") for i in range(10)]
    later = [await queue.submit(TEXTS, asker) for asker in others for _ in range(2)]
    places = [await queue.position(job.id) for job in later]
    order = [(await claim(queue)).job for _ in range(22)]
    assert [job.asker.person for job in order].count("flood") == 2
    assert {job.id for job in later} <= {job.id for job in order}
    assert places == [[job.id for job in order].index(wanted.id) + 1 for wanted in later]


async def test_p6_each_kind_has_its_own_line(queue: Queue) -> None:
    for _ in range(5):
        await queue.submit(ComposeRequest("Rain."), ANNA)
    quick = await queue.submit(EmotionRequest(FileSource("/a.mp3", "a.mp3")), ANNA)
    assert await queue.position(quick.id) == 2
    assert [(await claim(queue)).job.request.kind for _ in range(3)] == ["compose", "emotion", "compose"]


# --- the end of processes ----------------------------------------------------------------------------------------


async def test_p3_recover_after_the_lease_is_over(
    queue: Queue, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    job = await queue.submit(TEXTS, ANNA)
    for expected in (("queued", 1), ("dead", 2)):
        await claim(queue)
        clock.advance(14.9)
        assert await queue.recover() == 0
        clock.advance(0.2)
        with caplog.at_level(logging.WARNING):
            assert await queue.recover() == 1
        assert await state(queue, job.id) == expected
        clock.advance(1.0)
    answer = await queue.next_answer("console")
    assert answer is not None
    assert answer.error_code == "crashed"
    assert answer.error_message is not None
    assert "stopped answering" in answer.error_message
    assert answer.incident is not None
    assert answer.incident in caplog.text  # joins what the person sees to the log


async def test_p3_a_restarted_process_takes_its_jobs_back_at_once(store: Store, files: Path, clock: FakeClock) -> None:
    before = Queue(store, files, clock=clock, policy=ROOMY)
    job = await before.submit(TEXTS, ANNA)
    stale = await claim(before)
    for attempt in range(2, ROOMY.attempts + 1):
        after = Queue(store, files, clock=clock, policy=ROOMY)
        assert after.work.is_set()
        assert await after.recover() == 1
        assert await after.recover() == 0
        assert (await claim(after)).job.attempt == attempt
    assert not await before.finish(stale.token, READ)
    last = Queue(store, files, clock=clock, policy=ROOMY)
    assert await last.recover() == 1  # whoever takes the program down each time is not tried for ever
    assert await state(last, job.id) == ("dead", ROOMY.attempts)
    answer = await last.next_answer("console")
    assert answer is not None
    assert answer.incident


async def test_p9_released_jobs_lose_no_attempt(queue: Queue) -> None:
    job = await queue.submit(TEXTS, ANNA)
    lease = await claim(queue)
    (Path(lease.folder) / "half a song").touch()
    await queue.release([lease.token])
    assert await state(queue, job.id) == ("queued", 0)
    again = await claim(queue)
    assert again.job.attempt == 1
    assert list(Path(again.folder).iterdir()) == []


async def test_p9_a_job_claimed_for_a_caller_that_was_cancelled_goes_back(queue: Queue) -> None:
    job = await queue.submit(TEXTS, ANNA)
    claiming = asyncio.create_task(queue.claim())
    await asyncio.sleep(0)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    assert await state(queue, job.id) == ("queued", 0)
    assert queue.work.is_set()


async def test_a_clock_that_was_set_back_holds_nothing_up(queue: Queue, store: Store, files: Path) -> None:
    await queue.submit(TEXTS, ANNA)
    after = Queue(store, files, clock=FakeClock(1_000_000.0 - 3600), policy=ROOMY)
    assert await after.claim() is None
    await after.recover()
    assert await after.claim() is not None


async def test_folders_that_nobody_needs_are_removed(queue: Queue, files: Path, clock: FakeClock) -> None:
    leases = [(await queue.submit(TEXTS, ANNA), await claim(queue))[1] for _ in range(5)]
    done, dead, cancelled, running, lost = leases
    await queue.finish(done.token, READ)
    await queue.fail(dead.token, UserError("no"))
    await queue.cancel(cancelled.job.id)
    clock.advance(15.1)
    await queue.heartbeat([running.token])
    for name in ("77-1", "keep me", "1-0", "01-1", "1-1x"):
        (files / name).mkdir()
    (files / "78-1").touch()
    assert await queue.recover() == 1
    kept = {Path(lease.folder).name for lease in (done, running)}
    assert {entry.name for entry in files.iterdir()} == kept | {"keep me", "1-0", "01-1", "1-1x", "78-1"}
    assert not Path(lost.folder).exists()


async def test_no_lease_without_a_folder(queue: Queue, files: Path) -> None:
    job = await queue.submit(TEXTS, ANNA)
    files.write_text("not a folder")
    with pytest.raises(Transient, match="folder for results"):
        await queue.claim()
    assert await state(queue, job.id) == ("queued", 0)
    files.unlink()
    assert await queue.claim() is not None


async def test_a_closed_store_is_a_transient_failure(queue: Queue, store: Store) -> None:
    await store.close()
    with pytest.raises(Transient, match="closed"):
        await queue.submit(TEXTS, ANNA)
    with pytest.raises(Transient, match="closed"):
        await queue.idle()


async def test_a_job_that_can_no_longer_be_read_ends_with_a_sentence(queue: Queue, store: Store) -> None:
    old, good = await queue.submit(TEXTS, ANNA), await queue.submit(TEXTS, BEN)
    await store.write(lambda conn: conn.execute("UPDATE job SET args = '{}' WHERE id = ?", (old.id,)).rowcount)
    assert (await claim(queue)).job.id == good.id
    answer = await queue.next_answer("console")
    assert answer is not None
    assert (answer.job_id, answer.error_code) == (old.id, "unreadable")


# --- answers -----------------------------------------------------------------------------------------------------


async def test_p2_an_answer_half_sent_by_a_dead_process_comes_again_with_its_nonce(
    store: Store, files: Path, clock: FakeClock
) -> None:
    before = Queue(store, files, clock=clock)
    await before.submit(TEXTS, ANNA)
    await before.finish((await claim(before)).token, READ)
    first = await before.next_answer("console")
    assert first is not None
    assert await before.next_answer("console") is None  # one deliverer at a time

    after = Queue(store, files, clock=clock)
    assert after.answers.is_set()
    second = await after.next_answer("console")
    assert second is not None
    assert (second.id, second.nonce, second.attempt) == (first.id, first.nonce, first.attempt + 1)
    await before.answered(first.id, "late")  # the dead process is fenced here as well
    assert not await after.idle()
    await after.answered(second.id, "m")
    assert await after.idle()
    assert await after.next_answer("console") is None


async def test_a_failed_answer_is_given_out_again_when_due_or_never(queue: Queue, clock: FakeClock) -> None:
    await queue.submit(TEXTS, ANNA)
    await queue.finish((await claim(queue)).token, READ)
    first = await queue.next_answer("console")
    assert first is not None
    await queue.answer_failed(first.id, "429", 30.0)
    assert await queue.next_answer("console") is None
    clock.advance(30.0)
    second = await queue.next_answer("console")
    assert second is not None
    assert (second.id, second.nonce, second.attempt) == (first.id, first.nonce, 2)
    await queue.answer_failed(second.id, "the chat is gone", None)
    clock.advance(10_000.0)
    assert await queue.next_answer("console") is None
    assert await queue.idle()


async def test_answers_keep_to_their_platform(queue: Queue) -> None:
    await queue.submit(TEXTS, Asker("telegram", "anna", "kitchen"))
    await queue.finish((await claim(queue)).token, READ)
    assert await queue.next_answer("console") is None
    assert await queue.next_answer("telegram") is not None


async def test_a_result_that_can_no_longer_be_read_does_not_hold_up_the_others(queue: Queue, store: Store) -> None:
    for _ in range(2):
        await queue.submit(TEXTS, ANNA)
        await queue.finish((await claim(queue)).token, READ)
    await store.write(lambda conn: conn.execute("UPDATE job SET result = '{}' WHERE id = 1").rowcount)
    first, second = await queue.next_answer("console"), await queue.next_answer("console")
    assert first is not None
    assert second is not None
    assert (first.result, first.error_code, second.result) == (None, "unreadable", READ)
    assert first.incident
