"""Runs what a name on the command line stands for. Knows names and exit codes; knows nothing of what is run."""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from engine.errors import UserError

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 130
"""Exit codes."""


class OneSentenceParser(argparse.ArgumentParser):
    """Reports a mistake as one sentence instead of a page."""

    def error(self, message: str) -> NoReturn:
        """Raise `UserError`, code `usage`."""
        raise UserError(f"{self.prog}: {message}; see `{self.prog} --help`.", code="usage")


def dispatch(command: str, modules: Mapping[str, str], arguments: Sequence[str]) -> int:
    """Run `main(arguments[1:])` of the module that `modules` gives for the name `arguments[0]`.

    The module is imported only now. Returns its exit code (None counts as 0), 2 after bad input, which is told in one
    sentence on stderr, and 130 when interrupted.
    """
    known = ", ".join(modules)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: {command} WHAT …, WHAT is one of: {known}.", file=sys.stdout if arguments else sys.stderr)
        return DONE if arguments else BAD_INPUT
    name, *rest = arguments
    try:
        if name not in modules:
            close = difflib.get_close_matches(name, modules, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {known}."
            raise UserError(f"{command}: there is no {name!r}; {hint}", code="unknown_name")
        return int(importlib.import_module(modules[name]).main(rest) or DONE)
    except UserError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
