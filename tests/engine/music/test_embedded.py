from __future__ import annotations

import threading
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest

from engine.emotion.beats import beats_of_sentences
from engine.emotion.calibration import Calibration
from engine.emotion.curve import Beat
from engine.emotion.words import Words
from engine.errors import Cancelled, UserError
from engine.music import mix
from engine.music.arranger import section_chords
from engine.music.composer import Brief, Composer, Music
from engine.music.embedded import EmbeddedComposer, write, written
from engine.music.orchestra import INSTRUMENTS
from engine.music.score import to_midi
from engine.music.theory import scale_over
from engine.report import silent
from tests.engine.music.briefs import ARC, brief

SEEDS = range(8)
STYLES = ("chamber", "orchestral", "folk", "band", "electronic", "jazz")


@pytest.fixture(scope="module")
def composer() -> EmbeddedComposer:
    return EmbeddedComposer()


@pytest.fixture(scope="module")
def music(composer: EmbeddedComposer) -> Music:
    return composer.compose(brief(seconds=20.0), silent)


def test_it_is_a_composer(composer: EmbeddedComposer) -> None:
    same: Composer = composer
    assert same.name


def test_audio_keeps_the_contract(music: Music) -> None:
    assert music.rate_hz == 44_100
    assert music.samples.dtype == np.float32
    assert music.samples.shape[1] == 2
    assert 20.0 <= music.duration_s <= 24.0
    assert np.isfinite(music.samples).all()
    assert mix.integrated_loudness(music.samples, 44_100) == pytest.approx(-16, abs=1)
    assert 20 * np.log10(mix.true_peak(music.samples)) <= -1.0


def test_no_hole_and_both_channels_differ(music: Music) -> None:
    tenths = music.samples[: 20 * 44_100].reshape(-1, 4410 * 5, 2)
    assert (np.sqrt((tenths**2).mean(axis=(1, 2))) > 10 ** (-50 / 20)).all()
    left, right = music.samples.T
    assert 0.1 < np.corrcoef(left, right)[0, 1] < 0.99


def test_no_clicks_where_sections_meet(music: Music) -> None:
    """The waveform is no steeper around a join than it is elsewhere."""
    steep = np.abs(np.diff(music.samples, n=2, axis=0)).max(axis=1)
    usual = np.quantile(steep, 0.9999)
    for second in (5.0, 10.0, 15.0):
        at = int(second * 44_100)
        assert steep[at - 2000 : at - 200].max() < 3 * usual


@pytest.mark.parametrize("where", ["alone", "beside"])
def test_same_brief_same_bytes(composer: EmbeddedComposer, music: Music, where: str) -> None:
    found: dict[int, Music] = {}

    def run(i: int) -> None:
        found[i] = composer.compose(brief(seconds=20.0) if i == 0 else brief(seconds=11.0, seed=i), silent)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(1 if where == "alone" else 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0].midi == music.midi
    assert found[0].samples.tobytes() == music.samples.tobytes()


def test_midi_holds_title_markers_and_what_was_played(music: Music) -> None:
    assert music.midi is not None
    file = mido.MidiFile(file=BytesIO(music.midi))
    markers = [m.text for m in file.tracks[0] if m.type == "marker"]
    assert [text.split()[1] for text in markers] == ["word0", "word1", "word2", "word3"]
    read = pretty_midi.PrettyMIDI(BytesIO(music.midi))
    assert sum(len(part.notes) for part in read.instruments) > 100
    assert 20.0 <= read.get_end_time() <= 22.5


