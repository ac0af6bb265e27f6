"""What a worker says, heard from a thread; its life as a process is tested in `test_process`."""

from __future__ import annotations

import asyncio
import errno
import gc
import math
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from engine import pipe, worker
from engine.errors import Cancelled, Crashed, Transient, UserError
from engine.jobs import ComposeRequest, Progress, Request, Result, Sentence, TextEmotionResult
from engine.pipe import Alive, BadFrame, Cancel, Done, Failed, Ready, Run, Start, Stop, Unable, Working
from engine.report import Report
from engine.settings import EngineSettings, WorkerSettings
from tests.fakes.director import PATIENCE_S

Job = Callable[[str, Report], Result]

RESULT = TextEmotionResult(models={}, sentences=(Sentence("a", 0.5, -0.5),))
START = Start(EngineSettings(worker=WorkerSettings(slots=2, start_timeout_s=PATIENCE_S)))


class Jobs:
    """A pipeline of one function of the request's text."""

    models = MappingProxyType({"composer": "c"})

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, request: Request, folder: Path, report: Report) -> Result:
        assert isinstance(request, ComposeRequest)
        return self.job(request.text, report)


class Line:
    """The main process's end of the pipe to a worker that runs in a thread."""

    def __init__(self, load: worker.Load) -> None:
        self.died: list[int] = []
        to_read, self._to = os.pipe()
        self._from, from_write = os.pipe()
        self.inbox, self.outbox = os.fdopen(to_read, "rb"), os.fdopen(from_write, "wb")
        self.heard = asyncio.StreamReader()
        self.serving = asyncio.create_task(asyncio.to_thread(self._serve, load))

    def _serve(self, load: worker.Load) -> int:
        with self.inbox:
            return worker.serve(load, self.inbox, self.outbox, die=self.died.append)

    async def open(self) -> None:
        protocol = asyncio.StreamReaderProtocol(self.heard)
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: protocol, os.fdopen(self._from, "rb")
        )

    def say(self, message: pipe.ToWorker) -> None:
        os.write(self._to, pipe.frame_to_worker(message))

    def run(self, token: str, text: str = "") -> None:
        self.say(Run(token, ComposeRequest(text), "/nowhere"))

    async def hear(self) -> pipe.FromWorker:
        """Return the next message that is more than a sign of life."""
        async with asyncio.timeout(PATIENCE_S):
            while isinstance(message := await self.hear_any(), Alive):
                pass
        return message

    async def hear_any(self) -> pipe.FromWorker:
        message = await pipe.read_from_worker(self.heard)
        assert message is not None
        return message

    async def status(self) -> int:
        return await asyncio.wait_for(asyncio.shield(self.serving), PATIENCE_S)

    async def close(self) -> None:
        os.close(self._to)
        await asyncio.wait([self.serving])
        self.outbox.close()
        self._transport.close()


@asynccontextmanager
async def serving(load: worker.Load) -> AsyncIterator[Line]:
    line = Line(load)
    await line.open()
    try:
        yield line
    finally:
        await line.close()


@asynccontextmanager
async def working(job: Job) -> AsyncIterator[Line]:
    """Give the line to a worker that is ready to do `job`."""
    async with serving(lambda settings: Jobs(job)) as line:
        line.say(START)
        ready = await line.hear()
        assert isinstance(ready, Ready)
        assert ready.models == Jobs.models
        yield line


def raising(error: BaseException) -> Job:
    def job(text: str, report: Report) -> Result:
        raise error

    return job


# --- what it says --------------------------------------------------------------------------------------------------


async def test_jobs_run_side_by_side_up_to_the_slots() -> None:
    together = threading.Barrier(2)

    def job(text: str, report: Report) -> Result:
        together.wait(PATIENCE_S)
        return TextEmotionResult(models={}, sentences=(Sentence(text, None, None),))

    async with working(job) as line:
        line.run("1", "a")
        line.run("2", "b")
        ends = [await line.hear(), await line.hear()]
    found = {end.token: end.result for end in ends if isinstance(end, Done)}
    assert {token: getattr(result, "sentences", None) for token, result in found.items()} == {
        "1": (Sentence("a", None, None),),
        "2": (Sentence("b", None, None),),
    }


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (UserError("Do that.", code="cannot"), "user", "cannot"),
        (Transient("Not now."), "transient", "transient"),
        (Crashed("A child was killed."), "crashed", "crashed"),
        (Cancelled(), "cancelled", "cancelled"),
        (ValueError("boom"), "bug", "bug"),
        (SystemExit(3), "bug", "bug"),
        (UnicodeEncodeError("utf-8", "\ud83c", 0, 1, "surrogates not allowed"), "bug", "bug"),
        (UserError("There is no file named \udcff."), "user", "bad_input"),
        (OSError(errno.ENOSPC, "No space left on device"), "transient", "disk_full"),
        (OSError(errno.EFBIG, "File too large"), "transient", "disk_full"),
    ],
    ids=repr,
)
async def test_each_failure_has_its_kind_and_the_worker_lives_on(error: BaseException, kind: str, code: str) -> None:
    async with working(raising(error)) as line:
        for token in ("1", "2"):
            line.run(token)
            end = await line.hear()
            assert isinstance(end, Failed)
            assert (end.token, end.kind, end.code) == (token, kind, code)
            assert ("Traceback" in end.trace) == (kind == "bug")
        assert line.died == []


