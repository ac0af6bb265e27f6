"""Reads files that hold a secret, and only those that nobody else on this machine may read."""

from __future__ import annotations

import os
from pathlib import Path

from engine.errors import UserError


def read_secret(path: Path) -> str:
    """Return the file's text without blanks around it. Raises `UserError`, which never holds a part of it."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"The file {path} cannot be read: {why}.", code="bad_config") from None
    refuse_shared(path, mode)
    return text.strip()


def refuse_shared(path: Path, mode: int) -> None:
    """Raise `UserError` when others than the owner may read or write a file with a secret in it."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")  # systemd's own: others are kept out by the folder, not by the mode
    if given and path.is_relative_to(given):
        return
    if mode & 0o077:
        raise UserError(
            f"{path} holds a secret, but others on this machine may read it; please run `chmod 600 {path}`.",
            code="shared_secret",
        )
