"""A real worker process whose pipeline makes small files, and fails when it is told to."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from engine import worker
from engine.jobs import ComposeRequest, Request, Result
from engine.report import Report
from engine.settings import EngineSettings
from tests.fakes.chat import make_in


class LightPipeline:
    def __init__(self) -> None:
        self.models = {"composer": "light"}

    def __call__(self, request: Request, folder: Path, report: Report) -> Result:
        assert isinstance(request, ComposeRequest)
        report("compose", 0.5)
        sys.stderr.write(f"environment: {sorted(os.environ)}\n")
        if "fail" in request.text:
            raise RuntimeError(f"forced: {os.environ}")
        return make_in(folder, request)


def load(settings: EngineSettings) -> LightPipeline:
    return LightPipeline()


if __name__ == "__main__":
    worker.main(load)
