"""The twelve promises of the queue, one test each. `docs/reliability.md` says how each is kept."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from bot import commands
from bot.contract import Posted
from bot.follow import CHAT_GAP_S
from bot.replies import explain
from db.store import Store, check
from engine.backup import back_up, restore
from engine.errors import Crashed, UserError
from engine.jobs import Asker, ComposeRequest, EmotionRequest, FileSource, Job, Platform, Progress
from engine.policy import Policy
from engine.queue import Queue
from engine.service import files_folder
from tests.engine.queue.cases import ANNA, BEN, READ, ROOMY, TEXTS, claim, state
from tests.fakes import chat
from tests.fakes.clock import FakeClock
from tests.fakes.director import Director, directing


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


EMOTION = EmotionRequest(FileSource("/a.mp3", "a.mp3"))


@asynccontextmanager
async def queue_in(folder: Path, policy: Policy = ROOMY, clock: FakeClock | None = None) -> AsyncIterator[Queue]:
    """Open a queue as a start of the program does."""
    async with await Store.open(folder / "store.sqlite") as store:
        queue = Queue(store, files_folder(folder / "store.sqlite"), clock=clock, policy=policy)
        await queue.recover()
        yield queue


def dump(folder: Path) -> list[str]:
    """Return all that is in the store."""
    with closing(sqlite3.connect(folder / "store.sqlite")) as conn:
        return list(conn.iterdump())


def accept_until_killed(folder: Path) -> list[int]:
    """Return the jobs of whose acceptance a program has told before it was killed."""
    command = [sys.executable, "-c", SUBMIT_FOR_EVER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(200)]
        child.send_signal(signal.SIGKILL)
        return told + [int(line) for line in child.stdout if line.endswith("\n")]


SUBMIT_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from tests.engine.queue.cases import TEXTS
from tests.promises.test_promises import Asker, queue_in

async def main():
    async with queue_in(Path(sys.argv[1])) as queue:
        async def forever(person):
            for i in range(10**9):
                job = await queue.submit(TEXTS, Asker("console", str(person), "kitchen"), dedupe=f"{person}-{i}")
                print(job.id, flush=True)
        await asyncio.gather(*(forever(person) for person in range(8)))

asyncio.run(main())
"""


async def test_p01_accepted_means_kept(tmp_path: Path) -> None:
    """Whoever was told "accepted" finds the job after kill -9 of a program that was accepting."""
    told = await asyncio.to_thread(accept_until_killed, tmp_path)
    async with queue_in(tmp_path) as queue:
        assert [await state(queue, job_id) for job_id in told] == [("queued", 0)] * len(told)


async def test_p02_effect_once(tmp_path: Path) -> None:
    """A result is stored once however often it is reported, and its answer is seen once however often it is sent."""
    async with queue_in(tmp_path) as queue:
        await queue.submit(TEXTS, ANNA)
        token = (await claim(queue)).token
        assert sum(await asyncio.gather(*(queue.finish(token, READ) for _ in range(5)))) == 1
        first = await queue.next_answer("console")  # sent, but the program dies before it is recorded
    async with queue_in(tmp_path) as queue:
        second = await queue.next_answer("console")
        assert first is not None
        assert second is not None
        assert (second.nonce, second.result) == (first.nonce, READ)  # the platform shows this nonce once
        await queue.answered(second.id, "m")
    async with queue_in(tmp_path) as queue:
        assert await queue.next_answer("console") is None


