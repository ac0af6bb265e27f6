"""Many jobs, dead processes and answers on a real store; p1 to p12 name the promise that a test shows."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from db.store import Store
from engine.errors import Transient, UserError
from engine.jobs import (
    Asker,
    ComposeRequest,
    EmotionRequest,
    FileSource,
)
from engine.policy import Policy
from engine.queue import Queue
from tests.engine.queue.cases import ANNA, BEN, READ, ROOMY, TEXTS, claim, state
from tests.fakes.clock import FakeClock

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
    late = await queue.submit(TEXTS, ANNA, dedupe="update 7")  # redelivered after a long time
    assert (late.id, late.state) == (lease.job.id, "done")


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
    assert after.answers("console").is_set()
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
