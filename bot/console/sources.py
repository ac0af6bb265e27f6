"""Which pieces a command line names, and in which folder the answer to each goes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UserError
from engine.jobs import FileSource, Source

DEFAULT_OUT = Path("tunetale-out")
AUDIO_SUFFIXES = frozenset(
    {".mp3", ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".webm", ".mka", ".mkv"}
    | {".mov", ".aif", ".aiff"}
)
"""What is taken from a folder; a file that is named outright is judged by its content alone."""


@dataclass(frozen=True)
class Place:
    """Where an answer goes: exactly `folder`, or with a `stem` the sub-folder `<stem>-<seed>` of it."""

    folder: Path
    stem: str | None

    def resolve(self, seed: int) -> Path:
        """Return the folder for an answer with this seed."""
        return self.folder if self.stem is None else self.folder / f"{self.stem}-{seed}"


def expand(arguments: Sequence[str]) -> list[str]:
    """Replace each folder by its audio files in the order of their names. Raises `UserError` for an empty one."""
    found: list[str] = []
    for argument in arguments:
        path = Path(argument)
        if not path.is_dir():
            found.append(argument)
            continue
        try:
            names = sorted(entry.name for entry in path.iterdir() if entry.suffix.lower() in AUDIO_SUFFIXES)
        except PermissionError:
            raise UserError(f"The folder {path} may not be read.", code="unreadable") from None
        if not names:
            raise UserError(
                f"The folder {path} holds no audio files; please name a file, a link or another folder.",
                code="is_directory",
            )
        found += [str(path / name) for name in names]
    return found


def places(sources: Sequence[str], out: Path | None) -> list[Place]:
    """Return where the answer to each source goes: `out` itself for one, sub-folders `NN-stem` for several."""
    if out is None:
        return [Place(DEFAULT_OUT.absolute(), stem_of(source)) for source in sources]
    out = out.absolute()
    if len(sources) == 1:
        return [Place(out, None)]
    digits = max(2, len(str(len(sources))))
    return [Place(out / f"{i:0{digits}}-{stem_of(source)}", None) for i, source in enumerate(sources, 1)]


def stem_of(source: str) -> str:
    """Return a short, safe name for a file or link: letters, digits, dashes and underscores of any script."""
    stem = Path(source.split("?")[0].rstrip("/")).stem
    safe = "".join(char if char.isalnum() or char in "-_" else "-" for char in stem).strip("-")
    return safe[:60] or "untitled"


def check_writable(folder: Path) -> None:
    """Make the folder and prove that files can be written there. Raises `UserError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"The folder {folder} cannot be written to ({os.strerror(error.errno or 0)}); please choose another --out.",
            code="unwritable_out",
        ) from None


def check_file(source: Source) -> None:
    """Raise `UserError` at once for a file that is not there, so that nobody waits for the models first."""
    if isinstance(source, FileSource) and not Path(source.path).exists():
        raise UserError(f"There is no file {source.path}; please check the name.", code="missing_file")