async def test_p03_no_job_is_lost_or_stuck(tmp_path: Path, clock: FakeClock) -> None:
    """Worker after worker and program after program dies with jobs in it; each job ends, with a result or a reason."""
    async with queue_in(tmp_path, clock=clock) as queue:
        jobs = [await queue.submit(TEXTS, Asker("console", str(i), "kitchen")) for i in range(12)]
    for round_ in range(3):  # the program dies with all that it has claimed
        async with queue_in(tmp_path, clock=clock) as queue:
            for _ in range(4 + round_):
                await claim(queue)
    async with queue_in(tmp_path, clock=clock) as queue:
        for number in range(60):  # every other worker falls silent
            while (lease := await queue.claim()) is not None:
                if number % 2:
                    await queue.finish(lease.token, READ)
            clock.advance(20.0)
            await queue.recover()
        for job in [await queue.job(job.id) for job in jobs]:
            assert job is not None
            assert job.state == "done" or (job.state == "dead" and job.error_message)
        answers = 0
        while (answer := await queue.next_answer("console")) is not None:
            await queue.answered(answer.id, None)
            answers += 1
        assert answers == len(jobs)
        assert await queue.idle()


async def test_p04_a_stale_worker_changes_nothing(tmp_path: Path, clock: FakeClock) -> None:
    """Nothing that a lease that was lost can say changes a single row, before and after the job's end."""
    async with queue_in(tmp_path, clock=clock) as queue:
        await queue.submit(TEXTS, ANNA)
        stale = (await claim(queue)).token
        clock.advance(15.1)
        await queue.recover()
        clock.advance(1.0)
        rightful = (await claim(queue)).token
        deeds: list[Callable[[], Awaitable[Any]]] = [
            lambda: queue.finish(stale, READ),
            lambda: queue.fail(stale, UserError("no")),
            lambda: queue.fail(stale, Crashed("no")),
            lambda: queue.heartbeat([stale]),
            lambda: queue.release([stale]),
        ]
        for _ in range(2):
            before = dump(tmp_path)
            for deed in deeds:
                assert not await deed()
                assert dump(tmp_path) == before
            await queue.finish(rightful, READ)


async def test_p05_a_hung_job_ends_and_two_crashes_are_the_end(tmp_path: Path, clock: FakeClock) -> None:
    """A heartbeat does not carry a job past its deadline; the second crash is told with a sentence and an incident."""
    async with queue_in(tmp_path, clock=clock) as queue:
        job = await queue.submit(TEXTS, ANNA)
        for attempt in (1, 2):
            lease = await claim(queue)
            while await queue.heartbeat([lease.token]):
                clock.advance(10.0)
                await queue.recover()
            assert 300.0 <= clock.now() - (lease.deadline - 300.0) <= 330.0
            assert await state(queue, job.id) == (("queued", 1) if attempt == 1 else ("dead", 2))
            clock.advance(1.0)
        answer = await queue.next_answer("console")
        assert answer is not None
        assert answer.error_code == "crashed"
        assert str(answer.error_message).endswith(".")
        assert answer.incident


async def test_p06_fair_across_people_platforms_and_kinds(tmp_path: Path) -> None:
    """With 500 jobs of one person in front, nobody waits for more than one of them per kind, wherever they ask."""
    platforms: tuple[Platform, ...] = ("discord", "telegram", "console")
    async with queue_in(tmp_path) as queue:
        flood = Asker("discord", "flood", "lake")
        await asyncio.gather(*(queue.submit(TEXTS if i % 2 else EMOTION, flood) for i in range(500)))
        wanted: list[Job] = []
        for i in range(9):  # the flood's own name on another platform is somebody else
            wanted.append(await queue.submit(EMOTION, Asker(platforms[i % 3], str(i), "lake")))
            wanted.append(await queue.submit(TEXTS, Asker(platforms[i % 3], str(i), "lake")))
        wanted.append(await queue.submit(TEXTS, Asker("telegram", "flood", "lake")))
        order = [(await claim(queue)).job for _ in range(len(wanted) + 2)]
    assert {job.id for job in wanted} <= {job.id for job in order}
    of_flood = [job.request.kind for job in order if job.asker == flood]
    assert sorted(of_flood) == ["emotion", "text_emotion"]


