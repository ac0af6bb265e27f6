"""A real worker process whose pipeline does what a test tells it, line by line, on a Unix socket.

The text of a `ComposeRequest` is `SOCKET|NAME`: the job calls there, says who it is, and obeys. The end of that
connection tells the test that the job is over or its process gone. The first argument chooses how the process starts.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

from engine import pipe, worker
from engine.errors import Crashed, Transient, UserError
from engine.jobs import ComposeRequest, Request, Sentence, TextEmotionRequest, TextEmotionResult
from engine.pipe import Ready, Run
from engine.report import Report
from engine.settings import EngineSettings

MODELS = {"composer": "scripted"}


class ScriptedPipeline:
    models = MODELS

    def __call__(self, request: Request, folder: Path, report: Report) -> TextEmotionResult:
        if isinstance(request, TextEmotionRequest):
            return result("texts")
        assert isinstance(request, ComposeRequest)
        address, name = request.text.split("|")
        with call(address, name, folder) as line:
            for order in line:
                if order == "return\n":
                    return result(name)
                obey(order.split(), report)
                line.write("ok\n")
                line.flush()
        raise AssertionError("the test went away")


def result(name: str) -> TextEmotionResult:
    return TextEmotionResult(models=MODELS, sentences=(Sentence(name, 0.5, -0.5),))


def call(address: str, name: str, folder: Path) -> TextIO:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        line = connection.makefile("rw")
    line.write(json.dumps({"name": name, "pid": os.getpid(), "folder": str(folder)}) + "\n")
    line.flush()
    return line


def obey(order: list[str], report: Report) -> None:
    match order:
        case ["report", stage, fraction]:
            report(stage, float(fraction))
        case ["work"]:  # until it is cancelled
            while True:
                report("write", 0.5)
                time.sleep(0.01)
        case ["hang"]:
            threading.Event().wait()
        case ["print"]:
            print("printed by a library")  # noqa: T201
            os.write(1, b"\x00\x00\x00\x02{}")
            subprocess.run([sys.executable, "-c", "import sys; print(sys.stdin.read(), 'by a child')"], check=True)
        case ["mark", path]:
            Path(path).write_text("here")
        case ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["child"]:
            raise Crashed("The process that fetched this link was ended, so the request was given up.")
        case ["exit"]:
            sys.exit(7)
        case ["memory"]:
            raise MemoryError
        case ["eat"]:
            resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
            bytearray(2**33)
        case ["user"]:
            raise UserError("This cannot be done; do that.", code="cannot")
        case ["transient"]:
            raise Transient("The server did not answer.", code="no_server")
        case _:
            raise ValueError("boom")


def load(settings: EngineSettings) -> ScriptedPipeline:
    mode = sys.argv[1:]
    match mode:
        case ["unable"]:
            raise UserError("There is no model at /nowhere; set stages.composer.", code="no_model")
        case ["broken"]:
            raise RuntimeError("the file of the model is broken")
        case ["stuck"]:
            threading.Event().wait()
        case ["stuck", address]:
            call(address, "stuck", Path()).read()
        case ["once", mark] if Path(mark).exists():
            raise UserError("The model has gone.", code="no_model")
        case ["once", mark]:
            Path(mark).touch()
    return ScriptedPipeline()


def babble(frame: bytes) -> None:
    """A worker that answers its first job with bytes that are no message, and waits."""
    inbox, outbox = worker.take_pipe()
    pipe.read_to_worker(inbox)
    outbox.write(pipe.frame_from_worker(Ready(MODELS, 0.0)))
    outbox.flush()
    if isinstance(pipe.read_to_worker(inbox), Run):
        outbox.write(frame)
        outbox.flush()
    inbox.read()


if __name__ == "__main__":
    if sys.argv[1:] == ["garbage"]:
        babble(b"Segmentation fault (core dumped)\n")
    elif sys.argv[1:] == ["huge"]:
        babble((10_000_000).to_bytes(4, "big") + b" " * 10_000_000)
    else:
        worker.main(load)
