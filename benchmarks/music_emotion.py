"""How fast music becomes a curve, on one thread: `python -m benchmarks.music_emotion`.

The peer is the chain as librosa's tutorials write it: each descriptor computed from the samples by a call of its own,
at librosa's default hop. openSMILE's figures were measured elsewhere and stand there for orientation. How good the
curves are is printed by `tunetale evaluate music-emotion --data DIR`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import psutil
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engine.emotion.features import extract
from engine.emotion.music import MusicEmotion
from engine.media.decode import decode
from engine.media.encode import Tags, encode
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.report import silent
from engine.settings import MediaLimits

SECONDS = 180
LONG_SECONDS = 600
MP3_RATE_HZ = 44_100
RUNS = 5
"""Each time is the least of so many runs: other work on the machine only ever adds."""
MIB = 2**20


def main() -> None:
    """Print the table."""
    if os.environ.get("OMP_NUM_THREADS") != "1":  # read when the libraries start, so it must be there before
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "benchmarks.music_emotion"], env=environment, check=True)
        return
    torch.set_num_threads(1)
    cold = time.perf_counter()
    model = MusicEmotion.load()
    loaded = time.perf_counter()
    model.listen(_music(3))
    first = time.perf_counter()
    music = _music(SECONDS)
    features = extract(music)
    table = Table("one thread", "time", "× real time", "goal")

    def row(what: str, seconds: float, goal: str = "") -> None:
        table.add_row(what, f"{seconds:.3f} s", f"{SECONDS / seconds:,.0f}", goal)

    row("samples → features", _least(lambda: extract(music)))
    row("features → curve", _least(lambda: model.judge(features)))
    row("samples → curve", _least(lambda: model.listen(music)), "≥ 600")
    with tempfile.TemporaryDirectory() as folder:
        mp3 = Path(folder) / "music.mp3"
        stereo = np.repeat(soxr.resample(music, ANALYSIS_RATE_HZ, MP3_RATE_HZ)[:, None], 2, axis=1)
        encode(stereo, MP3_RATE_HZ, mp3, "mp3", Tags("benchmark"))

        def hear_confined() -> None:
            model.listen(decode(mp3, mp3.name, MediaLimits(), Path(folder), silent).samples)

        def hear_here() -> None:
            samples, rate = soundfile.read(mp3, dtype="float32")
            model.listen(soxr.resample(samples.mean(axis=1), rate, ANALYSIS_RATE_HZ))

        row("mp3 file → curve, decoded in this process", _least(hear_here), "≥ 300")
        row("mp3 file → curve, decoded in a confined child as in the product", _least(hear_confined))
    row("naive librosa chain, separate calls", _least(lambda: _naive(music), runs=1))
    table.add_row("openSMILE eGeMAPS / ComParE (one thread, measured on a like machine)", "", "70 / 77", "")
    table.add_row("load the weights", f"{loaded - cold:.3f} s", "", "")
    table.add_row("first piece (3 s) after loading", f"{first - loaded:.3f} s", "", "")
    long = _music(LONG_SECONDS)
    table.add_row(
        "memory added by a 10-minute piece", f"{_added_mib(lambda: model.listen(long)):.0f} MiB", "", "≤ 1,024"
    )
    Console(width=110).print(table)


def _music(seconds: int) -> NDArray[np.float32]:
    """Chords of plucked sawtooth-like notes over noise: every descriptor has something to do."""
    rng = np.random.default_rng(1)
    t = np.arange(ANALYSIS_RATE_HZ // 2) / ANALYSIS_RATE_HZ
    notes = 110 * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11], (seconds * 2, 3)) / 12)
    partials = np.arange(1, 9)
    chords = [
        (np.sin(2 * np.pi * t[:, None, None] * f[:, None] * partials) / partials).sum(axis=(1, 2)) * np.exp(-4 * t)
        for f in notes
    ]
    sound = 0.1 * np.concatenate(chords)
    return (sound + rng.normal(0, 0.005, len(sound))).astype(np.float32)


def _naive(y: NDArray[np.float32]) -> None:
    for feature in (
        librosa.feature.rms, librosa.feature.spectral_centroid, librosa.feature.spectral_bandwidth,
        librosa.feature.spectral_rolloff, librosa.feature.spectral_flatness, librosa.feature.spectral_contrast,
        librosa.feature.zero_crossing_rate, librosa.feature.mfcc, librosa.feature.chroma_stft, librosa.feature.tonnetz,
        librosa.onset.onset_strength, librosa.feature.tempogram,
    ):  # fmt: skip
        feature(y=y)


def _least(work: Callable[[], object], runs: int = RUNS) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _added_mib(work: Callable[[], object]) -> float:
    """Peak of this process's memory while `work` runs, above what it had before."""
    process, done = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return (peak - before) / MIB


if __name__ == "__main__":
    main()
