from __future__ import annotations

import gc
import logging
import signal
import subprocess
import threading
from io import BytesIO
from pathlib import Path

import mido
import numpy as np
import pytest

from engine.errors import UserError
from engine.music import duet
from engine.music.duet import Duet, halves, serve
from engine.music.soundfont import BUNDLED
from engine.music.synth import DRUM_CHANNEL, Events, Kind, Samples, Synth, to_events

RATE_HZ = 22_050
QUARTER = 240
"""Ticks; half a second at the tempo that files have by default is 480."""


def piece(program: int = 48, seconds: float = 3.0) -> mido.MidiFile:
    """Chords of strings, a kick and a closed and an open hi-hat by turns, a swell."""
    file = mido.MidiFile(type=1, ticks_per_beat=480)
    chords, drums = mido.MidiTrack(), mido.MidiTrack()
    chords.append(mido.Message("program_change", program=program))
    for beat in range(round(seconds * 4)):
        chords.append(mido.Message("control_change", control=11, value=90 + beat % 30))
        pitches = (60, 64, 67) if beat % 4 < 2 else (60, 65, 69)
        chords += [mido.Message("note_on", note=pitch, velocity=80) for pitch in pitches]
        chords += [mido.Message("note_off", note=pitch, time=QUARTER if pitch == 60 else 0) for pitch in pitches]
        for key in (36, 42 if beat % 2 else 46):
            drums.append(mido.Message("note_on", channel=DRUM_CHANNEL, note=key, velocity=90))
            drums.append(mido.Message("note_off", channel=DRUM_CHANNEL, note=key, time=QUARTER // 2))
    file.tracks += [chords, drums]
    return file


def alone(file: mido.MidiFile, rate_hz: int = RATE_HZ) -> Samples:
    """What must be heard, whoever plays."""
    synth = Synth()
    first, second = (synth.play(half, rate_hz, 96) for half in halves(to_events(file, rate_hz)))
    return first + second


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has."""
    monkeypatch.setattr(duet, "processors", lambda: 2)


def process_of(players: Duet) -> subprocess.Popen[bytes]:
    assert players._partner is not None
    return players._partner._process


def strokes(events: Events) -> list[tuple[int, int, int]]:
    """(frame, channel, pitch) of the notes that begin."""
    return [
        (frame, status & 0x0F, pitch)
        for frame, status, pitch, velocity in events.rows.tolist()
        if status & 0xF0 == Kind.NOTE_ON and velocity
    ]


def test_halves_share_the_notes_and_both_have_the_rest() -> None:
    events = to_events(piece(), RATE_HZ)
    first, second = halves(events)
    assert sorted(strokes(first) + strokes(second)) == sorted(strokes(events))
    for string in {(channel, pitch) for _, channel, pitch in strokes(events)}:
        here, there = (sum(stroke[1:] == string for stroke in strokes(half)) for half in (first, second))
        assert abs(here - there) <= 1 or string in {(DRUM_CHANNEL, hat) for hat in duet.HATS}
    controls = [row for row in events.rows.tolist() if row[1] & 0xF0 not in (Kind.NOTE_ON, Kind.NOTE_OFF)]
    for half in (first, second):
        assert [row for row in half.rows.tolist() if row in controls] == controls
        assert half.frames == events.frames
    assert not any(channel == DRUM_CHANNEL and pitch in duet.HATS for _, channel, pitch in strokes(second))


def test_notes_of_one_pitch_alternate_and_end_where_they_began() -> None:
    for half in halves(to_events(piece(), RATE_HZ)):
        sounding: set[tuple[int, int]] = set()
        for _, status, pitch, _ in half.rows.tolist():
            string = (status & 0x0F, pitch)
            if status & 0xF0 == Kind.NOTE_ON:
                assert string not in sounding
                sounding.add(string)
            elif status & 0xF0 == Kind.NOTE_OFF:
                sounding.remove(string)
        assert not sounding
        at = [frame for frame, channel, pitch in strokes(half) if (channel, pitch) == (0, 60)]
        assert np.diff(at).min() == pytest.approx(RATE_HZ / 2, abs=1)  # every other one, a quarter of a second apart


@pytest.mark.usefixtures("two_processors")
def test_two_play_what_one_plays() -> None:
    players, file = Duet(), piece()
    together = players.render(file, RATE_HZ)
    assert together.tobytes() == alone(file).tobytes()
    whole = Synth().play(to_events(file, RATE_HZ), RATE_HZ).astype(np.float64)
    assert ((together - whole) ** 2).sum() < 0.005 * (whole**2).sum()  # envelopes move in steps that events begin anew


@pytest.mark.usefixtures("two_processors")
def test_a_partner_plays_again_and_longer_than_a_pipe_holds() -> None:
    players = Duet()
    players.render(piece(), RATE_HZ)
    process = process_of(players)
    file = piece(program=0, seconds=5.0)
    assert players.render(file, 44_100).tobytes() == alone(file, 44_100).tobytes()
    assert process_of(players) is process


def test_one_processor_plays_both_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duet, "processors", lambda: 1)
    players = Duet()
    assert players.render(piece(), RATE_HZ).tobytes() == alone(piece()).tobytes()
    assert players._partner is None


@pytest.mark.usefixtures("two_processors")
def test_while_the_partner_is_busy_another_thread_plays_both_halves() -> None:
    players, entered, go_on = Duet(), threading.Event(), threading.Event()
    heard: list[Samples] = []

    def wait(_: float) -> None:
        entered.set()
        assert go_on.wait(60)

    first = threading.Thread(target=lambda: heard.append(players.render(piece(), RATE_HZ, progress=wait)))
    first.start()
    assert entered.wait(60)
    assert players.render(piece(), RATE_HZ).tobytes() == alone(piece()).tobytes()
    go_on.set()
    first.join()
    assert heard[0].tobytes() == alone(piece()).tobytes()


@pytest.mark.usefixtures("two_processors")
@pytest.mark.parametrize("when", ["before", "while"])
def test_nothing_is_lost_when_the_partner_dies(when: str, caplog: pytest.LogCaptureFixture) -> None:
    players, file = Duet(), piece()
    players.render(file, RATE_HZ)
    process = process_of(players)

    def kill(_: float) -> None:
        process.kill()
        process.wait()

    if when == "before":
        kill(0)
    with caplog.at_level(logging.WARNING):
        assert players.render(file, RATE_HZ, progress=kill).tobytes() == alone(file).tobytes()
    assert [record.message for record in caplog.records] == [
        "the process that plays the other half has ended; its half is played here"
    ]
    assert players.render(file, RATE_HZ).tobytes() == alone(file).tobytes()
    assert process_of(players) is not process


@pytest.mark.usefixtures("two_processors")
def test_where_no_process_can_be_started_both_halves_are_played_here(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    players = Duet()
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with caplog.at_level(logging.WARNING):
        assert players.render(piece(), RATE_HZ).tobytes() == alone(piece()).tobytes()
    assert "no process can be started" in caplog.text
    monkeypatch.undo()
    monkeypatch.setattr(duet, "processors", lambda: 2)
    assert players.render(piece(), RATE_HZ).tobytes() == alone(piece()).tobytes()
    assert players._partner is not None


@pytest.mark.usefixtures("two_processors")
def test_a_cancelled_piece_leaves_nothing_for_the_next() -> None:
    players = Duet()

    def cancel(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        players.render(piece(program=19), RATE_HZ, progress=cancel)
    assert process_of(players).returncode is not None
    assert players.render(piece(), RATE_HZ).tobytes() == alone(piece()).tobytes()


@pytest.mark.usefixtures("two_processors")
def test_who_waits_for_the_partner_may_cancel() -> None:
    players = Duet()
    players.render(piece(), RATE_HZ)
    process = process_of(players)
    process.send_signal(signal.SIGSTOP)
    told: list[float] = []

    def cancel(fraction: float) -> None:
        told.append(fraction)
        if fraction == 1.0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        players.render(piece(), RATE_HZ, progress=cancel)
    assert told == sorted(told) and process.returncode is not None


def test_progress_goes_on_while_both_halves_are_played_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duet, "processors", lambda: 1)
    told: list[float] = []
    Duet().render(piece(), RATE_HZ, progress=told.append)
    assert told == sorted(told)
    assert any(0 < fraction <= 0.5 for fraction in told) and any(0.5 < fraction <= 1 for fraction in told)


@pytest.mark.usefixtures("two_processors")
def test_the_partner_goes_with_the_duet() -> None:
    players = Duet()
    players.render(piece(), RATE_HZ)
    process = process_of(players)
    assert process.poll() is None
    del players
    gc.collect()
    assert process.returncode is not None


def test_the_partner_ends_when_nobody_asks_any_more() -> None:
    events = to_events(piece(), RATE_HZ)
    asked = duet._HEADER.pack(RATE_HZ, 96, events.frames, len(events.rows)) + events.rows.tobytes()
    out = BytesIO()
    serve(BUNDLED, BytesIO(asked * 2), out)
    assert out.getvalue() == 2 * Synth().play(events, RATE_HZ, 96).tobytes()


def without_violin() -> bytes:
    """The bundled SoundFont, in which preset 40 of bank 0 has moved to bank 77."""
    data = bytearray(BUNDLED.read_bytes())
    start = data.index(b"phdr", len(data) // 2) + 8
    for at in range(start, start + int.from_bytes(data[start - 4 : start], "little"), 38):
        if data[at + 20 : at + 24] == bytes((40, 0, 0, 0)):
            data[at + 22] = 77
            return bytes(data)
    raise AssertionError("no violin")


@pytest.mark.usefixtures("two_processors")
def test_a_soundfont_without_the_program_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "no violin.sf2"
    path.write_bytes(without_violin())
    players = Duet(path)
    with pytest.raises(UserError) as error:
        players.render(piece(program=40), RATE_HZ)
    assert error.value.code == "soundfont_incomplete"
    assert "no violin.sf2 has no instrument for General MIDI program 41" in error.value.message
    assert players.render(piece(program=0), RATE_HZ).any()
    assert capfd.readouterr().err == ""
