"""A real worker process with a light pipeline: it tells the platform where it is, writes a file, and is done.

Run as `python -m tests.chaos.light_worker SOCKET`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from engine import worker
from engine.jobs import Request, Sentence, TextEmotionRequest, TextEmotionResult
from engine.report import Report
from engine.settings import EngineSettings
from tests.chaos.line import say

MODELS = {"text_emotion": "light"}


class LightPipeline:
    models = MODELS

    def __call__(self, request: Request, folder: Path, report: Report) -> TextEmotionResult:
        assert isinstance(request, TextEmotionRequest)
        (name,) = request.texts
        say(sys.argv[1], {"at": "begin", "job": name, "pid": os.getpid()})
        report("read", 0.0)
        (folder / "artefact").write_bytes(name.encode() * 1_000)
        say(sys.argv[1], {"at": "half", "job": name, "pid": os.getpid()})
        report("read", 0.5)
        return TextEmotionResult(models=MODELS, sentences=(Sentence(name, 0.5, -0.5),))


def load(settings: EngineSettings) -> LightPipeline:
    return LightPipeline()


if __name__ == "__main__":
    worker.main(load)
