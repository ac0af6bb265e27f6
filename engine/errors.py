"""What can go wrong, and who is told what.

    TuneTaleError
    ├── UserError        the request cannot be met; the sentence is shown as it is (exit 2, or a chat reply)
    ├── Transient        may work when tried again; retried, then shown as it is (exit 1)
    ├── Crashed          a worker died or hung under the job; retried, then an incident (exit 1)
    └── Cancelled        somebody asked for it to stop (exit 130)

Everything else is our own fault: the person sees an incident id, the log holds the trace.
"""

from __future__ import annotations

import errno
import secrets
from typing import Literal

Fault = Literal["asker", "outside", "ours"]
"""Who can do something about an error: the person who asked, time or somebody else, or we."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How the system says that a file cannot grow: the next attempt may find room."""


class TuneTaleError(Exception):
    """Base of all expected errors: `code` names the case for programs, `message` is one clear sentence for people."""

    code = "error"
    fault: Fault = "ours"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code


class UserError(TuneTaleError):
    """The request cannot be met; the sentence says what to do instead."""

    code = "bad_input"
    fault = "asker"


class Transient(TuneTaleError):
    """Something outside failed that may work again shortly."""

    code = "transient"
    fault = "outside"


class Crashed(TuneTaleError):
    """A worker process died or hung while it had the job."""

    code = "crashed"


class Cancelled(TuneTaleError):
    """The job was cancelled."""

    code = "cancelled"

    def __init__(self, message: str = "The job was cancelled.") -> None:
        super().__init__(message)


def disk_full() -> Transient:
    """Return what to say when the system has answered with one of NO_ROOM."""
    return Transient("There is no room left on the disk; please try again later.", code="disk_full")


def incident_id() -> str:
    """Return a short random id that joins what a person saw to the trace in the log."""
    return secrets.token_hex(4)
