"""Turns a file of any accepted kind into a `Recording`, or refuses it in one sentence.

Opens, weighs and hashes the file here; its bytes are parsed only in a confined child (`decode_child`). Knows the limits
and the words; knows no codec.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import math
import os
import signal
import stat
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from engine.errors import Crashed, TuneTaleError, UserError, disk_full
from engine.media.child import ChildDied, ChildTimeout, run_child
from engine.media.limits import Confinement
from engine.media.recording import ANALYSIS_RATE_HZ, Recording
from engine.media.sniff import Kind, sniff
from engine.media.titles import clean_title, title_from_name
from engine.report import Report
from engine.settings import MediaLimits

_log = logging.getLogger(__name__)

ACCEPTED = "mp3, wav, flac, ogg, opus, m4a, webm or mp4"
"""What people are told to send."""

SILENCE = 10 ** (-60 / 20)
"""Amplitude of −60 dBFS: a piece without one second (RMS) above it is silent."""
_DC = 1e-3
"""A larger constant offset is taken off; a smaller one changes no feature, and the samples stay as they were."""
_ABSURD = 2.0**31
"""Float files may hold integers' ranges, and are turned down; larger numbers are no sound."""
_CHILD_MEMORY_BYTES = 1 << 30
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM)
"""Signals that the bytes of a file cannot send: the system was short of memory, or somebody ended the child."""
_CHUNK_BYTES = 1 << 20


def decode(path: Path, name: str, limits: MediaLimits, folder: Path, report: Report) -> Recording:
    """Return the piece in the file at `path`, that the person called `name`; scratch files live in `folder` meanwhile.

    Blocking. What is readable of a cut or partly damaged file counts when it is long enough. Raises `UserError` with
    one of the codes missing_file, is_directory, not_a_file, unreadable, empty_file, too_large, not_audio, damaged,
    no_sound, unknown_codec, sample_rate, channels, silent, too_short, too_long, timeout; `Transient` (disk_full),
    `Crashed` when somebody else killed the child, and whatever `report` raises.
    """
    shown = clean_title(name, "This file")
    report("decode", 0.0)
    with _open(path, shown, limits) as file:
        kind = sniff(file)
        if kind is None:
            raise UserError(f"“{shown}” is not a recording; please send {ACCEPTED}.", code="not_audio")
        sha256 = _hash(file, report)
        samples, facts = _parse(file, kind, shown, limits, folder, report, mean=True)
        if _is_silent(samples) and facts["channels"] > 1:
            # Channels in opposite phase cancel out in the mean.
            samples, facts = _parse(file, kind, shown, limits, folder, report, mean=False)
    seconds = len(samples) / ANALYSIS_RATE_HZ
    if seconds < limits.min_seconds:
        raise UserError(
            f"“{shown}” is too short: {seconds:.1f} s of sound; at least {limits.min_seconds:g} s are needed.",
            code="too_short",
        )
    if _is_silent(samples):
        raise UserError(f"“{shown}” is silent; please send a recording with sound.", code="silent")
    report("decode", 1.0)
    return Recording(samples, clean_title(facts["title"], title_from_name(name)), sha256)


