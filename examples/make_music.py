"""Makes `three-moods.ogg` and `three-moods.mid`, the piece that `make demo` listens to.

The music is our own: TuneTale's composer wrote it from the three feelings below. Run from the root of the repository:
`.venv/bin/python examples/make_music.py`; the same version gives the same notes.
"""

from __future__ import annotations

from pathlib import Path

from engine.emotion.curve import Beat
from engine.media.encode import Tags, encode
from engine.music.composer import Brief
from engine.music.embedded import EmbeddedComposer
from engine.report import silent

HERE = Path(__file__).parent
NAME = "three-moods"
SEED = 8
DESCRIPTION = "An acoustic folk tune."
MAX_BYTES = 1_400_000
"""A repository should stay light."""

FEELINGS = (
    Beat(0.0, 24.0, 0.55, -0.6, "tender"),
    Beat(24.0, 46.0, -0.65, 0.65, "threatened"),
    Beat(46.0, 70.0, 0.7, 0.55, "joyful"),
)


def main() -> None:
    """Compose, play and encode the piece."""
    brief = Brief(DESCRIPTION, FEELINGS, FEELINGS[-1].end_s, SEED)
    music = EmbeddedComposer().compose(brief, silent)
    assert music.midi is not None
    (HERE / f"{NAME}.mid").write_bytes(music.midi)
    tags = Tags(title="Three moods", artist="TuneTale", comment=f"made by TuneTale, seed {SEED}")
    encode(music.samples, music.rate_hz, HERE / f"{NAME}.ogg", "ogg", tags, max_bytes=MAX_BYTES)


if __name__ == "__main__":
    main()