@pytest.mark.parametrize(
    ("policy", "code", "english", "chinese"),
    [
        (Policy(per_person=2), "quota_person", "2 requests waiting, and 2 is the most for one person", "每人最多 2 個"),
        (Policy(per_chat=2), "quota_chat", "2 requests waiting, and 2 is the most for one chat", "最多 2 個"),
        (Policy(total=2), "quota_total", "2 requests waiting, and 2 is the most it accepts", "最多接受 2 個"),
        (Policy(work_s=90.0), "quota_work", "2 minutes of work within an hour, and 1.5 is the most", "用了 2 分鐘"),
    ],
)
async def test_p07_bounded_and_refused_with_numbers(
    tmp_path: Path, clock: FakeClock, policy: Policy, code: str, english: str, chinese: str
) -> None:
    async with queue_in(tmp_path, policy, clock) as queue:
        await queue.submit(TEXTS, ANNA)
        await queue.submit(TEXTS, ANNA)
        if code == "quota_work":
            for _ in range(2):
                lease = await claim(queue)
                clock.advance(60.0)
                await queue.finish(lease.token, READ)
        before = dump(tmp_path)
        with pytest.raises(UserError) as refused:
            await queue.submit(TEXTS, ANNA)
        assert dump(tmp_path) == before
        assert refused.value.code == code
        assert english in refused.value.message
        assert chinese in explain("zh-TW", code, refused.value.message)


async def test_p08_the_same_request_twice_is_one_job(tmp_path: Path) -> None:
    """Fifty at once, while it runs, after a restart, and long after it was done."""
    ids = set()
    async with queue_in(tmp_path) as queue:
        ids |= {job.id for job in await asyncio.gather(*(queue.submit(TEXTS, BEN, dedupe="7") for _ in range(50)))}
        await claim(queue)
        ids.add((await queue.submit(TEXTS, BEN, dedupe="7")).id)
    async with queue_in(tmp_path) as queue:
        ids.add((await queue.submit(TEXTS, BEN, dedupe="7")).id)
        await queue.finish((await claim(queue)).token, READ)
        ids.add((await queue.submit(TEXTS, BEN, dedupe="7")).id)
        assert await queue.claim() is None
    assert len(ids) == 1


