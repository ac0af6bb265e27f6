"""Makes the eight demonstration pieces of `docs/music.md`: a score, and a picture to look at, of each.

Run from the root of the repository: `.venv/bin/python examples/demonstrate.py [--sound DIR]`. The pieces are written
without steering, so that they do not depend on any weights: the same version gives the same notes. With `--sound` they
can be heard as well. Prints what was measured in each.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.signal import spectrogram

from engine.emotion.curve import Beat
from engine.media.encode import Tags, encode
from engine.music import mix
from engine.music.composer import Brief, Music
from engine.music.embedded import Composition, EmbeddedComposer, write
from engine.music.score import TICKS
from engine.report import silent

TARGET = Path(__file__).parent.parent / "docs" / "music"
SECONDS = 40.0
ROLES = {"lead": "tab:red", "counter": "tab:orange", "figure": "tab:green", "pad": "tab:gray", "bass": "tab:blue"}
matplotlib.rcParams.update({"font.size": 7, "axes.linewidth": 0.5})


@dataclass(frozen=True)
class Demo:
    """A name, the feelings (valence, arousal) in equal parts of the time, a description, and a seed."""

    name: str
    feelings: tuple[tuple[float, float], ...]
    description: str
    seed: int

    @property
    def brief(self) -> Brief:
        """The brief of the piece."""
        step = SECONDS / len(self.feelings)
        beats = (Beat(i * step, (i + 1) * step, v, a, "wanted") for i, (v, a) in enumerate(self.feelings))
        return Brief(self.description, tuple(beats), SECONDS, self.seed)


DEMOS = (
    Demo("joy", ((0.6, 0.6),), "A pop and rock track.", 11),
    Demo("anger", ((-0.6, 0.65),), "A cinematic orchestral piece.", 12),
    Demo("grief", ((-0.55, -0.5),), "A chamber piece.", 13),
    Demo("peace", ((0.5, -0.6),), "An acoustic folk tune.", 14),
    Demo("neutral", ((0.0, 0.0),), "A jazz tune.", 15),
    Demo("rising", ((-0.4, -0.4), (0.0, 0.1), (0.5, 0.6)), "A cinematic orchestral piece.", 16),
    Demo("falling", ((0.5, 0.5), (-0.3, 0.3), (-0.4, -0.5)), "An electronic track.", 17),
    Demo("there-and-back", ((0.4, -0.3), (-0.5, 0.6), (0.4, -0.3)), "A chamber piece.", 18),
)


def draw(path: Path, demo: Demo, music: Music, piece: Composition) -> None:
    """Draw waveform, spectrogram and piano roll below each other over the same seconds."""
    figure = Figure(figsize=(7.5, 4.6), dpi=80, layout="constrained")
    wave, picture, roll = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2, 2.4))
    mono = music.samples.mean(axis=1)
    step = music.rate_hz // 40
    blocks = mono[: len(mono) // step * step].reshape(-1, step)
    at = np.arange(len(blocks)) * step / music.rate_hz
    wave.fill_between(at, blocks.min(axis=1), blocks.max(axis=1), color="tab:blue", linewidth=0)
    wave.set(ylim=(-1, 1), ylabel="amplitude", title=f"{demo.name}: {piece.cast.style.name}, seed {demo.seed}")
    hz, seconds, power = spectrogram(mono, music.rate_hz, nperseg=4096, noverlap=0)
    kept = (hz > 30) & (hz < 12_000)
    level = np.maximum(10 * np.log10(power[kept] + 1e-14), -110)
    picture.pcolormesh(seconds, hz[kept], level, cmap="magma", vmin=-110, vmax=-35, shading="nearest", rasterized=True)
    picture.set(yscale="log", ylabel="Hz")
    clock = seconds_at(piece)
    for part in piece.score.parts:
        if part.name != "percussion":
            starts, ends = (clock([n.start + k * n.length for n in part.notes]) for k in (0, 1))
            color = ROLES[part.name.split(":")[0]]
            roll.hlines([n.pitch for n in part.notes], starts, ends, color=color, linewidth=1.6, label=part.name)
    for section in piece.form.sections:
        roll.axvline(section.start_s, color="black", linewidth=0.5, linestyle=":")
        roll.text(section.start_s + 0.2, 97, f"{section.key.name}, {60 / section.quarter_s:.0f}", va="top")
    roll.set(ylim=(26, 98), xlim=(0, music.duration_s), ylabel="MIDI pitch", xlabel="s")
    roll.legend(fontsize=5, ncols=3, loc="lower right", framealpha=0.7)
    picture_bytes = BytesIO()
    figure.savefig(picture_bytes)
    Image.open(picture_bytes).convert("RGB").quantize(48).save(path, optimize=True)  # a repository should stay light


def seconds_at(piece: Composition) -> Callable[[list[float]], NDArray[np.float64]]:
    """Return the function from ticks to seconds."""
    ticks, quarter_s = (np.array(column) for column in zip(*piece.score.tempi, strict=True))
    begins = np.concatenate([[0.0], np.cumsum(np.diff(ticks) / TICKS * quarter_s[:-1])])

    def clock(at: list[float]) -> NDArray[np.float64]:
        at_ticks = np.array(at)
        k = np.searchsorted(ticks, at_ticks, side="right") - 1
        seconds: NDArray[np.float64] = begins[k] + (at_ticks - ticks[k]) / TICKS * quarter_s[k]
        return seconds

    return clock


def measures(music: Music, piece: Composition) -> str:
    """Say in one line what was measured: loudness, peak, keys, tempi, players."""
    loudness = mix.integrated_loudness(music.samples, music.rate_hz)
    peak = 20 * np.log10(mix.true_peak(music.samples))
    sections = "; ".join(f"{s.key.name} {60 / s.quarter_s:.0f} bpm {s.transform}" for s in piece.form.sections)
    players = ", ".join(part.name for part in piece.score.parts)
    return f"{loudness:.1f} LUFS, {peak:.1f} dBTP, {music.duration_s:.1f} s | {sections} | {players}"


def main() -> None:
    """Compose, measure, draw."""
    parser = argparse.ArgumentParser(description="Makes the demonstration pieces of docs/music.md.")
    parser.add_argument("--sound", type=Path, help="folder for the pieces as ogg")
    sound: Path | None = parser.parse_args().sound
    TARGET.mkdir(exist_ok=True)
    composer = EmbeddedComposer()
    for demo in DEMOS:
        piece, music = write(demo.brief, silent), composer.compose(demo.brief, silent)
        assert music.midi is not None
        (TARGET / f"{demo.name}.mid").write_bytes(music.midi)
        draw(TARGET / f"{demo.name}.png", demo, music, piece)
        print(f"{demo.name}: {measures(music, piece)}")  # noqa: T201
        if sound is not None:
            sound.mkdir(parents=True, exist_ok=True)
            tags = Tags(title=f"TuneTale: {demo.name}", comment=f"made by TuneTale, seed {demo.seed}")
            encode(music.samples, music.rate_hz, sound / f"{demo.name}.ogg", "ogg", tags)


if __name__ == "__main__":
    main()
