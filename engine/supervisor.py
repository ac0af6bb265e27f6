"""Feeds the queue's jobs to worker processes and keeps those processes going. Knows nothing of what jobs do.

Who is to blame when a worker dies with jobs in it:
  * a job over its deadline, or one that did not obey a cancel, is why we killed it: the other jobs go back uncharged;
  * otherwise, a job that was alone is charged with the crash, and the policy allows it two of them;
  * otherwise nobody is charged: all go back as suspects, and until each suspect is over every worker does one job at
    a time. So the culprit crashes alone the next time, and is charged, while the others are done. A job takes part in
    at most one uncharged crash, unless it comes to the queue's front only after the program was started again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from engine.errors import Cancelled, Crashed, Transient, TuneTaleError, UserError, incident_id
from engine.jobs import Lease
from engine.music.audiocraft.environment import worker_command
from engine.pipe import BadFrame, Cancel, Done, Failed, FromWorker, Run, Stop, Working
from engine.process import LAST_WORDS_S, WorkerProcess
from engine.queue import Queue
from engine.settings import EngineSettings

log = logging.getLogger(__name__)

LONGEST_TICK_S = 1.0
"""A cancelled job and one past its deadline are noticed after so long at the latest."""
TICKS_PER_LEASE = 5
"""Heartbeats in the time of one lease."""
CANCEL_GRACE_S = 5.0
"""A cancelled job that still runs after so long takes its worker with it."""
STOP_GRACE_S = 2.0
"""A worker that was told to stop is killed after so long."""
FIRST_BACKOFF_S = 0.1
"""Pause before the first restart; doubled for each further one without a finished job in between."""
LONGEST_BACKOFF_S = 30.0
"""No pause before a restart is longer: somebody may be repairing what is broken."""
START_TRIES = 3
"""Failed starts in a row until those who wait are told."""


def backoff_s(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row. No jitter: the workers of one machine are few."""
    return 0.0 if failures == 0 else min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 30))


@dataclass(eq=False)
class _Worker:
    """A worker's place; its processes come and go."""

    process: WorkerProcess | None = None
    """The process, while it is ready for jobs or its jobs are not yet settled."""
    closing: bool = False
    """No more jobs for this process."""
    blameless: bool = False
    """We ended this process for a known reason, so its other jobs are not to blame."""
    silent_ticks: int = 0
    """Ticks since its last word. Counted, not timed: if we were stopped ourselves, its words wait in the pipe."""
    failed_starts: int = 0
    crashes: int = 0
    """Deaths since a job was last done."""
    trouble: TuneTaleError | None = None
    """Why it does not start, once that needs somebody's attention."""


@dataclass(eq=False)
class _Held:
    """A leased job in a worker."""

    lease: Lease
    worker: _Worker
    overdue_at: float
    overdue: bool = False
    given_up_at: float | None = None
    """When the worker was told that the lease does not hold any more."""
    ending: Callable[[], Awaitable[object]] | None = None
    """What tells the queue how it ended."""
    retry: bool = False
    """The store refused to hear of the end; tried again at each tick."""


