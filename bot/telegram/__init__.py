"""Telegram: the only package that imports `telegram`. Start with `serve`."""

import os

# The library's way to its next major version, where durations are timedeltas; without it, it warns about each of them.
# Before its first import, because it is looked up in the environment.
os.environ.setdefault("PTB_TIMEDELTA", "true")

from bot.telegram.service import serve

__all__ = ["serve"]
