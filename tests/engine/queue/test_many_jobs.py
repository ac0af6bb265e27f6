"""Many jobs, dead processes and answers on a real store; p1 to p12 name the promise that a test shows."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from db.store import Store, StoreError
from engine import folders, transactions
from engine import queue as module
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


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
async def test_p11_a_clock_that_jumped_over_a_restart_holds_no_job_and_no_answer_up(
    queue: Queue, store: Store, files: Path, clock: FakeClock, step_s: float
) -> None:
    """One job waits, one waits for its retry, one runs, one has an answer to be sent again."""
    answered, again, running, waiting = [await queue.submit(TEXTS, ANNA) for _ in range(4)]
    await queue.finish((await claim(queue)).token, READ)
    await queue.fail((await claim(queue)).token, Transient("busy"))
    assert (await claim(queue)).job.id == running.id
    answer = await queue.next_answer("console")
    assert answer is not None
    await queue.answer_failed(answer.id, "429", 5.0)

    after = Queue(store, files, clock=FakeClock(clock.now() + step_s), policy=ROOMY)
    assert await after.recover() == 1
    late = await after.next_answer("console")
    assert late is not None
    assert (late.job_id, late.nonce) == (answered.id, answer.nonce)
    assert {(await claim(after)).job.id for _ in range(3)} == {again.id, running.id, waiting.id}
    assert await after.recover() == 0  # and their leases last


async def test_a_sweep_of_many_folders_does_not_keep_the_store_from_others(
    queue: Queue, store: Store, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SWEPT_AT_ONCE", 10)
    for number in range(1, 201):
        (files / f"{number}-1").mkdir(parents=True)
    done, begun, loop = list[str](), asyncio.Event(), asyncio.get_running_loop()
    looked = transactions.sweep

    def look(*args: Any, **kwargs: Any) -> int:
        done.append("looked")
        loop.call_soon_threadsafe(begun.set)
        return looked(*args, **kwargs)

    monkeypatch.setattr(transactions, "sweep", look)
    sweeping = asyncio.create_task(queue.sweep())
    await begun.wait()
    await queue.submit(TEXTS, ANNA)
    assert len(done) < 10  # it did not wait for the end
    assert await sweeping == 200
    assert list(files.iterdir()) == []


async def test_all_folders_are_looked_through_at_the_start_only(
    queue: Queue, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.recover()
    monkeypatch.setattr(folders, "attempts", None)
    await queue.submit(TEXTS, ANNA)
    lease = await claim(queue)
    await queue.fail(lease.token, UserError("no"))
    await queue.recover()
    assert not Path(lease.folder).exists()


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


async def test_p3_an_answer_taken_for_a_deliverer_that_was_cancelled_goes_back(queue: Queue) -> None:
    await queue.submit(TEXTS, ANNA)
    await queue.finish((await claim(queue)).token, READ)
    taking = asyncio.create_task(queue.next_answer("console"))
    await asyncio.sleep(0)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert await queue.next_answer("console") is not None


@pytest.mark.parametrize("arrived", [True, False])
async def test_p2_what_became_of_an_answer_is_recorded_once_the_store_is_back(
    queue: Queue, store: Store, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    await queue.submit(TEXTS, ANNA)
    await queue.finish((await claim(queue)).token, READ)
    answer = await queue.next_answer("console")
    assert answer is not None

    async def full(_: object) -> None:
        raise StoreError("/srv/store.sqlite could not be written: the disk is full.", "the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", full)
        for _ in range(2):
            with pytest.raises(Transient, match="disk is full"):
                await (
                    queue.answered(answer.id, "m")
                    if arrived
                    else queue.answer_failed(answer.id, "The chat is gone.", None)
                )
        with pytest.raises(Transient, match="disk is full"):
            await queue.next_answer("console")
    assert not await queue.idle()
    assert await queue.next_answer("console") is None  # not a second time
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