class Supervisor:
    """`workers` processes made by `command`, each doing up to `settings.worker.slots` of the queue's jobs at a time.

    Without a `command` it is what the settings want; `UserError` when that is not installed. Use it from
    the main thread, whose end is the workers' end.
    """

    def __init__(
        self, queue: Queue, settings: EngineSettings, *, command: Sequence[str] | None = None, workers: int = 1
    ) -> None:
        self.models: dict[str, str] = {}
        """Names of the loaded models by stage, after `start`."""
        self._queue = queue
        self._settings = settings
        self._command = tuple(command or worker_command(settings))
        self._tick_s = min(LONGEST_TICK_S, settings.worker.lease_s / TICKS_PER_LEASE)
        self._workers = [_Worker() for _ in range(workers)]
        self._held: dict[str, _Held] = {}
        self._suspects: set[int] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._dispatcher: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self._stopping = False
        self._ended = False

    async def start(self) -> None:
        """Start the workers and then the work; returns when all models are loaded.

        Raises `UserError` with the worker's sentence when its models cannot be loaded as the settings ask, and
        `Crashed` when the process does not come up; nothing is left running then.
        """
        self._keepers = [asyncio.create_task(self._keep(worker)) for worker in self._workers]
        try:
            while not all(worker.process for worker in self._workers):
                self._raise_trouble(any)
                await self._change()
        except BaseException:
            await self.stop(0.0)
            raise
        self._dispatcher = asyncio.create_task(self._dispatch())

    async def until_idle(self) -> None:
        """Wait until nothing is queued or running and no answer is on its way.

        Raises what keeps the workers from starting, when none is left.
        """
        while not await self._queue.idle():
            self._raise_trouble(all)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._tick_s):  # answers are sent by others, who do not tell us
                    await self._change()

    async def stop(self, grace_s: float) -> None:
        """Claim nothing more, let running jobs go on for `grace_s`, give the others back uncharged, end the workers.

        A second call with less grace overtakes the first.
        """
        self._stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self._held:
                    await self._change()
        for worker, keeper in zip(self._workers, self._keepers, strict=False):
            worker.closing = worker.blameless = True
            if worker.process is None:
                keeper.cancel()
            else:
                worker.process.send(Stop())
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=STOP_GRACE_S)
            for worker in self._workers:
                if worker.process is not None:
                    worker.process.kill()
            await asyncio.wait(self._keepers)
        self._ended = True
        if self._dispatcher is not None:
            self._queue.work.set()
            await asyncio.wait([self._dispatcher])  # never cancelled: a claim would be made and nobody hear of it

    # --- processes ------------------------------------------------------------------------------------------------

    async def _keep(self, worker: _Worker) -> None:
        """Keep a process in a worker's place."""
        while not self._stopping:
            await asyncio.sleep(backoff_s(worker.failed_starts + worker.crashes))
            try:
                process = await WorkerProcess.start(self._command, self._settings)
            except TuneTaleError as error:
                worker.failed_starts += 1
                if isinstance(error, UserError) or worker.failed_starts >= START_TRIES:
                    worker.trouble = error
                self._moved.set()
                continue
            self.models = process.models
            worker.process, worker.closing, worker.blameless = process, self._stopping, self._stopping
            worker.silent_ticks, worker.failed_starts, worker.trouble = 0, 0, None
            self._moved.set()
            self._queue.work.set()
            await self._attend(worker, process)
            worker.process = None

    async def _attend(self, worker: _Worker, process: WorkerProcess) -> None:
        """Listen to a process until it is gone, and settle what it leaves behind."""
        listening = asyncio.create_task(self._listen(worker, process))
        exited = asyncio.create_task(process.exited())
        await asyncio.wait([listening, exited], return_when=asyncio.FIRST_COMPLETED)
        worker.closing = True
        process.kill()
        await exited
        await asyncio.wait([listening], timeout=LAST_WORDS_S)  # what it said before it died counts
        listening.cancel()
        status = await process.end()
        if not worker.blameless:
            worker.crashes += 1
            log.error("worker %d ended with status %d; its last lines:\n%s", process.pid, status, process.last_lines())
        await self._bury(worker)

    async def _listen(self, worker: _Worker, process: WorkerProcess) -> None:
        try:
            async for message in process.messages():
                worker.silent_ticks = 0
                await self._hear(worker, message)
        except BadFrame as error:
            log.error("worker %d is given up, what it says is no message: %s", process.pid, error)
        except Exception:  # whatever it is, the worker is ended and its jobs are settled by `_attend`
            log.exception("worker %d is given up, listening to it failed", process.pid)

    async def _hear(self, worker: _Worker, message: FromWorker) -> None:
        match message:
            case Working(token, progress):
                self._queue.note(token, progress)
            case Done(token, result):
                worker.crashes = 0
                await self._end(token, partial(self._queue.finish, token, result))
            case Failed(token):
                error, incident = _meant(message)
                await self._end(token, partial(self._queue.fail, token, error, incident=incident))
            case _:
                pass  # a sign of life

    async def _bury(self, worker: _Worker) -> None:
        """Settle the jobs that a dead process had."""
        left = [held for held in self._held.values() if held.worker is worker and held.ending is None]
        for held in left:
            token = held.lease.token
            if held.given_up_at is not None:
                end: Callable[[], Awaitable[object]] = _nothing
            elif held.overdue:
                end = partial(self._queue.fail, token, _overdue(self._settings.worker.deadline_s))
            elif worker.blameless:
                end = partial(self._queue.release, [token])
            elif len(left) == 1:
                end = partial(self._queue.fail, token, _crashed())
            else:
                self._suspects.add(held.lease.job.id)
                end = partial(self._queue.release, [token])
            await self._end(token, end)

    def _raise_trouble(self, among: Callable[[Iterable[bool]], bool]) -> None:
        """Raise what is wrong with a worker, if something is with `any` or `all` of them."""
        troubles = [worker.trouble for worker in self._workers]
        if among(trouble is not None for trouble in troubles):
            raise next(trouble for trouble in troubles if trouble is not None)

    async def _change(self) -> None:
        """Wait until a process came up or failed to, or a job ended."""
        self._moved.clear()
        await self._moved.wait()

    # --- jobs -----------------------------------------------------------------------------------------------------

    async def _dispatch(self) -> None:
        loop = asyncio.get_running_loop()
        tick_at = loop.time() + self._tick_s
        recover_at = loop.time() + self._settings.worker.lease_s
        while not self._ended:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(tick_at):
                    await self._queue.work.wait()
            self._queue.work.clear()
            now = loop.time()
            try:
                if now >= tick_at:
                    tick_at = now + self._tick_s
                    await self._tick(now)
                if now >= recover_at:
                    recover_at = now + self._settings.worker.lease_s
                    await self._queue.recover()
                await self._claim()
            except Transient as error:
                log.warning("the queue cannot be reached, trying again: %s", error)
            except Exception:  # a bug in one round must not leave every job that waits without a worker
                log.exception("a round of the dispatcher failed, going on")

    async def _tick(self, now: float) -> None:
        """Look after processes and leases."""
        for worker in self._workers:
            worker.silent_ticks += 1
            if worker.process and worker.silent_ticks * self._tick_s > self._settings.worker.lease_s:
                log.error("worker %d is given up, it has said nothing for its lease", worker.process.pid)
                self._kill(worker, blameless=False)
        for held in self._held.values():
            if held.ending is None and held.worker.process:
                held.overdue = held.given_up_at is None and now > held.overdue_at
                if held.overdue or (held.given_up_at is not None and now > held.given_up_at + CANCEL_GRACE_S):
                    log.error("worker %d is given up, job %d does not end", held.worker.process.pid, held.lease.job.id)
                    self._kill(held.worker, blameless=True)
        for token, held in tuple(self._held.items()):
            if held.retry and held.ending is not None:
                await self._end(token, held.ending)
        mine = [token for token, held in self._held.items() if held.given_up_at is None]
        holding = await self._queue.heartbeat(mine) if mine else frozenset()
        for token in mine:
            lost = None if token in holding else self._held.get(token)
            if lost is not None and lost.ending is None and lost.worker.process is not None:
                lost.given_up_at = now
                lost.worker.process.send(Cancel(token))

    async def _claim(self) -> None:
        """Give jobs to workers with room."""
        while (worker := await self._with_room()) is not None:
            lease = await self._queue.claim()
            if lease is None:
                return
            if self._stopping or worker.closing or worker.process is None:
                await self._queue.release([lease.token])
                continue
            try:
                worker.process.send(Run(lease.token, lease.job.request, lease.folder))
            except BadFrame:
                too_large = UserError("This request is too large to be worked on; send less at once.", code="too_large")
                await self._queue.fail(lease.token, too_large)
                continue
            overdue_at = asyncio.get_running_loop().time() + self._settings.worker.deadline_s
            self._held[lease.token] = _Held(lease, worker, overdue_at)

    async def _with_room(self) -> _Worker | None:
        """Return the worker with the fewest jobs that can take one more."""
        if self._stopping:
            return None
        for job_id in tuple(self._suspects):
            job = await self._queue.job(job_id)
            if job is None or job.state not in ("queued", "running"):
                self._suspects.discard(job_id)
        room = 1 if self._suspects else self._settings.worker.slots
        open_ = [worker for worker in self._workers if worker.process is not None and not worker.closing]
        worker = min(open_, key=self._load, default=None)
        return worker if worker is not None and self._load(worker) < room else None

    async def _end(self, token: str, ending: Callable[[], Awaitable[object]]) -> None:
        """Tell the queue how a job ended. Until the store has taken it in, the lease is kept."""
        held = self._held.get(token)
        if held is None:
            return
        held.ending, held.retry = ending, False
        try:
            await ending()
        except Transient as error:
            log.warning("the end of job %d could not be stored, trying again: %s", held.lease.job.id, error)
            held.retry = True
            return
        except Exception:  # the lease runs out, and the job is taken back
            log.exception("the end of job %d could not be stored", held.lease.job.id)
        self._held.pop(token, None)
        self._moved.set()
        self._queue.work.set()

    def _load(self, worker: _Worker) -> int:
        return sum(held.worker is worker for held in self._held.values())

    def _kill(self, worker: _Worker, *, blameless: bool) -> None:
        """End a process; `_attend` notices."""
        assert worker.process is not None
        if not worker.closing:
            worker.closing, worker.blameless = True, blameless
        worker.process.kill()


def _meant(failed: Failed) -> tuple[TuneTaleError, str | None]:
    """Return the error that a worker reports, and the incident if it is our fault."""
    match failed.kind:
        case "user":
            return UserError(failed.message, code=failed.code), None
        case "transient":
            return Transient(failed.message, code=failed.code), None
        case "crashed":
            return Crashed(failed.message, code=failed.code), None
        case "cancelled":
            return Cancelled(failed.message), None
        case "bug":
            incident = incident_id()
            log.error("incident %s: %s", incident, failed.trace)
            return TuneTaleError("Something went wrong on our side.", code="bug"), incident


def _crashed() -> Crashed:
    return Crashed("The worker process ended while it worked on this request, so the request was given up.")


def _overdue(deadline_s: float) -> Crashed:
    return Crashed(f"The work was not done after {deadline_s:g} s, so the request was given up.", code="deadline")


async def _nothing() -> None:
    """The queue knows already: it took the lease away."""
