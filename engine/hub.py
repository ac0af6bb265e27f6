"""Fetches models from the hub into its cache, and locks what has come. The only place that downloads weights.

Weights come as safetensors; pickled ones only for audiocraft, which knows no other, and only Meta's own models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from engine.errors import Transient, UserError
from engine.lockfile import LockedFile, LockedModel, read_lock, sha256_of, write_lock

WANTED = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.model", "*.jinja", "vocab.txt", "merges.txt")
"""Configuration, weights, tokenizer: data, and no code."""
UNWANTED = ("consolidated*", "*/*", ".*")
"""The same weights in a second form, what lies in sub-folders (other formats), and the hub's own files."""
AUDIOCRAFT_MODELS = tuple(
    f"facebook/musicgen-{name}"
    for name in ("small", "medium", "large", "stereo-small", "stereo-medium", "stereo-large")
)
"""The models whose pickled weights audiocraft's environment may read: official names, locked hash."""
AUDIOCRAFT_FILES = ("state_dict.bin", "compression_state_dict.bin")
AUDIOCRAFT_PARTS = ("t5-base", "facebook/encodec_32khz")
"""What audiocraft's MusicGen loads beside its own files; both as safetensors."""

Fetched = Callable[[str, LockedModel], None]


def fetch(
    names: Sequence[str], lock: Path, fetched: Fetched, *, revision: str | None = None, update: bool = False
) -> None:
    """Fetch models for transformers and lock them, telling `fetched` of each.

    A model that is locked already comes at its commit, unless `update` or a `revision` asks for another. Raises
    `UserError` for what the hub has not or does not give, `Transient` when it cannot be reached; what was fetched
    before that stays locked.
    """
    for name in names:
        fetched(name, _fetch(name, lock, _wanted, revision=revision, update=update))


def fetch_audiocraft(name: str, lock: Path, fetched: Fetched, *, update: bool = False) -> None:
    """Fetch a MusicGen as audiocraft reads it, with its parts. Raises `UserError` unless it is one of Meta's own."""
    if name not in AUDIOCRAFT_MODELS:
        raise UserError(
            f"audiocraft's weights are pickles, which can hold code, so only Meta's own are fetched: "
            f"{', '.join(AUDIOCRAFT_MODELS)}.",
            code="not_official",
        )
    fetch(AUDIOCRAFT_PARTS, lock, fetched, update=update)
    fetched(name, _fetch(name, lock, AUDIOCRAFT_FILES.__contains__, revision=None, update=update))


def _wanted(file: str) -> bool:
    return any(fnmatch(file, pattern) for pattern in WANTED) and not any(fnmatch(file, pattern) for pattern in UNWANTED)


def _fetch(name: str, lock: Path, wanted: Callable[[str], bool], *, revision: str | None, update: bool) -> LockedModel:
    before = read_lock(lock).get(name)
    if revision is None and before is not None and not update:
        revision = before.commit
    try:
        info = HfApi().model_info(name, revision=revision, files_metadata=True)
        known = {file.rfilename: file.lfs.sha256 if file.lfs else None for file in info.siblings or ()}
        files = sorted(filter(wanted, known))
        if not any(Path(file).suffix in (".safetensors", ".bin") for file in files):
            raise UserError(
                f"The model {name} has no weights as safetensors, and others are not read; please choose another.",
                code="no_safetensors",
            )
        if before is not None and before.commit == info.sha:
            known |= {file: locked.sha256 for file, locked in before.files.items()}
        found = _download(name, str(info.sha), {file: known[file] for file in files})
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise _refused(name, revision, error) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, httpx2.HTTPError) as error:
        raise Transient(
            f"The model {name} could not be fetched, because the hub did not give it ({type(error).__name__}); please "
            "try again, what has come is kept.",
            code="no_hub",
        ) from error
    except OSError as error:
        raise UserError(f"The model {name} could not be stored: {error.strerror or error}.", code="no_space") from error
    if before is not None and before.commit == info.sha:
        found = {**before.files, **found}  # the other library's files of the same commit
    model = LockedModel(str(info.sha), _licence(info), found)
    write_lock(lock, read_lock(lock) | {name: model})
    return model


def _download(name: str, commit: str, files: Mapping[str, str | None]) -> dict[str, LockedFile]:
    """Bring files of a commit, whose SHA-256 is checked where it is known; a wrong one is removed and brought again."""
    for _ in range(2):
        folder = Path(snapshot_download(name, revision=commit, allow_patterns=[*files]))
        found = {file: LockedFile(sha256_of(folder / file), (folder / file).stat().st_size) for file in files}
        wrong = [file for file, expected in files.items() if expected not in (None, found[file].sha256)]
        if not wrong:
            return found
        for file in wrong:
            (folder / file).resolve().unlink()  # what the name in the folder points to
            (folder / file).unlink(missing_ok=True)
    raise UserError(
        f"{wrong[0]} of the model {name} is not what it should be, and was removed; please try again later.",
        code="model_changed",
    )


def _licence(info: Any) -> str:
    card = info.card_data
    named = card.get("license_name") if card and card.get("license") == "other" else None
    return str(named or (card.get("license") if card else None) or "not stated")


def _refused(name: str, revision: str | None, error: Exception) -> UserError:
    if isinstance(error, GatedRepoError):
        return UserError(
            f"The model {name} is given only to those who accept its licence; accept it on the model's page of the "
            "hub, log in with `hf auth login`, then fetch it again.",
            code="gated_model",
        )
    if isinstance(error, RevisionNotFoundError):
        return UserError(f"The model {name} has no revision {revision}; please correct it.", code="no_model")
    if isinstance(error, HFValidationError):
        return UserError(f"{name!r} is no name of a model; the hub's names look like owner/model.", code="no_model")
    return UserError(
        f"The hub has no model {name}, or none that you may see; please correct the name, or log in with "
        "`hf auth login`.",
        code="no_model",
    )
