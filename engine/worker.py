"""A worker process: loads the models once, then does several jobs at a time. Knows no queue, no store and no person.

It speaks `engine.pipe` on what were its standard input and output when it was started. It lives on after a bug in a
job, and ends when its memory is spent or its device is broken (nothing after that could be trusted), when the main
process says so, and when the main process dies.
"""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import gc
import io
import logging
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol

from engine import pipe
from engine.errors import NO_ROOM, Cancelled, Crashed, Transient, TuneTaleError, UserError, disk_full
from engine.jobs import Progress, Request, Result, result_from_json, result_to_json
from engine.pipe import Alive, Cancel, Done, Failed, Ready, Run, Start, Stop, Unable, Working
from engine.report import Report
from engine.settings import EngineSettings

EXIT_UNABLE = 3
"""Exit status after `Unable`."""
EXIT_SPENT = 4
"""Exit status when memory is spent or the device is broken."""
ALIVE_EVERY_S = 0.5
"""A sign of life each half second: many within the shortest sensible lease."""
REPORT_EVERY_S = 0.1
"""A job's reports within a stage travel at most ten times a second; nobody reads faster."""
MAX_TRACE_CHARS = 20_000
"""Enough for any real trace; a runaway recursion's is longer."""

_PR_SET_PDEATHSIG = 1
_SPENT_PHRASES = ("out of memory", "can't allocate memory", "not enough memory", "device-side assert", "cuda error")
"""How torch, CUDA and ROCm say (within a RuntimeError) that the process is of no more use."""

log = logging.getLogger(__name__)


class Pipeline(Protocol):
    """Loaded models that turn requests into results; called from several threads at once."""

    @property
    def models(self) -> Mapping[str, str]:
        """Names of the models by stage."""
        ...

    def __call__(self, request: Request, folder: Path, report: Report) -> Result:
        """Do what is asked, with files in `folder`."""
        ...


Load = Callable[[EngineSettings], Pipeline]


