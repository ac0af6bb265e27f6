"""`tunetale run` as it is, but with a light worker, everything logged, and a Discord that does not answer."""

from __future__ import annotations

import logging
import sys
from functools import partial

import discord.http

from bot import logs
from bot.__main__ import main
from engine import service
from engine.supervisor import Supervisor


def _loud(secrets: object) -> None:
    """Set up logging as always, then let every logger say everything."""
    _set_up(secrets)  # type: ignore[arg-type]
    logging.getLogger().setLevel(logging.DEBUG)
    for name in logs.QUIET:
        logging.getLogger(name).setLevel(logging.DEBUG)


_set_up = logs.set_up

if __name__ == "__main__":
    logs.set_up = _loud  # type: ignore[assignment]
    discord.http.Route.BASE = "http://127.0.0.1:9/api"  # nobody answers: Discord fails, again and again
    light = (sys.executable, "-m", "tests.security.light")
    vars(service)["Supervisor"] = partial(Supervisor, command=light)
    sys.exit(main(sys.argv[1:]))
