"""What the program writes down about itself: one line each, and never a secret.

Libraries log addresses and answers with tokens in them (python-telegram-bot's HTTP client does on every poll), so every
line is searched for the configured secrets and for anything that looks like a token, traces included.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

HIDDEN = "***"
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
QUIET = ("httpx", "httpcore", "aiohttp.access")
"""Loggers that say nothing below a warning: a line for every request that is made or served."""
_TOKENS = re.compile(
    r"(?<![0-9])[0-9]{6,}:[A-Za-z0-9_-]{30,}|[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}"
)
"""Telegram's and Discord's tokens, by their shape."""


class Redacting(logging.Formatter):
    """Formats as usual and takes the secrets out, wherever they stand."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__(FORMAT)
        known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        text = super().format(record)
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _TOKENS.sub(HIDDEN, text)


def set_up(secrets: Iterable[str] = ()) -> None:
    """Log to stderr from INFO on, without secrets."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    if not root.handlers:
        root.addHandler(logging.StreamHandler())
    formatter = Redacting(secrets)
    for handler in root.handlers:
        handler.setFormatter(formatter)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
