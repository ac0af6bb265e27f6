"""A small corpus to begin with: a short recording of every kind that is read, and configurations of every shape."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.engine.media.sounds import by_av, by_soundfile, tone

_SECONDS = 0.3
_EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def decode() -> Iterator[bytes]:
    """Yield recordings of a third of a second: they are small, and every byte of a header counts."""
    low, high = tone(_SECONDS, 16_000, 1), tone(_SECONDS, 48_000, 2)
    makers: tuple[Callable[[Path], Path], ...] = (
        lambda path: by_av(path, low, 16_000, "mp3", "libmp3lame", title="x"),
        lambda path: by_av(path, high, 48_000, "ogg", "libopus", title="x"),
        lambda path: by_av(path, high, 48_000, "ipod", "aac"),
        lambda path: by_av(path, low, 16_000, "ipod", "alac"),
        lambda path: by_av(path, low, 16_000, "adts", "aac"),
        lambda path: by_av(path, high, 48_000, "webm", "libopus"),
        lambda path: by_av(path, low, 16_000, "mp4", "aac", picture=True),
        lambda path: by_soundfile(path, low, 16_000, "FLAC", title="x"),
        lambda path: by_soundfile(path, low, 16_000, "WAV"),
        lambda path: by_soundfile(path, low, 16_000, "WAV", "IMA_ADPCM"),
        lambda path: by_soundfile(path, low, 16_000, "WAV", "FLOAT"),
        lambda path: by_soundfile(path, low, 16_000, "OGG", "VORBIS"),
        lambda path: by_soundfile(path, low, 16_000, "AIFF"),
    )
    with tempfile.TemporaryDirectory() as folder:
        for number, make in enumerate(makers):
            yield make(Path(folder) / str(number)).read_bytes()


def config() -> Iterator[bytes]:
    """Yield the example, each of its sections alone, and mistakes of each kind."""
    text = _EXAMPLE.read_text(encoding="utf-8")
    yield text.encode()
    for section in text.split("\n[")[1:]:
        yield f"[{section}".encode()
    yield from (
        b"[engine.media]\nmax_second = 60\n[zebra]\nx = 1\n",
        b"engine = 5\n[store]\npath = 3",
        b"[discord]\ntoken = 987654321\nservers = [1, 'x']",
        b"[engine.stages]\nstoryteller = 'transfromers'",
        b"[votes]\nmismatch = nan\nplain = -inf\nrepeat = 1e999",
        b"[limits]\nowners = [['a'], {b = 1979-05-27T07:32:00Z}]",
        b"[store]\npath = \n[engine]",
        "[store]\npath = '資料\u202e.sqlite'".encode(),
        b"\xff\xfe[store]",
    )


SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {"decode": decode, "config": config}