def test_sections_begin_with_their_beats() -> None:
    score = write(brief(seconds=37.0), silent).score
    assert [score.seconds_at(at) for at, _ in score.markers] == pytest.approx([0, 9.25, 18.5, 27.75], abs=1e-6)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_note_can_be_played(style: str, seed: int) -> None:
    piece = write(brief(seed=seed, description=f"{style} music"), silent)
    assert piece.cast.style.name == style
    channels = [part.channel for part in piece.score.parts]
    assert len(set(channels)) == len(channels) <= 16
    for part in piece.score.parts:
        assert part.notes
        assert all(1 <= note.velocity <= 127 for note in part.notes)
        if part.channel != 9:
            instrument = INSTRUMENTS[part.name.split(": ")[1]]
            assert all(instrument.low <= note.pitch <= instrument.high for note in part.notes), part.name
        last: dict[int, int] = {}
        for note in part.notes:
            assert note.start >= last.get(note.pitch, 0)
            last[note.pitch] = note.start + note.length


@pytest.mark.parametrize("seed", SEEDS)
def test_notes_belong_to_their_harmony(seed: int) -> None:
    """Lead, figure and pad sing the scale over the chord of the moment, whatever the key."""
    piece = write(brief(seed=seed), silent)
    strange = total = 0
    for i, section in enumerate(piece.form.sections):
        start = section.first_bar * piece.form.bar_ticks
        end = start + section.bars * piece.form.bar_ticks
        slots = section_chords(piece.form, i, seed)
        for part in piece.score.parts:
            if part.name.split(":")[0] not in ("lead", "figure", "pad"):
                continue
            for note in part.notes:
                if start + 60 <= note.start < end - 60:
                    quarters = (note.start - start + 40) / 480
                    chord = [slot[2] for slot in slots if slot[0] <= quarters][-1]
                    total += 1
                    strange += note.pitch % 12 not in scale_over(section.key, chord)
    assert total > 100
    assert strange <= 0.02 * total


@pytest.mark.parametrize("seed", SEEDS)
def test_the_end_is_a_tonic_chord_that_rings_out(seed: int) -> None:
    piece = write(brief(seed=seed), silent)
    section, bar = piece.form.sections[-1], piece.form.bar_ticks
    final = (section.first_bar + section.bars - 1) * bar
    sounding = {n.pitch % 12 for p in piece.score.parts if p.channel != 9 for n in p.notes if n.start >= final - 20}
    assert section.key.tonic in sounding
    bass = [n for p in piece.score.parts if p.name.startswith("bass") for n in p.notes if n.start >= final - 20]
    assert {note.pitch % 12 for note in bass} == {section.key.tonic}
    end_s = max(piece.score.seconds_at(n.start + n.length) for p in piece.score.parts for n in p.notes)
    assert 40.5 < end_s < 42.0


def lively(points: tuple[tuple[float, float], ...], seed: int) -> tuple[float, float, float]:
    """Notes a second, mean velocity, mean pitch of the lead."""
    score = write(brief(points, 30.0, seed), silent).score
    notes = [note for part in score.parts for note in part.notes]
    lead = [note.pitch for part in score.parts if part.name.startswith("lead") for note in part.notes]
    return len(notes) / 30, float(np.mean([n.velocity for n in notes])), float(np.mean(lead))


@pytest.mark.parametrize("valence", [-0.6, 0.6])
def test_arousal_is_density_loudness_and_height(valence: float) -> None:
    rows = [np.mean([lively(((valence, a),), seed) for seed in range(4)], axis=0) for a in (-0.7, 0.0, 0.7)]
    for calm, wild in pairwise(rows):
        assert wild[0] > 1.4 * calm[0]
        assert wild[1] > calm[1] + 5
        assert wild[2] > calm[2]


def test_two_seeds_differ_in_tune_and_chords() -> None:
    pieces = [write(brief(seed=seed), silent) for seed in range(12)]
    tunes, chords = set(), set()
    for seed, piece in enumerate(pieces):
        lead = sorted(
            n for p in piece.score.parts if p.name.startswith("lead") for n in ((m.start, m.pitch) for m in p.notes)
        )
        tunes.add(tuple((b[1] - a[1]) for a, b in pairwise(lead[:12])))
        chords.add(tuple(slot[2].numeral for i in range(4) for slot in section_chords(piece.form, i, seed)))
    assert len(tunes) == len(chords) == 12


