from __future__ import annotations

from io import BytesIO

import mido
import pretty_midi
import pytest

from engine.music.score import TICKS, Note, Part, Score, to_midi, without_overlaps


def score(*notes: Note) -> Score:
    part = Part("lead", "lead: flute", 2, 73, 90, 40, tuple(notes))
    return Score(
        title="Ein Stück – 曲",
        meter=3,
        parts=(part,),
        tempi=((0, 0.5), (TICKS * 4, 1.0)),
        markers=((0, "1: calm (C major)"), (TICKS * 3, "2: wild (A minor)")),
        keys=((0, "C"), (TICKS * 3, "Am")),
        expression=((0, 2, 100), (0, 5, 80)),
    )


def test_midi_says_what_the_score_says() -> None:
    data = to_midi(score(Note(0, TICKS, 60, 80), Note(TICKS * 4, TICKS * 2, 64, 100)))
    read = pretty_midi.PrettyMIDI(BytesIO(data))
    (flute,) = read.instruments
    assert (flute.program, flute.name) == (73, "lead: flute")
    assert [(n.start, n.end, n.pitch, n.velocity) for n in flute.notes] == [
        pytest.approx((0.0, 0.5, 60, 80)),
        pytest.approx((2.0, 4.0, 64, 100)),
    ]
    assert [(c.number, c.value) for c in flute.control_changes] == [(7, 90), (10, 40), (11, 100)]
    assert read.time_signature_changes[0].numerator == 3
    assert [k.key_number for k in read.key_signature_changes] == [0, 21]


def test_markers_and_title_travel_along() -> None:
    conductor = mido.MidiFile(file=BytesIO(to_midi(score(Note(0, 10, 60, 80))))).tracks[0]
    assert [m.text for m in conductor if m.type == "marker"] == ["1: calm (C major)", "2: wild (A minor)"]
    assert next(m.name for m in conductor if m.type == "track_name") == "Ein St?ck ? ?"


def test_seconds_follow_the_tempo_map() -> None:
    assert [score().seconds_at(TICKS * q) for q in (0, 2, 4, 6)] == [0.0, 1.0, 2.0, 4.0]


def test_a_repeated_pitch_is_released_before_it_is_struck() -> None:
    data = to_midi(score(Note(0, TICKS, 60, 80), Note(TICKS, TICKS, 60, 80)))
    kinds = [m.type for m in mido.MidiFile(file=BytesIO(data)).tracks[1] if m.type.startswith("note")]
    assert kinds == ["note_on", "note_off", "note_on", "note_off"]


def test_overlaps_are_cut_and_doubles_dropped() -> None:
    notes = [
        Note(0, 500, 60, 70),
        Note(300, 100, 60, 70),
        Note(0, 500, 60, 90),
        Note(100, 500, 64, 70),
        Note(9, 0, 1, 1),
    ]
    assert without_overlaps(notes) == (Note(0, 300, 60, 90), Note(100, 500, 64, 70), Note(300, 100, 60, 70))
