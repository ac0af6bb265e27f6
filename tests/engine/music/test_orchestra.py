from __future__ import annotations

from io import BytesIO

import mido
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.music.orchestra import INSTRUMENTS, STYLES, Instrument, cast, choose_style, quadrant
from engine.music.synth import Synth
from tests.engine.music.pitch import RATE_HZ, cents_off

NOTE_S = 1.2
IN_TUNE_CENTS = 15.0


@pytest.fixture(scope="module")
def synth() -> Synth:
    return Synth()


def chromatic(instrument: Instrument) -> bytes:
    track = mido.MidiTrack([mido.Message("program_change", program=instrument.program)])
    for pitch in range(instrument.low, instrument.high + 1):
        track.append(mido.Message("note_on", note=pitch, velocity=90))
        track.append(mido.Message("note_off", note=pitch, time=round(NOTE_S * 960)))
    file, out = mido.MidiFile(ticks_per_beat=480), BytesIO()
    file.tracks.append(track)
    file.save(file=out)
    return out.getvalue()


@pytest.mark.parametrize("name", list(INSTRUMENTS))
def test_every_pitch_of_every_instrument_is_in_tune(synth: Synth, name: str) -> None:
    instrument = INSTRUMENTS[name]
    mono = synth.render(chromatic(instrument)).mean(axis=1)
    for i, pitch in enumerate(range(instrument.low, instrument.high + 1)):
        steady = mono[int((i * NOTE_S + 0.08) * RATE_HZ) : int((i + 0.97) * NOTE_S * RATE_HZ)]
        assert abs(cents_off(steady, pitch)) <= IN_TUNE_CENTS, f"{name}, pitch {pitch}"


def test_a_wrong_pitch_would_be_noticed() -> None:
    t = np.arange(round(NOTE_S * RATE_HZ)) / RATE_HZ
    hz = 440 * 2 ** (20 / 1200)

    def note(at_hz: float) -> NDArray[np.float32]:
        harmonics = [np.sin(2 * np.pi * k * at_hz * t) / k for k in (1, 2, 3, 4)]
        total: NDArray[np.float32] = np.sum(harmonics, axis=0, dtype=np.float32)
        return total

    sharp = note(hz)
    assert cents_off(sharp, 69) == pytest.approx(20, abs=1)
    for other in (68, 70, 57, 81, 76, 62):
        assert abs(cents_off(sharp, other)) > IN_TUNE_CENTS
    assert abs(cents_off(note(hz / 8), 33)) > IN_TUNE_CENTS


def test_styles_name_known_instruments_and_distinct_words() -> None:
    words = [word for style in STYLES.values() for word in style.words]
    assert len(words) == len(set(words))
    for style in STYLES.values():
        for names in (*style.lead, *style.figure, style.counter, *style.pad, *style.bass):
            assert names
            assert set(names) <= set(INSTRUMENTS)
        for name in {name for names in style.bass for name in names}:
            assert INSTRUMENTS[name].low <= 36


def test_volume_balances_loud_and_quiet_instruments() -> None:
    loud, quiet = INSTRUMENTS["trumpet"], INSTRUMENTS["piano"]
    assert loud.volume(-30) < quiet.volume(-30) <= 127
    gain_db = 60 * np.log10(loud.volume(-30) / 127)
    assert loud.level + gain_db == pytest.approx(-30, abs=0.5)


@pytest.mark.parametrize(
    ("description", "style"),
    [
        ("A hopeful acoustic folk tune with nylon guitar", "folk"),
        ("Sad ambient electronic pad", "electronic"),
        ("An epic orchestral theme with rock drums", "orchestral"),
        ("Slow JAZZ, saxophone", "jazz"),
    ],
)
def test_description_names_the_style(description: str, style: str) -> None:
    assert all(choose_style([(0, 0)], seed, description).name == style for seed in range(5))


def test_words_inside_other_words_do_not_count() -> None:
    found = {choose_style([(0.1, -0.3)], seed, "Popular rocking disbanded jazzy").name for seed in range(40)}
    assert len(found) >= 4


def test_style_follows_feeling_and_seed() -> None:
    calm = [choose_style([(0.2, -0.6)], seed).name for seed in range(200)]
    wild = [choose_style([(0.1, 0.7)], seed).name for seed in range(200)]
    assert calm.count("chamber") > wild.count("chamber")
    assert wild.count("band") > calm.count("band")
    assert len(set(calm)) >= 4


def test_cast_is_fixed_by_seed_and_fits_sixteen_channels() -> None:
    for style in STYLES.values():
        for seed in range(20):
            players = cast(style, seed)
            assert players == cast(style, seed)
            places = {("lead", p) for p in (*players.lead, players.counter)} | {("figure", p) for p in players.figure}
            places |= {("counter", players.counter), *(("pad", p) for p in players.pad)}
            places |= {("bass", p) for p in players.bass}
            assert len(places) <= 15


def test_quadrants() -> None:
    assert [quadrant(v, a) for v, a in ((0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5))] == [0, 1, 2, 3]