@asynccontextmanager
async def hall(folder: Path, *requests: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the program until its platform is up."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.promises.hall", str(folder / "store.sqlite"), *requests,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"up\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
async def test_p09_a_stop_is_clean(tmp_path: Path, signals: int, busy: bool) -> None:
    """SIGTERM to the real program: a running job ends and its answer goes out; a second signal gives it back unharmed.
    Either way the exit code is 0, no worker is left, and the store is one file."""
    async with directing() as director:
        requests = [request(director, "a"), request(director, "b"), request(director, "c")] if busy else []
        async with hall(tmp_path, *requests) as process:
            calls = [await director.call(name) for name in "ab"] if busy else []
            process.send_signal(signal.SIGTERM)
            assert process.stdout is not None
            assert await process.stdout.readline() == b"stopping\n"
            if signals == 1:
                for call in calls:
                    await call.obeyed("report write 0.5")  # it goes on
                    call.order("return")
            else:
                with suppress(ProcessLookupError):  # it may have ended already
                    process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0
            said = (await process.stdout.read()).decode()
            for call in calls:
                await call.over()
            assert not director.called("c")
    if signals == 1:
        assert said == f"letters {2 if busy else 0}\n"
    assert not (tmp_path / "store.sqlite-wal").exists()
    async with queue_in(tmp_path) as queue:
        found = [await state(queue, job_id) for job_id in (1, 2, 3)] if busy else []
    finished = ("done", 1) if signals == 1 else ("queued", 0)
    assert found == ([finished, finished, ("queued", 0)] if busy else [])


def request(director: Director, name: str) -> str:
    asked = director.request(name)
    assert isinstance(asked, ComposeRequest)
    return asked.text


async def test_p10_cancel_works_in_every_state_and_never_posts(tmp_path: Path) -> None:
    async with chat.room(tmp_path) as here:
        queued, running, done = [
            (await commands.compose(here.desk, who, chat.GROUP, "A calm day.")).job
            for who in (chat.ANNA, chat.BEN, chat.MEI)
        ]
        assert queued is not None and running is not None and done is not None
        assert await here.queue.cancel(queued)
        lease, other = await here.claim(), await here.claim()
        assert (lease.job.id, other.job.id) == (running, done)
        await here.queue.finish(other.token, chat.make(other))
        assert [await here.queue.cancel(job) for job in (running, done)] == [True, False]
        assert not await here.queue.finish(lease.token, chat.make(lease))
        assert await here.deliver() == 1
        assert len(here.messenger.letters) == 1
        assert [await here.queue.cancel(job) for job in (queued, running, done)] == [False] * 3
        assert [(await state(here.queue, job))[0] for job in (queued, running, done)] == [
            "cancelled",
            "cancelled",
            "done",
        ]


async def test_p11_a_restart_is_boring(tmp_path: Path) -> None:
    """Place in the queue, progress message, button and votes are where they were."""
    async with chat.room(tmp_path) as here:
        assert (await commands.compose(here.desk, chat.ANNA, chat.GROUP, "A calm day.")).job == 1
        await here.finish()
        await here.deliver()
        await here.desk.ballots.vote(chat.BEN, 1, 4, scope_id=None)
        people = (chat.ANNA, chat.BEN, chat.MEI)
        waiting = [(await commands.compose(here.desk, who, chat.GROUP, "Rain.")).job for who in people]
        for job in waiting:
            await here.desk.posted(job, Posted("-100", f"progress of {job}"), "en")
        places = [await here.queue.position(job) for job in waiting if job is not None]
    async with chat.room(tmp_path) as here:
        assert [await here.queue.position(job) for job in waiting if job is not None] == places
        lease = await here.claim()
        here.queue.note(lease.token, Progress("compose", 0.4))
        for _ in waiting:
            here.clock.advance(CHAT_GAP_S)
            await here.follower.look()
        edited = {posted.message: chat.texts(reply) for posted, reply in here.messenger.edits}
        assert "40" in edited[f"progress of {lease.job.id}"]
        await here.queue.finish(lease.token, chat.make(lease))
        await here.deliver()
        (letter,) = here.messenger.letters  # the first answer does not come again
        assert letter.progress == Posted("-100", f"progress of {lease.job.id}")
        await here.desk.ballots.vote(chat.BEN, 1, 5, scope_id=None)  # changes the vote from before
        kept = await here.desk.ledger.read(lambda conn: conn.execute("SELECT score FROM vote").fetchall())
        assert kept == [(5,)]


async def test_p12_a_backup_taken_under_load_restores_and_works(tmp_path: Path) -> None:
    """Copied while jobs come, run and end with files; restored elsewhere it is whole, and every job in it ends."""
    (tmp_path / "live").mkdir()
    path = tmp_path / "live" / "store.sqlite"
    async with queue_in(tmp_path / "live") as queue:
        busy = True

        async def work() -> None:
            while busy:
                await asyncio.gather(*(queue.submit(TEXTS, ANNA) for _ in range(5)))
                for _ in range(4):
                    lease = await claim(queue)
                    (Path(lease.folder) / "artefact").write_bytes(b"x" * 1_000)
                    await queue.finish(lease.token, READ)

        working = asyncio.create_task(work())
        for number in range(3):
            copied = await back_up(path, tmp_path / f"{number}.tar")
            assert copied.bytes > 0
        busy = False
        await working
    for number in range(3):
        home = tmp_path / f"restored-{number}"
        home.mkdir()
        restore(tmp_path / f"{number}.tar", home / "store.sqlite", "x")
        check(home / "store.sqlite")  # integrity_check and foreign_key_check
        async with queue_in(home) as queue:
            while (lease := await queue.claim()) is not None:
                await queue.finish(lease.token, READ)
            while (answer := await queue.next_answer("console")) is not None:
                assert answer.folder is not None
                assert Path(answer.folder).is_dir()
                await queue.answered(answer.id, None)
            assert await queue.idle()
