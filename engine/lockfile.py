"""`models.lock`: which models of the hub this installation uses, at which commit, with the hash of each file.

`tunetale models fetch` writes it, every later load must match it. Knows files and hashes; knows no network.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import snapshot_download

from engine.errors import UserError
from engine.settings import ModelSettings
from engine.whole import whole

SCHEMA = 1
DEFAULT_LOCK = Path(ModelSettings().lock)
State = Literal["whole", "missing", "damaged"]


@dataclass(frozen=True)
class LockedFile:
    """A file as it was when it was fetched: SHA-256 in hexadecimal."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class LockedModel:
    """A model's commit on the hub (40 hexadecimal digits), its licence as the hub names it, and its files by name."""

    commit: str
    licence: str
    files: Mapping[str, LockedFile]

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files.values())


Lock = dict[str, LockedModel]
"""Locked models by their name on the hub."""


def read_lock(path: Path) -> Lock:
    """Return what is locked; nothing where there is no file. Raises `UserError`, code `bad_lock`, for a damaged one."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise ValueError("another schema")
        return {name: _model(entry) for name, entry in document["models"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} cannot be read as a lock of models; please restore it, or move it away and fetch again.",
            code="bad_lock",
        ) from error


def write_lock(path: Path, lock: Lock) -> None:
    """Write the lock whole or not at all. Raises `UserError` when it cannot be written."""
    models = {name: asdict(lock[name]) for name in sorted(lock)}
    try:
        with whole(path) as unfinished:
            unfinished.write_text(json.dumps({"schema": SCHEMA, "models": models}, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.", code="unwritable_lock") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def snapshot_of(name: str, model: LockedModel) -> Path | None:
    """Return the folder with the locked commit in the hub's cache, None when a file of it is not there."""
    try:
        folder = Path(
            snapshot_download(name, revision=model.commit, allow_patterns=[*model.files], local_files_only=True)
        )
    except OSError:  # the library's own errors for whatever is not in the cache are of this kind
        return None
    return folder if all((folder / file).is_file() for file in model.files) else None


def state_of(name: str, model: LockedModel, *, hashes: bool) -> State:
    """Say how a locked model lies on this machine; without `hashes` by the sizes of its files alone."""
    folder = snapshot_of(name, model)
    if folder is None:
        return "missing"
    for file, locked in model.files.items():
        path = folder / file
        if path.stat().st_size != locked.bytes or (hashes and sha256_of(path) != locked.sha256):
            return "damaged"
    return "whole"


def model_folder(name: str, lock: Path, option: str = "") -> Path:
    """Return the directory of a model: `name` itself, or the locked snapshot of the hub's model of that name.

    `option` is what `tunetale models fetch` needs beside the name. Raises `UserError`: `no_model` for what is not on
    this machine, `model_changed` when a file is not as it was locked.
    """
    if not name:
        raise UserError(
            "No model is named; give a directory or a name of the hub in the configuration.", code="no_model"
        )
    if Path(name).is_dir():
        return Path(name)
    if Path(name).is_absolute() or name.startswith((".", "~")):
        raise UserError(f"There is no directory {name}; please correct the configuration.", code="no_model")
    models = read_lock(lock)
    model = models.get(name)
    if model is None:
        close = difflib.get_close_matches(name, models, n=1)
        hint = f"did you mean {close[0]}?" if close else f"{_fetch(name, option)}, or name a directory."
        raise UserError(f"The model {name} is not locked in {lock}; {hint}", code="no_model")
    match state_of(name, model, hashes=True):
        case "missing":
            raise UserError(f"The model {name} is not on this machine; {_fetch(name, option)}.", code="no_model")
        case "damaged":
            raise UserError(
                f"The files of the model {name} are not those that {lock} has locked; {_fetch(name, option)}, which "
                "brings them again.",
                code="model_changed",
            )
    folder = snapshot_of(name, model)
    assert folder is not None
    return folder


def _fetch(name: str, option: str) -> str:
    return f"fetch it with `tunetale models fetch {name}{option and ' '}{option}`"


def _model(entry: Any) -> LockedModel:
    files = {name: LockedFile(str(file["sha256"]), int(file["bytes"])) for name, file in entry["files"].items()}
    if not files or any("/" in name or name.startswith(".") for name in files):
        raise ValueError("a model has files, all beside each other")
    return LockedModel(str(entry["commit"]), str(entry["licence"]), files)
