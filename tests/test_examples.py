"""The music that `make demo` listens to."""

from __future__ import annotations

from pathlib import Path

import av
import mido
import pytest

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
