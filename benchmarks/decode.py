"""How long reading three minutes of music takes: our confined child beside librosa and PyAV inside the process.

python benchmarks/decode.py
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import librosa
import numpy as np

from engine.jobs import AudioFormat
from engine.media.decode import decode
from engine.media.encode import Tags, encode
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.report import silent
from engine.settings import MediaLimits

SECONDS, RATE_HZ, ROUNDS = 180, 44_100, 5
FORMATS: tuple[AudioFormat, ...] = ("mp3", "ogg", "flac", "wav")


def _music() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    random = np.random.default_rng(0)
    time_s = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (220.0, 277.2, 329.6)) / 6
    noise = random.standard_normal((len(time_s), 2)) * 0.02
    return (np.asarray(chord)[:, None] + noise).astype(np.float32)


def _by_pyav(path: Path) -> int:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=ANALYSIS_RATE_HZ)
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return sum(frame.samples for frame in frames)


def _best_s(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Print one table: seconds of wall-clock time, the best of ROUNDS."""
    print(f"| {SECONDS} s of music | TuneTale (child) | PyAV (in process) | librosa.load |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        music = _music()
        for format in FORMATS:
            path = folder / f"music.{format}"
            encode(music, RATE_HZ, path, format, Tags("benchmark"))
            ours = _best_s(lambda path=path: decode(path, path.name, MediaLimits(), folder, silent))  # type: ignore[misc]
            pyav = _best_s(lambda path=path: _by_pyav(path))  # type: ignore[misc]
            theirs = _best_s(lambda path=path: librosa.load(path, sr=ANALYSIS_RATE_HZ))  # type: ignore[misc]
            print(f"| {format} | {ours:.2f} s | {pyav:.2f} s | {theirs:.2f} s |")


if __name__ == "__main__":
    main()
