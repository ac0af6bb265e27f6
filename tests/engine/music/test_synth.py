from __future__ import annotations

import threading
from io import BytesIO
from pathlib import Path

import mido
import numpy as np
import pytest

from engine.errors import UserError
from engine.music.soundfont import BUNDLED
from engine.music.synth import TAIL_S, VOICES, Synth, _timed, to_events
from tests.engine.music.pitch import RATE_HZ, pitch_of

NOTE_S = 0.6
IN_TUNE_CENTS = 15.0

PIANO, NYLON, BASS, VIOLIN, OBOE = 0, 24, 33, 40, 68


def scale(program: int, pitches: list[int], velocity: int = 90, channel: int = 0) -> bytes:
    """One note after the other, NOTE_S each."""
    track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=program)])
    for pitch in pitches:
        track.append(mido.Message("note_on", channel=channel, note=pitch, velocity=velocity))
        track.append(mido.Message("note_off", channel=channel, note=pitch, time=round(NOTE_S * 960)))
    file, out = mido.MidiFile(ticks_per_beat=480), BytesIO()
    file.tracks.append(track)
    file.save(file=out)
    return out.getvalue()


@pytest.fixture(scope="module")
def synth() -> Synth:
    return Synth()


def test_messages_are_timed_as_mido_times_them() -> None:
    """Tracks are merged in order, tempi hold from where they stand, and the longest track says where the piece ends."""
    notes = [mido.Message("note_on", note=60 + i, velocity=80, time=100 * (i % 3)) for i in range(9)]
    end = mido.MetaMessage("end_of_track", time=777)
    tempi = [mido.MetaMessage("set_tempo", tempo=300_000 + 70_001 * i, time=130 * i) for i in range(4)]
    for kind, tracks in ((0, [notes]), (1, [tempi, notes, [*notes[::-1], end]]), (1, [[]]), (1, [])):
        file = mido.MidiFile(type=kind, ticks_per_beat=480, tracks=[mido.MidiTrack(track) for track in tracks])
        now, expected = 0.0, []
        for message in file:
            now += message.time
            expected.append((now, message.copy(time=0)))
        assert [(at, message.copy(time=0)) for at, message in _timed(file)] == expected


@pytest.mark.parametrize("program", [PIANO, NYLON, BASS, VIOLIN, OBOE])
def test_every_pitch_is_in_tune(synth: Synth, program: int) -> None:
    pitches = list(range(40, 73))
    mono = synth.render(scale(program, pitches)).mean(axis=1)
    for i, pitch in enumerate(pitches):
        steady = mono[int((i + 0.2) * NOTE_S * RATE_HZ) : int((i + 0.9) * NOTE_S * RATE_HZ)]
        assert abs(pitch_of(steady) - pitch) * 100 <= IN_TUNE_CENTS, f"program {program}, pitch {pitch}"


def test_sound_begins_with_its_note_and_rings_out(synth: Synth) -> None:
    samples = synth.render(scale(PIANO, [60, 64]))
    assert samples.dtype == np.float32
    assert samples.shape[1] == 2
    assert np.abs(samples[: int(0.02 * RATE_HZ)]).max() > 1e-4
    seconds = len(samples) / RATE_HZ
    assert seconds == pytest.approx(2 * NOTE_S + TAIL_S, abs=0.01)
    assert np.abs(samples[-100:]).max() < 1e-3


def test_another_rate_keeps_time_and_pitch(synth: Synth) -> None:
    half = synth.render(scale(PIANO, [69]), rate_hz=RATE_HZ // 2).mean(axis=1)
    twice = np.repeat(half, 2)[int(0.1 * RATE_HZ) : int(NOTE_S * RATE_HZ)]
    assert abs(pitch_of(twice) - 69) < 0.1


def test_velocity_is_loudness(synth: Synth) -> None:
    soft, loud = (np.abs(synth.render(scale(PIANO, [60], velocity))).max() for velocity in (40, 110))
    assert loud > 2 * soft


def test_with_few_voices_every_note_still_begins(synth: Synth) -> None:
    """Harp strings that would ring on together: the tails are cut, the onsets are not."""
    file = mido.MidiFile(file=BytesIO(scale(46, list(range(48, 84)))))
    for message in file.tracks[0]:
        message.time //= 12
    events = to_events(file, RATE_HZ)
    rich, poor = (np.abs(synth.play(events, RATE_HZ, voices).mean(axis=1)) for voices in (VOICES, 2))
    onset = np.arange(36) * NOTE_S / 12
    for at in onset:
        struck = slice(round((at + 0.01) * RATE_HZ), round((at + 0.05) * RATE_HZ))
        assert poor[struck].max() > 0.3 * rich[struck].max()
    assert np.square(poor).sum() < 0.8 * np.square(rich).sum()


def test_channel_ten_is_percussion(synth: Synth) -> None:
    drum = synth.render(scale(0, [38], channel=9))
    tone = synth.render(scale(0, [38], channel=0))
    flatness = [np.mean(np.abs(np.fft.rfft(x[: RATE_HZ // 4, 0])[2_000:5_000])) for x in (drum, tone)]
    assert flatness[0] > 10 * flatness[1]


def test_same_bytes_alone_and_beside_other_threads(synth: Synth) -> None:
    pieces = [scale(program, [48, 60, 67]) for program in (PIANO, VIOLIN, OBOE, BASS)]
    alone = [synth.render(piece).tobytes() for piece in pieces]
    beside: dict[int, bytes] = {}

    def play(i: int) -> None:
        beside[i] = synth.render(pieces[i % 4]).tobytes()

    threads = [threading.Thread(target=play, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [beside[i] for i in range(8)] == alone * 2


def test_missing_soundfont_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        Synth(tmp_path / "none.sf2")
    assert error.value.code == "soundfont_missing"
    assert "none.sf2" in error.value.message
    with pytest.raises(UserError):
        Synth(tmp_path)


def _damaged(kind: str) -> bytes:
    data = bytearray(BUNDLED.read_bytes())
    if kind == "text":
        return b"not a SoundFont at all"
    if kind == "empty":
        return b""
    if kind == "cut":
        return bytes(data[: len(data) - 1000])
    if kind == "overwritten header":
        data[8:12] = b"WAVE"
        return bytes(data)
    table, offset = {"preset index": (b"phdr", 24), "sample index": (b"shdr", 20), "bag": (b"ibag", 0)}[kind]
    at = data.index(table, len(data) // 2) + 8
    data[at + offset + 4] = 0xFF
    data[at + offset : at + offset + 2] = b"\xff\xff"
    return bytes(data)


@pytest.mark.parametrize("kind", ["text", "empty", "cut", "overwritten header", "preset index", "sample index", "bag"])
def test_damaged_soundfont_is_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "broken.sf2"
    path.write_bytes(_damaged(kind))
    with pytest.raises(UserError) as error:
        Synth(path)
    assert error.value.code == "soundfont_damaged"
    assert error.value.message.count(". ") == 0


def test_a_copy_of_the_soundfont_plays_the_same(tmp_path: Path, synth: Synth) -> None:
    path = tmp_path / "copy.sf2"
    path.write_bytes(BUNDLED.read_bytes())
    piece = scale(PIANO, [60])
    assert Synth(path).render(piece).tobytes() == synth.render(piece).tobytes()
