"""The Python environment in which audiocraft runs: where it is, whether it is whole, how it is built. Imports no torch.

audiocraft pins libraries that the rest of TuneTale cannot live with, so its worker has an environment of its own, which
holds all that a worker needs, and speaks the same pipe.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.errors import UserError
from engine.settings import EngineSettings

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
LISTS = tuple(HERE / f"requirements{part}.txt" for part in ("-torch", "", "-alone"))
WORKER = "engine.music.audiocraft.worker"
READY = "tunetale-ready"
"""File in a whole environment; it holds the hash of the lists that the environment was built from."""
LOG = "tunetale-setup.log"

Tell = Callable[[int, int, str], None]
"""Told (step, steps, line) as the work goes on."""


def environment_folder(settings: EngineSettings) -> Path:
    """Return where the environment is: as the settings say, or beside the one in which this program runs."""
    if settings.audiocraft.environment:
        return Path(settings.audiocraft.environment).absolute()
    ours = Path(sys.prefix)
    return ours.with_name(f"{ours.name}-audiocraft")


def python_in(folder: Path) -> Path:
    """Return the environment's interpreter."""
    return folder / "bin" / "python"


def is_ready(folder: Path) -> bool:
    """Tell whether an environment was built to its end, from the lists as they are now."""
    try:
        return python_in(folder).exists() and (folder / READY).read_text(encoding="utf-8") == _fingerprint()
    except OSError:
        return False


def worker_command(settings: EngineSettings) -> tuple[str, ...]:
    """Return what starts a worker for these settings. Raises `UserError` when its environment is not there.

    A fresh interpreter, since a device cannot be used after a fork; -P: nothing is imported from the current folder.
    """
    if settings.stages.backend("composer") != "audiocraft":
        return (sys.executable, "-P", "-m", "engine.worker")
    folder = environment_folder(settings)
    if not is_ready(folder):
        raise UserError(
            f"The composer audiocraft wants an environment of its own, and there is none (or an old one) in {folder}; "
            "please run `tunetale setup audiocraft`.",
            code="no_environment",
        )
    return (str(python_in(folder)), "-P", "-m", WORKER)


def build(folder: Path, tell: Tell, *, index: str = "", torch_index: str = "") -> None:
    """Build the environment, or bring it up to date; `index` and `torch_index` are package indexes to use instead.

    Raises `UserError` with one sentence when it fails; what was installed stays, and the next run goes on from it.
    """
    constraints = ROOT / "constraints.txt"
    if not constraints.is_file():
        raise UserError(
            "The environment for audiocraft is built from a checkout of TuneTale; please clone it and `make setup`.",
            code="no_checkout",
        )
    pip = [str(python_in(folder)), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    if index:
        pip += ["--index-url", index]
    torch_list, own_list, alone_list = map(str, LISTS)
    steps: list[list[str]] = [
        [sys.executable, "-m", "venv", str(folder)],
        [*pip, *(["--index-url", torch_index] if torch_index else []), "-r", torch_list],
        [*pip, "-c", str(constraints), "-r", torch_list, "-r", own_list, "-e", str(ROOT)],
        [*pip, "--no-deps", "-r", alone_list],
        [str(python_in(folder)), "-P", "-c", f"import {WORKER} as worker; worker.check()"],
    ]
    (folder / READY).unlink(missing_ok=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOG).open("w", encoding="utf-8") as log:
            for number, step in enumerate(steps, 1):

                def heard(line: str, number: int = number) -> None:
                    log.write(line)
                    tell(number, len(steps), line.strip())

                _run(step, heard, folder)
        (folder / READY).write_text(_fingerprint(), encoding="utf-8")
    except OSError as error:
        raise UserError(f"The environment {folder} cannot be written: {error.strerror}.", code="no_space") from error


def _run(step: Sequence[str], heard: Callable[[str], object], folder: Path) -> None:
    """Run a step, passing on what it prints. Raises `UserError` with its last word when it fails."""
    errors: list[str] = []
    with subprocess.Popen(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as child:
        assert child.stdout is not None
        for line in child.stdout:
            heard(line)
            if line.strip():
                errors = [*errors[-20:], line.strip()]
    if child.returncode != 0:
        told = next((line for line in errors if line.startswith("ERROR:")), errors[-1] if errors else "no reason given")
        raise UserError(
            f"The environment for audiocraft could not be built ({told.removeprefix('ERROR:').strip().rstrip('.')}); "
            f"{folder / LOG} has all that was said; please correct it and run `tunetale setup audiocraft` again.",
            code="no_environment",
        )


def _fingerprint() -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in LISTS)).hexdigest()
