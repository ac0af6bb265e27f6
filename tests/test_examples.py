"""The music that `make demo` listens to."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import av
import mido
import pytest

from engine.music.composer import Brief
from engine.music.embedded import write
from engine.music.score import to_midi
from engine.report import silent

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_example_is_a_light_minute_of_tagged_music() -> None:
    path = EXAMPLES / "three-moods.ogg"
    assert path.stat().st_size < 1_500_000
    with av.open(str(path)) as audio:
        assert audio.duration is not None
        assert 60 <= audio.duration / 1e6 <= 90
        assert audio.streams.audio[0].metadata["title"] == "Three moods"


def test_its_score_has_three_moods_at_their_times() -> None:
    file = mido.MidiFile(EXAMPLES / "three-moods.mid")
    now, at = 0.0, {}
    for message in file:
        now += message.time
        if message.type == "marker":
            at[message.text.split()[1]] = now
    assert list(at) == ["tender", "threatened", "joyful"]
    assert list(at.values()) == pytest.approx([0, 24, 46], abs=1e-3)


DEMOS = runpy.run_path(str(EXAMPLES / "demonstrate.py"))["DEMOS"]
DOCS = EXAMPLES.parent / "docs"


@pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.name)
def test_the_demonstration_pieces_are_what_the_composer_writes_now(demo: Any) -> None:
    """If this fails, run `examples/demonstrate.py` and `examples/make_music.py` again, and look at the pictures."""
    assert to_midi(write(demo.brief, silent).score) == (DOCS / "music" / f"{demo.name}.mid").read_bytes()
    text = (DOCS / "music.md").read_text(encoding="utf-8")
    assert f"(music/{demo.name}.mid)" in text and f"(music/{demo.name}.png)" in text


def test_so_is_the_music_of_the_demo() -> None:
    made = runpy.run_path(str(EXAMPLES / "make_music.py"))
    brief = Brief(made["DESCRIPTION"], made["FEELINGS"], 70.0, made["SEED"])
    assert to_midi(write(brief, silent).score) == (EXAMPLES / "three-moods.mid").read_bytes()


def test_the_pictures_are_light() -> None:
    assert sum(path.stat().st_size for path in (DOCS / "music").glob("*.png")) < 1_000_000
