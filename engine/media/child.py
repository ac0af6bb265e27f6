"""Runs one short-lived, confined child process and talks with it. Knows processes; knows nothing of media.

The child's side is `engine.media.limits.serve`. It gets one JSON object as its argument and answers in JSON lines on
standard output: any number of `{"fraction": f}`, then one `{"answer": {...}}`. Whatever else it prints is ignored: it
may have been taken over, so its words are data, of bounded size, that the caller checks.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from engine.media.limits import Confinement
from engine.report import Report

_log = logging.getLogger(__name__)

_POLL_S = 0.1
"""How often a silent child's parent asks whether it should stop."""
_MAX_ANSWER_BYTES = 1_000_000
"""A child that says more than this is not ours any more."""
_PYTHONPATH = str(Path(__file__).resolve().parents[2])


class ChildTimeout(Exception):
    """The child was still busy at its deadline, or had used up its processor time, and was killed."""


class ChildDied(Exception):
    """The child ended without an answer: it crashed, ran out of a resource, or was killed.

    `signal` is the one that ended it; None when it ended by itself, or for one of its limits.
    """

    def __init__(self, why: str, signal: int | None = None) -> None:
        super().__init__(why)
        self.signal = signal


def run_child(
    module: str,
    request: Mapping[str, Any],
    confinement: Confinement,
    *,
    timeout_s: float,
    stage: str,
    report: Report,
    folder: Path,
    stdin: IO[bytes] | None = None,
    pass_fds: tuple[int, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run `python -m module` in `folder`, alone in a session of its own, and return its answer.

    Its environment is empty but for `environment` and what Python needs. Raises `ChildTimeout`, `ChildDied`, and
    whatever `report` raises (cancel); the child and all it started are gone when this returns.
    """
    argument = {"parent": os.getpid(), "confinement": asdict(confinement), "request": dict(request)}
    deadline = time.monotonic() + timeout_s
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", module, json.dumps(argument)],
            stdin=stdin if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            env={"PYTHONPATH": _PYTHONPATH, "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8", **(environment or {})},
            start_new_session=True,
            pass_fds=pass_fds,
        )
        try:
            answer = _listen(child, deadline, stage, report)
            if answer is None:
                _let_end(child, deadline)
        finally:
            _kill_group(child)
            assert child.stdout is not None
            child.stdout.close()
        if answer is not None:
            return answer
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - 2_000))
        tail = errors.read().decode("utf-8", "replace")
    if child.returncode == -signal.SIGXCPU:
        raise ChildTimeout
    _log.warning("%s ended with code %s and no answer: %s", module, child.returncode, tail)
    killed = child.returncode < 0 and child.returncode != -signal.SIGXFSZ
    raise ChildDied(f"code {child.returncode}", -child.returncode if killed else None)


def _listen(child: subprocess.Popen[bytes], deadline: float, stage: str, report: Report) -> dict[str, Any] | None:
    """Pass the child's progress on until it closes its mouth; return its answer, None without one."""
    assert child.stdout is not None
    fraction, said, rest = 0.0, 0, b""
    answer: dict[str, Any] | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            report(stage, fraction)
            if time.monotonic() >= deadline:
                raise ChildTimeout
            if not selector.select(_POLL_S):
                continue
            data = os.read(child.stdout.fileno(), 65_536)
            said += len(data)
            if said > _MAX_ANSWER_BYTES:
                raise ChildDied("it said too much")
            if not data:
                return answer
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                message = _parse(line)
                if isinstance(message.get("answer"), dict):
                    answer = message["answer"]
                elif isinstance(message.get("fraction"), int | float):
                    fraction = min(1.0, max(fraction, float(message["fraction"])))


def _parse(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _let_end(child: subprocess.Popen[bytes], deadline: float) -> None:
    """Wait until the child has ended by itself, for the sake of its exit code; leave it to be reaped."""
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= deadline:
            raise ChildTimeout
        time.sleep(_POLL_S / 10)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started, then reap it: until then its number cannot mean another process."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