def spoken_length(seconds: float) -> str:
    """Return a length as people say it: `45 s`, `15 min`, `17 min 5 s`, `10 h`."""
    whole = max(1, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = [f"{hours} h" * (hours > 0), f"{minutes} min" * (minutes > 0), f"{rest} s" * (rest > 0 and not hours)]
    return " ".join(part for part in parts if part)


def _open(path: Path, shown: str, limits: MediaLimits) -> BinaryIO:
    """Open a regular, readable file that is neither empty nor too large."""
    try:
        # Not blocking: a named pipe would wait for its writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"There is no file “{shown}”; please check the path.", code="missing_file") from None
    except (OSError, ValueError):
        raise UserError(f"“{shown}” cannot be read; please check its permissions.", code="unreadable") from None
    facts = os.fstat(descriptor)
    problem: UserError | None = None
    if stat.S_ISDIR(facts.st_mode):
        problem = UserError(f"“{shown}” is a folder; please name a recording in it.", code="is_directory")
    elif not stat.S_ISREG(facts.st_mode):
        problem = UserError(f"“{shown}” is not an ordinary file; please send {ACCEPTED}.", code="not_a_file")
    elif facts.st_size == 0:
        problem = UserError(f"“{shown}” is empty; please send it again.", code="empty_file")
    elif facts.st_size > limits.max_bytes:
        problem = UserError(
            f"“{shown}” is too large: {_megabytes(facts.st_size)}; the limit is {_megabytes(limits.max_bytes)}.",
            code="too_large",
        )
    if problem is not None:
        os.close(descriptor)
        raise problem
    return os.fdopen(descriptor, "rb")


def _hash(file: BinaryIO, report: Report) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        report("decode", 0.0)
    return digest.hexdigest()


def _parse(
    file: BinaryIO, kind: Kind, shown: str, limits: MediaLimits, folder: Path, report: Report, *, mean: bool
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Have the child decode; return clean samples [n] and what it said about the file."""
    most_bytes = 4 * (int(limits.max_seconds) + 3) * ANALYSIS_RATE_HZ
    confinement = Confinement(
        memory_bytes=_CHILD_MEMORY_BYTES, cpu_s=math.ceil(limits.decode_timeout_s) + 1, file_bytes=most_bytes
    )
    with tempfile.TemporaryFile(dir=folder) as out:
        request = {
            "kind": kind,
            "max_seconds": limits.max_seconds,
            "rate_hz": ANALYSIS_RATE_HZ,
            "mean": mean,
            "out": out.fileno(),
        }
        try:
            facts = run_child(
                "engine.media.decode_child",
                request,
                confinement,
                timeout_s=limits.decode_timeout_s,
                stage="decode",
                report=report,
                folder=folder,
                stdin=file,
                pass_fds=(out.fileno(),),
            )
        except ChildTimeout:
            raise UserError(
                f"Reading “{shown}” took longer than {spoken_length(limits.decode_timeout_s)}; "
                "please convert it to mp3 or ogg and send that.",
                code="timeout",
            ) from None
        except ChildDied as death:
            if death.signal in _FROM_OUTSIDE:
                raise Crashed("The process that read this recording was ended, so the request was given up.") from death
            raise _damaged(shown) from None
        if "refused" in facts:
            raise _refusal(facts, shown, limits)
        out.seek(0)
        samples = np.fromfile(out, dtype="<f4").astype(np.float32, copy=False)
    if not isinstance(facts.get("title"), str) or not isinstance(facts.get("channels"), int):
        raise _damaged(shown)
    if len(samples) == 0 or not np.abs(samples).max() < _ABSURD:  # not a number is not smaller either
        raise _damaged(shown)
    return _centre(samples), facts


def _centre(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take off a constant offset, and bring overs of float and lossy formats back to full scale."""
    offset = float(samples.mean(dtype=np.float64))
    if abs(offset) > _DC:
        samples = samples - np.float32(offset)
    peak = float(np.abs(samples).max())
    return samples / np.float32(peak) if peak > 1.0 else samples


def _is_silent(samples: NDArray[np.float32]) -> bool:
    whole = len(samples) // ANALYSIS_RATE_HZ * ANALYSIS_RATE_HZ
    seconds = samples[:whole].reshape(-1, ANALYSIS_RATE_HZ)
    return not (np.sqrt(np.mean(np.square(seconds), axis=1, dtype=np.float64)) > SILENCE).any()


def _damaged(shown: str) -> UserError:
    return UserError(
        f"“{shown}” is damaged or protected and cannot be played; please send another copy.", code="damaged"
    )


def _refusal(facts: dict[str, Any], shown: str, limits: MediaLimits) -> TuneTaleError:
    """Say in words what the child refused; its facts are a stranger's data."""
    code = str(facts["refused"])
    _log.info("refused a file: %.600s", facts)
    most = spoken_length(limits.max_seconds)
    if code == "too_long":
        length = _number(facts.get("seconds"))
        by = f"it lasts {spoken_length(length)} and the limit is {most}" if length else f"it is longer than {most}"
        return UserError(f"“{shown}” is too long: {by}; please cut it.", code=code)
    if code == "no_sound":
        return UserError(f"“{shown}” has no sound track; please send a recording with sound.", code=code)
    if code == "unknown_codec":
        return UserError(
            f"The sound in “{shown}” is coded in a way that is not read here; please send {ACCEPTED}.", code=code
        )
    if code == "sample_rate":
        rate = _number(facts.get("rate_hz"))
        return UserError(f"“{shown}” has a sample rate of {rate:.0f} Hz; 8,000 to 192,000 Hz are read.", code=code)
    if code == "channels":
        channels = _number(facts.get("channels"))
        return UserError(f"“{shown}” has {channels:.0f} channels; 1 to 8 are read.", code=code)
    if code == "write" and facts.get("errno") in (errno.ENOSPC, errno.EDQUOT):
        return disk_full()
    return _damaged(shown)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 10_000_000 else f"{size / 1e6:.0f} MB"