async def test_a_result_that_is_none_is_a_bug_where_it_was_made() -> None:
    def job(text: str, report: Report) -> Result:
        return TextEmotionResult(models={}, sentences=(), elapsed_s={"read": math.nan})

    async with working(job) as line:
        line.run("1")
        end = await line.hear()
    assert isinstance(end, Failed)
    assert end.kind == "bug"
    assert "elapsed_s" in end.message


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000000000000 bytes."),
        RuntimeError("CUDA error: device-side assert triggered"),
    ],
    ids=repr,
)
async def test_a_spent_process_ends(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    async with working(raising(error)) as line:
        line.run("1")
        await line.hear()
        assert line.died == [worker.EXIT_SPENT]
    assert "Traceback" in caplog.text


def test_spent_is_seen_through_other_errors_but_not_through_a_sentence() -> None:
    def chained(error: Exception) -> Exception:
        try:
            raise error from MemoryError()
        except Exception as raised:
            return raised

    assert worker.is_spent(chained(ValueError("no picture")))
    assert not worker.is_spent(chained(UserError("The picture is too large.")))
    assert not worker.is_spent(RuntimeError("out of ideas"))
    assert not worker.is_spent(OSError(errno.ENOSPC, "No space left on device"))


async def test_a_cancelled_job_stops_at_its_next_report_and_one_that_waits_does_not_begin() -> None:
    begun: list[str] = []
    breath = threading.Event()

    def job(text: str, report: Report) -> Result:
        begun.append(text)
        while True:
            report("write", 0.5)
            breath.wait(0.001)

    async with working(job) as line:
        for token in ("1", "2", "3"):  # two slots
            line.run(token, token)
        for token in ("unknown", "3", "2", "1"):
            line.say(Cancel(token))
        ends: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            while len(ends) < 3:
                message = await line.hear()
                if isinstance(message, Failed):
                    ends[message.token] = message.kind
        assert ends == dict.fromkeys(("1", "2", "3"), "cancelled")
        assert "3" not in begun


async def test_it_shows_that_it_is_alive_while_it_loads() -> None:
    go = threading.Event()

    def load(settings: EngineSettings) -> Jobs:
        assert go.wait(PATIENCE_S)
        return Jobs(raising(AssertionError()))

    async with serving(load) as line:
        line.say(START)
        assert await line.hear_any() == Alive()
        go.set()
        assert isinstance(await line.hear(), Ready)


async def test_it_gets_the_settings_and_says_why_it_cannot_load() -> None:
    def load(settings: EngineSettings) -> Jobs:
        assert settings == START.settings
        raise UserError("There is no model.", code="no_model")

    async with serving(load) as line:
        line.say(START)
        assert await line.hear() == Unable("no_model", "There is no model.")
        assert await line.status() == worker.EXIT_UNABLE


@pytest.mark.parametrize("messages", [(Stop(),), (START, START)])
async def test_it_starts_once_and_first(messages: tuple[pipe.ToWorker, ...]) -> None:
    async with serving(lambda settings: Jobs(raising(AssertionError()))) as line:
        for message in messages:
            line.say(message)
        with pytest.raises(BadFrame, match="start"):
            await line.status()


async def test_a_main_process_that_is_gone_before_the_start_is_no_error() -> None:
    async with serving(lambda settings: Jobs(raising(AssertionError()))) as line:
        pass
    assert await line.status() == 0


def test_what_is_loaded_is_left_alone_by_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    models = Jobs(raising(AssertionError()))
    monkeypatch.setattr("engine.pipeline.load_pipeline", lambda settings: models)
    try:
        assert worker._load(START.settings) is models
        assert not any(models is tracked for tracked in gc.get_objects())
    finally:
        gc.unfreeze()
    assert any(models is tracked for tracked in gc.get_objects())


# --- how often it reports ------------------------------------------------------------------------------------------


def reporter() -> tuple[worker._Reporter, list[Progress], list[float]]:
    sent: list[Progress] = []
    time = [100.0]
    return worker._Reporter(sent.append, lambda: time[0]), sent, time


def test_a_thousand_reports_in_a_second_are_ten_and_the_last() -> None:
    report, sent, time = reporter()
    for step in range(1000):
        report("write", step / 1000)
        time[0] += 0.001
    assert 10 <= len(sent) <= 11
    report.flush()
    assert sent[-1] == Progress("write", 0.999)
    report.flush()
    assert len(sent) <= 12


def test_a_new_stage_is_told_at_once() -> None:
    report, sent, _ = reporter()
    for stage in ("decode", "listen", "write"):
        report(stage, 0.0)
        report(stage, 0.5)
    assert [progress.stage for progress in sent] == ["decode", "listen", "write"]


def test_a_fraction_is_between_0_and_1() -> None:
    report, sent, time = reporter()
    for fraction in (-1.0, 1.0000001, math.nan):
        report("write", fraction)
        time[0] += 1.0
    assert [progress.fraction for progress in sent] == [0.0, 1.0, 0.0]


def test_a_cancelled_report_raises_and_sends_nothing() -> None:
    report, sent, _ = reporter()
    report.cancelled.set()
    with pytest.raises(Cancelled):
        report("write", 0.5)
    assert sent == []


async def test_the_last_report_comes_before_the_end() -> None:
    def job(text: str, report: Report) -> Result:
        report("write", 0.0)
        report("write", 1.0)
        return RESULT

    async with working(job) as line:
        line.run("1")
        assert [await line.hear() for _ in range(3)] == [
            Working("1", Progress("write", 0.0)),
            Working("1", Progress("write", 1.0)),
            Done("1", RESULT),
        ]
