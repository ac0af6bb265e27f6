"""How fast the composer is and how its pieces differ: `python -m benchmarks.composer`.

Times are warm (models and SoundFont in memory). Of one piece: the best of three, in processor seconds of this process,
and by the clock; the process that plays the other half of the notes comes on top. Of twenty pieces: each once.
Memory is the most that the process ever held, after ten minutes of music, with the two music models.
"""

from __future__ import annotations

import gc
import math
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from engine.emotion.curve import Beat
from engine.emotion.music import MusicEmotion
from engine.media.encode import Tags, encode
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music import mix
from engine.music.arranger import section_chords
from engine.music.composer import Brief, Music
from engine.music.describer import RulesDescriber
from engine.music.duet import Duet
from engine.music.embedded import RATE_HZ, TAIL_S, EmbeddedComposer, write
from engine.music.load import load_composer
from engine.music.score import to_file, to_midi
from engine.music.synth import Synth, to_events
from engine.report import silent
from engine.settings import EngineSettings

ARC = ((0.5, -0.3), (-0.4, -0.4), (-0.5, 0.6), (0.6, 0.6))
GOAL_S = 2.5
GOAL_MIB = 1536
PIECES = 100
STORIES = 20


def brief(seconds: float, seed: int) -> Brief:
    """Hopeful, sad, threatening, joyful, a quarter of the time each."""
    step = seconds / len(ARC)
    beats = tuple(Beat(i * step, (i + 1) * step, v, a, "beat") for i, (v, a) in enumerate(ARC))
    return Brief("", beats, seconds, seed)


def ogg(music: Music, folder: Path) -> None:
    """Encode as the command line does by default."""
    encode(music.samples, music.rate_hz, folder / "music.ogg", "ogg", Tags("benchmark"))


def best(work: Callable[[], object]) -> tuple[float, float]:
    """Return the least processor and clock seconds of three runs."""
    times = []
    for _ in range(3):
        cpu, clock = time.process_time(), time.perf_counter()
        work()
        times.append((time.process_time() - cpu, time.perf_counter() - clock))
    return min(cpu for cpu, _ in times), min(clock for _, clock in times)


def stories() -> Iterator[Brief]:
    """Give briefs of three to six beats anywhere in the plane, described by the rules."""
    rng = np.random.default_rng(1)
    for seed in range(STORIES):
        targets = rng.uniform(-0.8, 0.8, (int(rng.integers(3, 7)), 2))
        borders = np.linspace(0.0, 60.0, len(targets) + 1).tolist()
        beats = tuple(
            Beat(start, end, v, a, "beat")
            for (start, end), (v, a) in zip(pairwise(borders), targets.tolist(), strict=True)
        )
        yield Brief(RulesDescriber().describe(beats, "", seed), beats, 60.0, seed)


def speed(console: Console, folder: Path) -> None:
    """Time every step for 60 s of music, the whole, and the whole for ten minutes; sound files go into `folder`."""
    torch.set_num_threads(1)
    synth, players, composer, asked, settings = Synth(), Duet(), EmbeddedComposer(), brief(60.0, 2), EngineSettings()
    steered, listener, music = load_composer(settings), MusicEmotion.load(), composer.compose(asked, silent)
    gc.freeze()  # as a worker does
    piece = write(asked, silent)
    file = to_file(piece.score)
    dry = players.render(file, RATE_HZ)
    treble = [(section.start_s, section.character.treble_db) for section in piece.form.sections]
    steps: dict[str, Callable[[], object]] = {
        "write (form, harmony, melody, parts)": lambda: write(asked, silent),
        "MIDI file": lambda: to_midi(piece.score),
        "play (SoundFont), one process": lambda: synth.play(to_events(file, RATE_HZ), RATE_HZ),
        "play (SoundFont), two": lambda: players.render(file, RATE_HZ),
        "mix (room, loudness, peaks)": lambda: mix.finish(dry.copy(), RATE_HZ, 60.0, TAIL_S, treble, lambda _: None),
        "60 s, not steered": lambda: composer.compose(asked, silent),
        "one sketch, heard": lambda: listener.listen(composer.sketch(asked, ANALYSIS_RATE_HZ)),
        "ogg": lambda: ogg(music, folder),
        f"60 s, {settings.stages.sketches} sketches, ogg (goal {GOAL_S} s)": lambda: ogg(
            steered.compose(asked, silent), folder
        ),
    }
    table = Table("step", "processor s", "clock s", title="60 s of music")
    for name, work in steps.items():
        table.add_row(name, *(f"{value:.2f}" for value in best(work)))
    console.print(table)
    took = []
    for told in stories():
        start = time.perf_counter()
        ogg(steered.compose(told, silent), folder)
        took.append(time.perf_counter() - start)
    console.print(f"{STORIES} stories so: {min(took):.2f} to {max(took):.2f} s, median {median(took):.2f} s")
    start = time.perf_counter()
    steered.compose(brief(600.0, 2), silent)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"600 s: {time.perf_counter() - start:.1f} s, at most {peak_mib:.0f} MiB (goal {GOAL_MIB} MiB)")


def variety(console: Console) -> None:
    """Compare a hundred pieces for the same feelings: first eight chords, and first intervals of the tune."""
    chords: Counter[tuple[str, ...]] = Counter()
    tunes: Counter[tuple[int, ...]] = Counter()
    styles: Counter[str] = Counter()
    for seed in range(PIECES):
        piece = write(brief(60.0, seed), silent)
        slots = [slot for i in range(len(piece.form.sections)) for slot in section_chords(piece.form, i, seed)]
        chords[tuple(slot[2].numeral for slot in slots[:8])] += 1
        lead = [note for part in piece.score.parts if part.name.startswith("lead") for note in part.notes]
        tune = [note.pitch for note in sorted(lead, key=lambda note: note.start)[:9]]
        tunes[tuple(b - a for a, b in pairwise(tune))] += 1
        styles[piece.cast.style.name] += 1
    console.print(f"{PIECES} pieces for the same feelings: {len(tunes)} tunes, {len(chords)} progressions;")
    console.print(f"entropy {entropy(tunes):.2f} and {entropy(chords):.2f} bits of {math.log2(PIECES):.2f};")
    console.print("styles: " + ", ".join(f"{name} {count}" for name, count in styles.most_common()))


def entropy(counts: Counter[tuple[str, ...]] | Counter[tuple[int, ...]]) -> float:
    """Shannon entropy in bits."""
    total = sum(counts.values())
    return -sum(n / total * math.log2(n / total) for n in counts.values())


def main() -> None:
    """Print speed, memory and variety."""
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        speed(console, Path(scratch))
    variety(console)


if __name__ == "__main__":
    main()
