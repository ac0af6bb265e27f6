"""A real worker process with a light pipeline: it tells the platform where it is, writes a file, and is done. Some jobs
have a child fetch something first.

Run as `python -m tests.chaos.light_worker SOCKET`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from engine import worker
from engine.errors import Crashed
from engine.jobs import Request, Sentence, TextEmotionRequest, TextEmotionResult
from engine.media.child import ChildDied, run_child
from engine.media.limits import Confinement
from engine.report import Report
from engine.settings import EngineSettings
from tests.chaos.line import say

MODELS = {"text_emotion": "light"}

FETCHES = 5
"""One job in so many has a child."""
CONFINEMENT = Confinement(memory_bytes=2**30, cpu_s=20, file_bytes=10_000)


def fetch(name: str, folder: Path, report: Report) -> None:
    request = {"address": sys.argv[1], "job": name}
    try:
        run_child(
            "tests.chaos.light_fetch", request, CONFINEMENT, timeout_s=20, stage="fetch", report=report, folder=folder
        )
    except ChildDied as error:
        raise Crashed("The process that fetched this was ended.") from error


class LightPipeline:
    models = MODELS

    def __call__(self, request: Request, folder: Path, report: Report) -> TextEmotionResult:
        assert isinstance(request, TextEmotionRequest)
        (name,) = request.texts
        say(sys.argv[1], {"at": "begin", "job": name, "pid": os.getpid()})
        if int(name) % FETCHES == 0:
            fetch(name, folder, report)
        report("read", 0.0)
        (folder / "artefact").write_bytes(name.encode() * 1_000)
        say(sys.argv[1], {"at": "half", "job": name, "pid": os.getpid()})
        report("read", 0.5)
        return TextEmotionResult(models=MODELS, sentences=(Sentence(name, 0.5, -0.5),))


def load(settings: EngineSettings) -> LightPipeline:
    return LightPipeline()


if __name__ == "__main__":
    worker.main(load)
