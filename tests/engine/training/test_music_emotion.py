"""The whole training on a tiny data set made here: chords in major and minor, slow and fast, in the sets' layouts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
import torch

from engine.emotion.bilstm import CurveNet, Inputs, Shape, prepare
from engine.emotion.features import NAMES
from engine.emotion.music import MusicEmotion
from engine.errors import UserError
from engine.evaluation import music_emotion as evaluation
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.synth import Synth
from engine.training import music_data, music_emotion, music_folds, render
from engine.training.__main__ import main as train_command
from engine.training.moves import MoveRecipe, read_plainly
from engine.training.music_data import PIANO, STRINGS, Example, Programs, load
from engine.training.music_emotion import Recipe, train
from engine.training.songs import SongRecipe
from tests.engine.emotion.sounds import MAJOR, MINOR, chords

PIANO_ONLY: Programs = {"vgmidi": (PIANO,), "emopia": (PIANO,)}

SMALL = Recipe(
    shape=Shape(features=len(NAMES), project=8, hidden=8, head=16, context_rows=8, moment_rows=3),
    songs=SongRecipe(mixtures=200, steps=150, batch=64),
    moves=MoveRecipe(steps=10, timed=4, joined=4, pool=10, part_rows=(3, 6)),
)
QUICK = replace(SMALL, songs=replace(SMALL.songs, steps=3), moves=replace(SMALL.moves, steps=2))


def _midi(path: Path, quality: tuple[int, ...], beats_per_s: float, velocity: int, bars: int = 2) -> None:
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=round(1e6 / beats_per_s)))
    for beat in range(bars * 4):
        for kind, wait in (("note_on", 0), ("note_off", 480)):
            for i, step in enumerate(quality):
                note = 60 + step + (0, 5, 7, 0)[beat % 4]
                track.append(mido.Message(kind, note=note, velocity=velocity, time=wait if i == 0 else 0))
    file.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    feelings = {"Q1": (MAJOR, 4.0, 110), "Q2": (MINOR, 4.0, 110), "Q3": (MINOR, 1.5, 50), "Q4": (MAJOR, 1.5, 50)}
    clips, pieces, ratings = ["clip,song,split,quadrant"], [], []
    for i, (quadrant, (quality, speed, velocity)) in enumerate(feelings.items()):
        valence, arousal = music_data.QUADRANTS[quadrant]
        for song in range(5):
            part = "val" if song == 4 else "train"
            name = f"{quadrant}_{i}{song}"
            _midi(folder / f"emopia/midi/{name}.mid", quality, speed + 0.1 * song, velocity)
            clips.append(f"{name},{i}{song},{part},{quadrant}")
            midi = f"{i} {song}.mid"
            _midi(folder / "vgmidi/midi" / midi, quality, speed + 0.2 * song, velocity)
            rise = [0.01 * bar for bar in range(2)]
            pieces.append(
                {
                    "midi": midi,
                    "series": f"s{song}",
                    "valence": [0.3 * valence + r for r in rise],
                    "arousal": [0.3 * arousal + r for r in rise],
                }
            )
            level = 0.02 if arousal < 0 else 0.2
            sound = chords(quality, seconds=4, per_second=speed, root=46 + song, level=level)
            track = 10 * i + song
            (folder / "emotify/audio").mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"emotify/audio/{track}.ogg", sound, ANALYSIS_RATE_HZ)
            joy, calm = (valence + 1) / 4 + (arousal + 1) / 8, (1 - arousal) / 4 + (valence + 1) / 8
            ratings.append(f"{track},rock,{joy},{1 - joy},0,0.1,{calm},0.2,0.3,{joy / 2},0.5")
    clips += ["Q1_twice,04,train,Q1"]  # the song of a validation clip: must not be trained on
    _midi(folder / "emopia/midi/Q1_twice.mid", MAJOR, 4.0, 110)
    (folder / "emopia/clips.csv").write_text("\n".join(clips))
    (folder / "vgmidi/pieces.json").write_text(json.dumps(pieces))
    columns = "track,genre,joyful_activation,sadness,tenderness,amazement,calmness,power,tension,nostalgia,solemnity"
    (folder / "emotify/ratings.csv").write_text("\n".join([columns, *ratings]))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def _tell(what: str, done: float) -> None:
    assert what
    assert 0 <= done <= 1


@pytest.fixture(scope="module")
def examples(data: Path, cache: Path) -> list[Example]:
    return load(data, cache, music_emotion.SETS, _tell, PIANO_ONLY)


def test_every_piece_is_read_with_its_labels(examples: list[Example]) -> None:
    assert [sum(e.set == name for e in examples) for name in music_emotion.SETS] == [20, 20, 20]
    first = next(e for e in examples if e.set == "vgmidi")
    assert first.curve is not None
    assert first.place is not None
    assert first.curve.shape == (len(first.rows), 2)
    assert first.curve[0, 0] == pytest.approx(0.3)
    assert (np.diff(first.curve[:, 0]) >= 0).all()  # the bars follow each other
    assert 0 <= first.place.min() < first.place.max() <= 1
    joyful = next(e for e in examples if e.set == "emotify")  # track 0: joy .75, sadness .25, calm .25, power .2 …
    assert joyful.song == pytest.approx((0.75 + 0.1 + 0.25 - 0.3 - 0.25, 0.2 + 0.75 + 0.3 - 0.25 - 0.25))


def test_songs_of_validation_clips_are_not_trained_on(examples: list[Example]) -> None:
    emopia = [e for e in examples if e.set == "emopia"]
    assert "Q1_twice" not in [e.name for e in emopia]
    assert not {e.group for e in emopia if e.part == "val"} & {e.group for e in emopia if e.part == "train"}


def test_features_come_from_the_cache_the_second_time(
    data: Path, cache: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(music_data, "extract", None)
    again = load(data, cache, ("vgmidi",), _tell, PIANO_ONLY)
    kept = [e for e in examples if e.set == "vgmidi"]
    assert all(np.array_equal(a.rows, b.rows) for a, b in zip(kept, again, strict=True))
    assert not list(cache.rglob("*.part"))


def test_what_was_learned_is_heard_in_new_pieces(examples: list[Example]) -> None:
    held = [e for e in examples if (e.set == "vgmidi" and e.group == "s4") or e.part == "val"]
    kept = [e for e in examples if e not in held]
    trained = train(kept, SMALL, 1, _tell, [e for e in examples if e.set == "emotify"])
    found = np.array([trained.hear(e).mean(axis=0) for e in held])
    truth = np.sign(np.array([e.song for e in held]))
    assert ((found > 0) == (truth > 0)).mean(axis=0) == pytest.approx([1, 1], abs=0.2)


def test_the_same_seed_gives_the_same_weights(examples: list[Example]) -> None:
    real = [e for e in examples if e.set == "emotify"]

    def weights(seed: int) -> bytes:
        net = train(examples, QUICK, seed, _tell, real).net
        return b"".join(value.numpy().tobytes() for value in net.state_dict().values())

    assert weights(1) == weights(1) != weights(2)


def test_no_group_is_on_both_sides_of_a_fold(examples: list[Example]) -> None:
    fold = music_folds.fold_of(examples, seed=0)
    assert {key[0] for key in fold} == {"vgmidi", "emotify"}
    assert set(fold.values()) == set(range(music_folds.FOLDS))
    assert fold == music_folds.fold_of(list(reversed(examples)), seed=0)


def test_gems_emotions_are_told_of_held_out_recordings(examples: list[Example]) -> None:
    """Joyful activation follows valence in this set, and solemnity is always the same."""
    real = [e for e in examples if e.set == "emotify"]
    held, kept = real[::4], [e for e in examples if e not in real[::4]]
    trained = train(kept, SMALL, 1, _tell, real)
    told = np.array([trained.gems(e) for e in held])
    truth = np.array([e.gems for e in held])
    joy = music_data.GEMS.index("joyful_activation")
    assert told.shape == (len(held), len(music_data.GEMS))
    assert np.corrcoef(told[:, joy], truth[:, joy])[0, 1] > 0.5
    assert np.isfinite(told).all()


def test_the_error_of_held_out_pieces_is_followed_and_teaches_nothing(examples: list[Example]) -> None:
    kept, held = music_folds.split(examples, 1, 0)
    real = [e for e in examples if e.set == "emotify"]
    watched, alone = (train(kept, QUICK, 1, _tell, real, pieces) for pieces in (held, []))
    assert {part: sorted(curves) for part, curves in watched.losses.items()} == {
        "songs": ["held out (of the raters)", "learned (of the teachers)"],
        "moments": ["held out", "learned"],
    }
    assert [len(c) for curves in watched.losses.values() for c in curves.values()] == [3, 3, 2, 2]
    assert all(value > 0 for curves in watched.losses.values() for c in curves.values() for value in c)
    states = [trained.net.state_dict() for trained in (watched, alone)]
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


def test_the_plain_reading_is_found_at_once() -> None:
    """Valence follows how a moment differs, arousal the place in the piece: both are read without the LSTM."""
    rng = np.random.default_rng(4)
    net = CurveNet(Shape(features=3, project=2, hidden=2, head=2, context_rows=30, moment_rows=2)).eval()
    for name, value in net.named_parameters():
        if name.startswith("song_"):
            torch.nn.init.zeros_(value)
    read = [prepare(rng.normal(size=(40, 3)).astype(np.float32), net.shape) for _ in range(12)]
    pieces = [(parts, np.stack([2 * parts[2][:, 1], 3 * parts[3][:, 0]], axis=1)) for parts in read]
    read_plainly(net, pieces, [], MoveRecipe(stiffness=(1e-7, 1e-7), place_stiffness=1e-7))
    for parts, labels in pieces:
        inputs = Inputs(*(torch.from_numpy(part)[None] for part in parts))
        found = net.differs(inputs, torch.tensor([40]))[0].detach().numpy()
        assert found == pytest.approx(labels - labels.mean(axis=0), abs=0.02)


def test_a_constant_guess_scores_nothing(examples: list[Example]) -> None:
    """The report must not flatter: who always says the same has no correlation and the error of the constant."""
    nothing = [
        music_folds.Guess(e, np.zeros((len(e.rows), 2), np.float32), np.mean([e.song for e in examples], 0), np.ones(2))
        for e in examples
    ]
    report = music_folds.summarise(nothing)
    for found in report.songs.values():
        assert np.isnan(found.r)
        assert found.mae == found.constant_mae
    assert report.emopia == pytest.approx(report.emopia_constant, abs=0.01)


def test_the_command_writes_weights_that_load(
    data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(music_emotion, "PROGRAMS", PIANO_ONLY)
    monkeypatch.setattr(music_emotion, "WIDELY", {"vgmidi": (PIANO, STRINGS)})
    monkeypatch.setattr(music_emotion, "Recipe", lambda: QUICK)
    common = ["music-emotion", "--data", str(data), "--cache", str(cache), "--seed", "3"]
    assert train_command([*common, "--out", str(tmp_path / "all")]) == 0
    assert train_command([*common, "--out", str(tmp_path / "one"), "--sources", "vgmidi"]) == 0
    assert train_command([*common, "--out", str(tmp_path / "wide"), "--sources", "vgmidi", "--widely"]) == 0
    models = [MusicEmotion.load(tmp_path / name) for name in ("all", "one", "wide")]
    assert [model.name for model in models] == ["bilstm-5 (TuneTale)", *["bilstm-5-vgmidi (TuneTale)"] * 2]
    assert [model.config.gems for model in models] == [music_data.GEMS, (), ()]
    assert all(model.listen(chords(seconds=4)).curve.values.shape == (8, 2) for model in models)
    assert len({(tmp_path / name / "model.safetensors").read_bytes() for name in ("all", "one", "wide")}) == 3


def test_a_source_that_is_left_out_teaches_nothing(examples: list[Example]) -> None:
    real = [e for e in examples if e.set == "emotify"]
    rendered = [e for e in examples if e.set == "vgmidi"]
    upside_down = [replace(e, song=(-e.song[0], -e.song[1])) for e in real]
    nets = [train(rendered, QUICK, 1, _tell, unlabelled).net.state_dict() for unlabelled in (real, upside_down)]
    assert all(np.array_equal(nets[0][name], nets[1][name]) for name in nets[0])


def test_the_evaluation_prints_goals_and_controls(
    data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluation, "load", partial(load, programs=PIANO_ONLY))
    monkeypatch.setattr(evaluation, "Recipe", lambda: QUICK)
    monkeypatch.setattr(evaluation, "COMBINATIONS", (("vgmidi",), ("emotify",)))
    monkeypatch.setattr(evaluation, "ablations", lambda: {"all": (QUICK, music_emotion.SETS, (PIANO,))})
    arguments = ["--data", str(data), "--cache", str(cache), "--out", str(tmp_path), "--seeds", "2"]
    assert evaluation.main([*arguments, "--parts", "folds", "sources", "ablation"]) == 0
    printed = capsys.readouterr().out
    for what in (
        "mean of 2 seeds",
        "control",
        "95 % CI",
        *evaluation.GOALS,
        "The paper",
        "emotify",
        "joyful activation",
        "each part adds",
    ):
        assert what in printed, what
    for part in ("songs", "moments"):
        assert (tmp_path / f"music_emotion_{part}.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_left_out_in_the_ablation() -> None:
    rows = evaluation.ablations()
    assert {name: set(music_emotion.SETS) - set(sources) for name, (_, sources, _) in rows.items() if "emotify" in name}
    assert [name for name, (_, sources, _) in rows.items() if len(sources) < 3] == [
        f"without {name}" for name in music_emotion.SETS
    ]
    assert not rows["without teachers (labels alone)"][0].songs.taught
    assert rows["without joined pieces"][0].moves.balance == 0


def test_labels_alone_can_teach_too(examples: list[Example]) -> None:
    alone = replace(SMALL, songs=replace(SMALL.songs, taught=False))
    trained = train(examples, alone, 1, _tell, [e for e in examples if e.set == "emotify"])
    found = np.array([trained.hear(e).mean(axis=0) for e in examples])
    assert ((found > 0) == (np.array([e.song for e in examples]) > 0)).mean() > 0.8


def _first_row(table: Path, row: str) -> None:
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], row, *lines[2:]]))


def _without_a_bar(folder: Path) -> None:
    path = folder / "vgmidi/pieces.json"
    pieces = json.loads(path.read_text())
    pieces[0]["valence"].pop()
    path.write_text(json.dumps(pieces))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda d: (d / "vgmidi/pieces.json").unlink(), "pieces.json is missing"),
        (lambda d: (d / "vgmidi/midi/0 0.mid").unlink(), "0 0.mid is missing"),
        (lambda d: (d / "vgmidi/midi/0 0.mid").write_bytes(b"MThd"), "cannot be read as a MIDI file"),
        (lambda d: (d / "vgmidi/pieces.json").write_text("[{}]"), "is not as expected"),
        (lambda d: (d / "vgmidi/pieces.json").write_bytes(b"\xe8\x00"), "pieces.json is not as expected"),
        (_without_a_bar, "the bars of '0 0.mid'"),
        (lambda d: (d / "emotify/ratings.csv").write_text("track,genre,joy\n"), "has no column 'amazement'"),
        (lambda d: _first_row(d / "emotify/ratings.csv", "0"), "line 2 is too short"),
        (
            lambda d: _first_row(d / "emotify/ratings.csv", "0,rock,nan,0,0,0,0,0,0,0,0"),
            "no number in the row of track 0",
        ),
        (lambda d: (d / "emopia/clips.csv").write_bytes(b"clip\xe8"), "clips.csv is not as expected"),
        (lambda d: (d / "emopia/clips.csv").write_text("clip,song,split,quadrant\na,b,val,Q9\n"), "a.mid is missing"),
    ],
)
def test_spoiled_data_are_one_sentence(
    data: Path, tmp_path: Path, spoil: Callable[[Path], object], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    spoil(copy)
    arguments = ["music-emotion", "--data", str(copy), "--cache", str(tmp_path / "cache"), "--out", str(tmp_path)]
    assert train_command(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_spoiled_recording_is_named(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "emotify", tmp_path / "emotify")
    (tmp_path / "emotify/audio/0.ogg").write_bytes(b"no sound")
    with pytest.raises(UserError, match=r"0\.ogg is not as expected"):
        load(tmp_path, tmp_path / "cache", ("emotify",), _tell)


def test_an_unknown_name_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert train_command(["music"]) == 2
    assert "music-emotion" in capsys.readouterr().err


@pytest.mark.parametrize("program", music_data.FAMILIES)
def test_every_program_is_in_tune(tmp_path: Path, program: int) -> None:
    """Rendered notes lie within 15 cents of equal temperament, by parabolic interpolation of the strongest partial."""
    synth = Synth()
    for note in (48, 60, 69, 79):
        path = tmp_path / f"{note}.mid"
        file = mido.MidiFile(ticks_per_beat=480)
        on, off = (
            mido.Message(kind, note=note, velocity=90, time=t) for kind, t in (("note_on", 0), ("note_off", 1920))
        )
        file.tracks.append(mido.MidiTrack([on, off]))
        file.save(path)
        sound = render.render(render.read_midi(path), synth, program=program, seconds=10.0)
        expected = 440 * 2 ** ((note - 69) / 12)
        window = sound[4_000 : 4_000 + 16_384] * np.hanning(16_384)
        spectrum = np.abs(np.fft.rfft(window, 65_536))
        hz = np.fft.rfftfreq(65_536, 1 / ANALYSIS_RATE_HZ)
        near = (hz > expected * 0.95) & (hz < expected * 1.05)
        found = hz[near][spectrum[near].argmax()]
        assert abs(1200 * np.log2(found / expected)) < 15, (program, note)


def test_rendering_keeps_the_time_of_the_file_and_stops(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    file = mido.MidiFile(ticks_per_beat=480)
    late = mido.Message("note_on", note=60, velocity=100, time=480 * 4)  # 2 s at the default tempo
    file.tracks.append(mido.MidiTrack([late, mido.Message("note_off", note=60, time=480 * 20)]))
    file.save(path)
    sound = render.render(render.read_midi(path), Synth(), program=0, seconds=5.0)
    assert len(sound) <= 5 * ANALYSIS_RATE_HZ
    assert np.abs(sound[: round(1.95 * ANALYSIS_RATE_HZ)]).max() == 0
    assert np.abs(sound[round(2.0 * ANALYSIS_RATE_HZ) : round(2.3 * ANALYSIS_RATE_HZ)]).max() > 0.01


def test_drums_stay_drums(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    file = mido.MidiFile()
    hit = mido.Message("note_on", channel=9, note=38, velocity=100)
    file.tracks.append(mido.MidiTrack([hit, mido.Message("note_off", channel=9, note=38, time=480)]))
    file.save(path)
    midi, synth = render.read_midi(path), Synth()
    one, other = (render.render(midi, synth, program=program, seconds=2.0) for program in (0, 48))
    assert np.abs(one).max() > 0.01
    assert np.array_equal(one, other)


def test_bars_are_counted_through_tempo_changes(tmp_path: Path) -> None:
    """Four bars of 2 s and four of 1 s: at 8 s half of the bars have gone by."""
    path = tmp_path / "a.mid"
    file = mido.MidiFile(ticks_per_beat=480)
    faster = mido.MetaMessage("set_tempo", tempo=250_000, time=480 * 16)
    long = mido.Message("note_off", note=60, time=480 * 16)
    file.tracks.append(mido.MidiTrack([mido.Message("note_on", note=60, velocity=9), faster, long]))
    file.save(path)
    found = render.bar_positions(path, np.array([0.0, 4.0, 8.0, 10.0, 12.0, 99.0]))
    assert found == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1], abs=0.01)
