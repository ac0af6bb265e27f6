"""A real confined child, as one that fetches a link, with light work: it tells the platform where it is and answers."""

from __future__ import annotations

import os
from typing import Any

from engine.media.limits import Tell, serve
from tests.chaos.line import say


def work(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    tell(0.5)
    say(request["address"], {"at": "fetch", "job": request["job"], "pid": os.getpid()})
    return {"title": request["job"]}


if __name__ == "__main__":
    serve(work)