def test_seed_alone_changes_the_midi() -> None:
    assert to_midi(write(brief(seed=1), silent).score) != to_midi(write(brief(seed=2), silent).score)


@pytest.mark.parametrize(
    ("points", "seconds"),
    [(ARC * 3, 10.0), (((0.0, 0.0),), 10.0), (((1.0, 1.0), (-1.0, -1.0)), 600.0), (ARC * 30, 61.3)],
)
def test_odd_but_valid_briefs(points: tuple[tuple[float, float], ...], seconds: float) -> None:
    score = write(brief(points, seconds), silent).score
    end_s = max(score.seconds_at(n.start + n.length) for part in score.parts for n in part.notes)
    assert seconds <= end_s <= seconds + 2.0


@pytest.mark.parametrize("sentences", ["one", "many", "neutral"])
@pytest.mark.parametrize("seconds", [10.0, 60.0])
def test_any_number_of_sentences_and_no_feeling_at_all(sentences: str, seconds: float) -> None:
    """As `compose` does it: one sentence is carried through three beats, five hundred share ten at most."""
    values = {
        "one": np.array([[0.5, -0.3]]),
        "many": np.random.default_rng(1).uniform(-1, 1, (500, 2)),
        "neutral": np.zeros((30, 2)),
    }[sentences].astype(np.float32)
    calibration = Calibration.load()
    beats = beats_of_sentences(values, [40] * len(values), seconds, Words.load(), calibration)
    assert 3 <= len(beats) <= 10
    piece = write(Brief("", beats, seconds, 5), silent)
    lead = [note for part in piece.score.parts if part.name.startswith("lead") for note in part.notes]
    assert len({note.pitch for note in lead}) >= 3  # also what feels nothing is a tune
    end_s = max(piece.score.seconds_at(n.start + n.length) for part in piece.score.parts for n in part.notes)
    assert seconds <= end_s <= seconds + 2.0


@pytest.mark.parametrize("seconds", [0.0, 9.9, 601.0, 10_000.0, float("nan")])
def test_length_outside_the_range(composer: EmbeddedComposer, seconds: float) -> None:
    with pytest.raises(UserError) as error:
        composer.compose(Brief("", (Beat(0, 10, 0, 0, "calm"),), seconds, 1), silent)
    assert error.value.code == "bad_seconds"


def test_brief_without_beats_or_with_nan(composer: EmbeddedComposer) -> None:
    with pytest.raises(UserError) as error:
        composer.compose(Brief("", (), 20.0, 1), silent)
    assert error.value.code == "no_beats"
    with pytest.raises(UserError) as error:
        composer.compose(Brief("", (Beat(0, 20, float("nan"), 0, "x"),), 20.0, 1), silent)
    assert error.value.code == "bad_beats"


def test_missing_soundfont(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        EmbeddedComposer(tmp_path / "none.sf2")


def test_progress_rises_to_one(composer: EmbeddedComposer) -> None:
    told: list[tuple[str, float]] = []
    composer.compose(brief(seconds=12.0), lambda stage, fraction: told.append((stage, fraction)))
    fractions = [fraction for _, fraction in told]
    assert {stage for stage, _ in told} == {"compose"}
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0 and fractions[-1] == 1.0
    assert len(fractions) > 15


@pytest.mark.parametrize("at", [0.05, 0.4, 0.75])
def test_cancel_ends_it_in_every_step(composer: EmbeddedComposer, at: float) -> None:
    def stop(stage: str, fraction: float) -> None:
        if fraction >= at:
            raise Cancelled

    with pytest.raises(Cancelled):
        composer.compose(brief(seconds=12.0), stop)


def test_a_draft_that_was_read_is_not_written_again() -> None:
    asked = brief(seed=3)
    assert written(asked) is written(replace(asked))
    assert written(asked) == write(asked, silent)
    assert written(brief(seed=4)) != written(asked)
