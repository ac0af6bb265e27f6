"""The command `tunetale`: parses, runs, and turns every failure into one sentence and an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from bot.console.arguments import parser
from bot.console.main import BAD_INPUT, INTERRUPTED, OUR_FAULT, dispatch, screen_err
from engine.errors import TuneTaleError, UserError, incident_id

log = logging.getLogger("tunetale")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    screen = screen_err()
    try:
        return dispatch(parser().parse_args(argv))
    except KeyboardInterrupt:
        return INTERRUPTED
    except TuneTaleError as error:
        screen.print(error.message, markup=False, soft_wrap=True, style="red")
        return BAD_INPUT if isinstance(error, UserError) else OUR_FAULT
    except Exception:  # the outermost call: people get an incident id instead of a trace, which goes to the log
        incident = incident_id()
        log.exception("incident %s", incident)
        screen.print(f"Something went wrong on our side (incident {incident}). The log above has the details.")
        return OUR_FAULT


if __name__ == "__main__":
    sys.exit(main())