class _Reporter:
    """The `Report` of one job. The first report of a stage goes out at once, others when their time has come."""

    def __init__(self, send: Callable[[Progress], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.cancelled = threading.Event()
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()  # a job may report from threads of its own
        self._stage = ""
        self._sent_at = 0.0
        self._held: Progress | None = None

    def __call__(self, stage: str, fraction: float) -> None:
        if self.cancelled.is_set():
            raise Cancelled
        with self._lock:
            self._held = Progress(stage, min(1.0, max(0.0, fraction)))  # in this order NaN becomes 0
            now = self._clock()
            if stage != self._stage or now - self._sent_at >= REPORT_EVERY_S:
                self._stage, self._sent_at = stage, now
                self._let_go()

    def flush(self) -> None:
        """Send what is held back, so that the last report always arrives."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._send(self._held)
            self._held = None


class _Server:
    """Jobs in threads, and what they say on the pipe."""

    def __init__(self, outbox: BinaryIO, die: Callable[[int], object]) -> None:
        self._outbox = outbox
        self._die = die
        self._writing = threading.Lock()
        self._reporters: dict[str, _Reporter] = {}
        self._ended = threading.Event()

    def serve(self, load: Load, settings: EngineSettings, inbox: BinaryIO) -> int:
        threading.Thread(target=self._show_life, name="alive", daemon=True).start()
        jobs = ThreadPoolExecutor(settings.worker.slots, thread_name_prefix="job")
        try:
            started = time.monotonic()
            try:
                pipeline = load(settings)
            except UserError as error:
                self._send(Unable(error.code, error.message))
                return EXIT_UNABLE
            self._send(Ready(dict(pipeline.models), time.monotonic() - started))
            while (message := pipe.read_to_worker(inbox)) is not None:
                match message:
                    case Run(token):
                        self._reporters[token] = self._reporter(token)
                        jobs.submit(self._work, pipeline, message)
                    case Cancel(token):
                        if token in self._reporters:
                            self._reporters[token].cancelled.set()
                    case Stop():
                        break
                    case Start():
                        raise pipe.BadFrame("a worker is started once")
            return 0
        finally:
            self._ended.set()
            for reporter in tuple(self._reporters.values()):
                reporter.cancelled.set()
            jobs.shutdown(wait=False, cancel_futures=True)

    def _work(self, pipeline: Pipeline, run: Run) -> None:
        report = self._reporters[run.token]
        try:
            if report.cancelled.is_set():
                raise Cancelled
            result = pipeline(run.request, Path(run.folder), report)
            result_from_json(result_to_json(result))  # a NaN or a wrong type is found here, where it has a trace
            end = pipe.frame_from_worker(Done(run.token, result))
        except BaseException as error:  # sys.exit() in a job must not take its thread silently either
            if is_spent(error):
                log.critical("the worker ends, its memory is spent or its device broken", exc_info=error)
                self._die(EXIT_SPENT)
            end = pipe.frame_from_worker(failure(run.token, error))
        report.flush()
        del self._reporters[run.token]
        self._write(end)

    def _reporter(self, token: str) -> _Reporter:
        return _Reporter(lambda progress: self._send(Working(token, progress)))

    def _show_life(self) -> None:
        while not self._ended.wait(ALIVE_EVERY_S):
            for reporter in tuple(self._reporters.values()):
                reporter.flush()
            self._send(Alive())

    def _send(self, message: pipe.FromWorker) -> None:
        self._write(pipe.frame_from_worker(message))

    def _write(self, frame: bytes) -> None:
        try:
            with self._writing:
                self._outbox.write(frame)
                self._outbox.flush()
        except OSError:
            self._ended.set()  # nobody listens any more; the inbox has ended too, and with it the process


def serve(load: Load, inbox: BinaryIO, outbox: BinaryIO, *, die: Callable[[int], object] = os._exit) -> int:
    """Load the models and do jobs until `Stop` or the end of `inbox`; return the exit status.

    Jobs that still run are left behind in their threads, so the caller ends the process with `os._exit`. `die` ends
    it at once. Raises `pipe.BadFrame`, and what `load` raises except `UserError`.
    """
    start = pipe.read_to_worker(inbox)
    if start is None:
        return 0
    if not isinstance(start, Start):
        raise pipe.BadFrame("the first message must be start")
    return _Server(outbox, die).serve(load, start.settings, inbox)


def is_spent(error: BaseException) -> bool:
    """Tell whether the process is of no more use after `error`: out of memory, or a broken device.

    An error that the pipeline has put into a sentence (`TuneTaleError`) never counts.
    """
    return not isinstance(error, TuneTaleError) and any(
        isinstance(link, MemoryError)
        or (isinstance(link, OSError) and link.errno == errno.ENOMEM)
        or (isinstance(link, RuntimeError) and any(phrase in str(link).lower() for phrase in _SPENT_PHRASES))
        for link in _chain(error)
    )


def failure(token: str, error: BaseException) -> Failed:
    """Return what to say of a job that ended with `error`: expected errors as they are, others with their trace."""
    if isinstance(error, Cancelled):
        return Failed(token, "cancelled", error.code, _clean(error.message))
    if isinstance(error, UserError):
        return Failed(token, "user", error.code, _clean(error.message))
    if isinstance(error, Transient):
        return Failed(token, "transient", error.code, _clean(error.message))
    if isinstance(error, Crashed):
        return Failed(token, "crashed", error.code, _clean(error.message))
    if any(isinstance(link, OSError) and link.errno in NO_ROOM for link in _chain(error)):
        log.error("the disk is full", exc_info=error)
        return failure(token, disk_full())
    trace = "".join(traceback.format_exception(error))
    return Failed(token, "bug", "bug", _clean(str(error)), _clean(trace[-MAX_TRACE_CHARS:]))


def _chain(error: BaseException) -> Iterable[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _clean(text: str) -> str:
    """Return the text without lone surrogates (undecodable file names), which have no place in JSON."""
    return text.encode(errors="replace").decode()


# --- the process -------------------------------------------------------------------------------------------------


def take_pipe() -> tuple[BinaryIO, BinaryIO]:
    """Keep standard input and output for the pipe alone: (inbox, outbox).

    File descriptor 0 then reads nothing and 1 writes to the log, so that neither a library that prints nor a child
    that inherits them can break a frame. The two copies are not inherited.
    """
    inbox, outbox = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    return os.fdopen(inbox, "rb"), os.fdopen(outbox, "wb")


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _load(settings: EngineSettings) -> Pipeline:
    from engine.pipeline import load_pipeline  # here, so that torch's import counts as loading

    pipeline = load_pipeline(settings)
    gc.collect()
    gc.freeze()  # it is kept for good: or else every collection would look through it, a fifth of a second in a piece
    return pipeline


def main(load: Load = _load) -> NoReturn:
    """Run a worker on this process's standard input and output."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump of loaded models would fill the disk
    faulthandler.enable()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    inbox, outbox = take_pipe()
    try:
        status = serve(load, inbox, outbox)
    except BaseException:
        log.critical("the worker ends", exc_info=True)
        status = 1
    os._exit(status)  # at once: jobs that still run, and libraries' exit hooks, would keep it


if __name__ == "__main__":
    main()
