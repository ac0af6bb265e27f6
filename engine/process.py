"""One worker process as the main process holds it: started, spoken to, listened to, killed. Knows no queue."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Self

from engine import pipe
from engine.errors import Crashed, UserError
from engine.pipe import Ready, Start, Unable
from engine.settings import EngineSettings

log = logging.getLogger(__name__)

KEPT_VARIABLES = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"),
    *("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TORCH_HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"),
)
"""All that a worker's environment takes from ours: where things are. A token in any other variable stays here."""

LAST_LINES = 20
"""Lines of a dead worker's standard error that are shown with its death."""
LONGEST_LINE = 2**16
"""Bytes; a longer line on standard error is left out."""
LAST_WORDS_S = 2.0
"""Seconds for what a dead worker had still written to arrive; it lies in the pipe already."""


def environment(ours: Mapping[str, str], threads: int, secrets: Sequence[str] = ()) -> dict[str, str]:
    """Return a worker's whole environment; `secrets` names the variables with a key that it needs itself."""
    kept = {name: ours[name] for name in (*KEPT_VARIABLES, *secrets) if name in ours}
    return kept | {
        "OMP_NUM_THREADS": str(threads),
        "MALLOC_ARENA_MAX": "2",  # glibc's default of 8 arenas per core holds on to memory that job threads freed
        "PYTHONUTF8": "1",
    }


class _Protocol(asyncio.subprocess.SubprocessStreamProtocol):
    """Streams, and word of the exit as soon as it happens: `Process.wait` waits for the pipes to be closed too, and a
    process that the worker has left behind may keep them open."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(limit=LONGEST_LINE, loop=loop)
        self.exited = loop.create_future()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set_result(None)


class WorkerProcess:
    """A running worker process. Made by `start`, ended by `end`."""

    def __init__(self, transport: asyncio.SubprocessTransport, protocol: _Protocol) -> None:
        stdin, stdout, stderr = protocol.stdin, protocol.stdout, protocol.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        self.pid = transport.get_pid()
        """Process id, and the id of the process group."""
        self.models: dict[str, str] = {}
        """Names of the loaded models by stage."""
        self._transport = transport
        self._exited = protocol.exited
        self._stdin, self._stdout = stdin, stdout
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._logging = asyncio.create_task(self._log_lines(stderr))

    @classmethod
    async def start(cls, command: Sequence[str], settings: EngineSettings) -> Self:
        """Start a worker and wait until its models are loaded.

        Raises the worker's own `UserError` when they cannot be, and `Crashed` when it ends otherwise or takes longer
        than `start_timeout_s`. Call it from the main thread: the kernel kills the worker when this thread ends.
        """
        try:
            transport, protocol = await asyncio.get_running_loop().subprocess_exec(
                _Protocol,
                *command,
                env=environment(os.environ, settings.worker.threads, settings.secret_variables),
                start_new_session=True,
            )
        except OSError as error:
            raise Crashed(f"The worker process could not be made: {error.strerror}.", code="no_worker") from error
        worker = cls(transport, protocol)
        try:
            worker.send(Start(settings))
            async with asyncio.timeout(settings.worker.start_timeout_s):
                ready = await worker._first_word()
        except BaseException as error:
            await worker.end()
            if isinstance(error, UserError | asyncio.CancelledError):
                raise
            log.error("worker %d did not start: %s\n%s", worker.pid, error, worker.last_lines())
            raise Crashed("The worker process did not start; the log has its last lines.", code="no_worker") from error
        worker.models = ready.models
        log.info("worker %d is ready after %.1f s", worker.pid, ready.load_s)
        return worker

    def send(self, message: pipe.ToWorker) -> None:
        """Send a message; one to a dead worker is lost. Raises `BadFrame` when it is too large."""
        self._stdin.write(pipe.frame_to_worker(message))

    async def messages(self) -> AsyncIterator[pipe.FromWorker]:
        """Yield what the worker says until it closes the pipe. Raises `BadFrame`."""
        while (message := await pipe.read_from_worker(self._stdout)) is not None:
            yield message

    async def exited(self) -> None:
        """Wait until the process has ended."""
        await asyncio.shield(self._exited)

    def kill(self) -> None:
        """Kill the worker and the processes that it has started."""
        if self._transport.is_closing():
            return  # all is gone, and the number may be another's by now
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def end(self) -> int:
        """Kill the worker, close its pipes and return its exit status (negative: the signal)."""
        self.kill()
        await self.exited()
        self.kill()  # what it had started just before
        await asyncio.wait([self._logging], timeout=LAST_WORDS_S)
        self._logging.cancel()
        self._transport.close()
        status = self._transport.get_returncode()
        assert status is not None
        return status

    def last_lines(self) -> str:
        """Return the last lines that the worker wrote on its standard error."""
        return "\n".join(self._last_lines)

    async def _first_word(self) -> Ready:
        async for message in self.messages():
            if isinstance(message, Ready):
                return message
            if isinstance(message, Unable):
                raise UserError(message.message, code=message.code)
        raise EOFError("it ended before its models were loaded")

    async def _log_lines(self, stderr: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stderr.readline()
            except ValueError:  # longer than LONGEST_LINE; what was read of it is dropped
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self._last_lines.append(text)
            log.info("worker %d: %s", self.pid, text)
