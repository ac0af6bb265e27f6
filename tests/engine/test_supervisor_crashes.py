"""Workers that crash, hang or talk nonsense, and a store in trouble: nothing is lost, only the guilty are charged."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from engine import supervisor as module
from engine.errors import Transient
from tests.fakes.director import PATIENCE_S
from tests.fakes.house import POLICY, house


@pytest.fixture(autouse=True)
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr(module, "CANCEL_GRACE_S", 0.2)


# --- crashes -------------------------------------------------------------------------------------------------------


async def test_p3_a_killed_workers_job_is_done_after_the_restart_once(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        (job_id,) = await at.ask("a")
        before = await at.director.call("a")
        os.kill(before.pid, signal.SIGKILL)
        after = await at.director.call("a")
        assert after.pid != before.pid
        assert after.folder != before.folder
        after.order("return")
        await at.done_once(job_id)


async def test_p5_a_job_that_crashes_its_worker_twice_is_dead_with_a_sentence(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        (job_id,) = await at.ask("a")
        for order in ("die", "eat"):  # killed, and out of memory
            (await at.director.call("a")).order(order)
        job = await at.over(job_id)
        assert (job.state, job.error_code, job.attempt) == ("dead", "crashed", 2)
        assert str(job.error_message).endswith("so the request was given up.")
        (answer,) = await at.answers()
        assert answer.incident is not None


async def test_a_job_whose_child_is_killed_twice_is_dead_and_its_neighbour_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        (neighbour_id,) = await at.ask("neighbour")
        neighbour = await at.director.call("neighbour")
        (job_id,) = await at.ask("a")
        for _ in range(POLICY.crashes):
            a = await at.director.call("a")
            assert a.pid == neighbour.pid
            a.order("child")
        job = await at.over(job_id)
        assert (job.state, job.error_code, job.attempt) == ("dead", "crashed", 2)
        neighbour.order("return")
        assert (await at.over(neighbour_id)).state == "done"


async def test_the_culprit_is_found_and_the_innocent_is_not_charged(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        guilty, innocent = await at.ask("guilty", "innocent")
        first, _ = await at.director.call("guilty"), await at.director.call("innocent")
        first.order("die")
        second = await at.director.call("guilty")  # alone now
        await second.obeyed("report write 0.5")
        assert not at.director.called("innocent")
        second.order("die")
        (await at.director.call("guilty")).order("die")
        (await at.director.call("innocent")).order("return")
        dead, done = await at.over(guilty), await at.over(innocent)
        assert (dead.state, dead.attempt) == ("dead", 2)
        assert (done.state, done.attempt) == ("done", 1)
        ids = await at.ask("c", "d")  # and then again two at once
        c, d = await at.director.call("c"), await at.director.call("d")
        c.order("return")
        d.order("return")
        assert [(await at.over(job_id)).state for job_id in ids] == ["done", "done"]


@pytest.mark.parametrize("mode", ["garbage", "huge"])
async def test_a_worker_that_talks_nonsense_is_replaced(tmp_path: Path, mode: str) -> None:
    async with house(tmp_path, mode) as at:
        (job_id,) = await at.ask("a")
        job = await at.over(job_id)
        assert (job.state, job.error_code) == ("dead", "crashed")


async def test_p4_a_stopped_worker_loses_its_job(tmp_path: Path) -> None:
    async with house(tmp_path, lease_s=1.5) as at:
        (job_id,) = await at.ask("a")
        before = await at.director.call("a")
        os.kill(before.pid, signal.SIGSTOP)
        after = await at.director.call("a")
        await before.over()
        assert after.pid != before.pid
        after.order("return")
        await at.done_once(job_id)


async def test_p5_a_hung_job_ends_at_its_deadline(tmp_path: Path) -> None:
    async with house(tmp_path, lease_s=1.0, deadline_s=0.6) as at:
        (hung,) = await at.ask("a")
        for _ in range(POLICY.crashes):
            a = await at.director.call("a")
            a.order("hang")
            await a.over()
        job = await at.over(hung)
        assert (job.state, job.error_code) == ("dead", "deadline")
        assert job.error_message == "The work was not done after 0.6 s, so the request was given up."


async def test_the_neighbour_of_a_hung_job_is_not_charged(tmp_path: Path) -> None:
    async with house(tmp_path, lease_s=1.0) as at:
        hung, other = await at.ask("a", "b")
        a, before = await at.director.call("a"), await at.director.call("b")
        a.order("hang")
        (held,) = (held for held in at.supervisor._held.values() if held.lease.job.id == hung)
        held.overdue_at = 0.0
        await a.over()
        after = await at.director.call("b")
        assert after.pid != before.pid
        after.order("return")
        job = await at.over(other)
        assert (job.state, job.attempt) == ("done", 1)
        (await at.director.call("a")).order("return")  # and it has its second chance
        assert (await at.over(hung)).attempt == 2


async def test_a_main_process_that_slept_past_the_lease_does_not_blame_the_worker(tmp_path: Path) -> None:
    async with house(tmp_path, lease_s=1.0) as at:
        (job_id,) = await at.ask("a")
        a = await at.director.call("a")
        threading.Event().wait(1.3)  # the whole process, event loop and all
        await a.obeyed("report write 0.5")
        await asyncio.sleep(2 * at.supervisor._tick_s)
        a.order("return")
        await at.done_once(job_id)
        job = await at.queue.job(job_id)
        assert job is not None
        assert job.attempt == 1


# --- the store in trouble ------------------------------------------------------------------------------------------


class Refusing:
    """Stands before a method of the queue and lets it fail the first time."""

    def __init__(self, method: Callable[..., Awaitable[object]], error: Exception) -> None:
        self.method = method
        self.error = error
        self.refused = asyncio.Event()

    async def __call__(self, *args: object, **kwargs: object) -> object:
        if not self.refused.is_set():
            self.refused.set()
            raise self.error
        return await self.method(*args, **kwargs)


@pytest.mark.parametrize(("order", "method"), [("return", "finish"), ("die", "fail")])
async def test_p2_an_end_that_the_store_refused_is_told_again(
    tmp_path: Path, order: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, lease_s=1.0) as at:
        refusing = Refusing(getattr(at.queue, method), Transient("The disk is full."))
        monkeypatch.setattr(at.queue, method, refusing)
        (job_id,) = await at.ask("a")
        (await at.director.call("a")).order(order)
        if order == "die":
            (await at.director.call("a")).order("return")
        await at.done_once(job_id)
        assert refusing.refused.is_set()


@pytest.mark.parametrize("error", [Transient("The disk is full."), RuntimeError("a bug")], ids=repr)
async def test_work_goes_on_after_trouble_with_the_queue(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, lease_s=0.75) as at:
        doors = [Refusing(getattr(at.queue, method), error) for method in ("claim", "heartbeat", "recover")]
        for door in doors:
            monkeypatch.setattr(at.queue, door.method.__name__, door)
        (job_id,) = await at.ask("a")
        a = await at.director.call("a")
        for door in doors:
            await asyncio.wait_for(door.refused.wait(), PATIENCE_S)
        a.order("return")
        await at.done_once(job_id)
