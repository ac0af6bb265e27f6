from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.emotion.bilstm import PLACE_COLUMNS, CurveNet, Inputs, Shape, context, places, prepare
from engine.emotion.features import NAMES, Features
from engine.emotion.music import CONFIG_FILE, WEIGHTS_FILE, MusicConfig, MusicEmotion, save_model, to_plane
from engine.errors import UserError
from tests.engine.emotion.sounds import MAJOR, MINOR, RATE_HZ, chords


@pytest.fixture(scope="module")
def model() -> MusicEmotion:
    return MusicEmotion.load()


@pytest.fixture(scope="module")
def net() -> CurveNet:
    torch.manual_seed(0)
    made = CurveNet(Shape(features=5, project=8, hidden=8, head=8, context_rows=6, moment_rows=2)).eval()
    torch.nn.init.normal_(made.moves.weight)
    return made


def _inputs(*lengths: int) -> tuple[Inputs, torch.Tensor]:
    rng = np.random.default_rng(1)
    most = max(lengths)
    widths = (5, 10, 5, PLACE_COLUMNS)
    parts = (rng.normal(size=(len(lengths), most, width)).astype(np.float32) for width in widths)
    return Inputs(*(torch.from_numpy(part) for part in parts)), torch.tensor(lengths)


def test_padding_and_company_change_nothing(net: CurveNet) -> None:
    inputs, lengths = _inputs(7, 20, 1)
    with torch.inference_mode():
        together = net(inputs, lengths)
        for i, length in enumerate(lengths):
            alone = net(Inputs(*(part[i : i + 1, :length] for part in inputs)), lengths[i : i + 1])
            assert torch.allclose(alone[0], together[i, :length], atol=1e-6)


def test_what_is_in_the_padding_does_not_matter(net: CurveNet) -> None:
    inputs, lengths = _inputs(9, 4)
    others = Inputs(*(part.clone() for part in inputs))
    for part in others:
        part[1, 4:] = 100.0
    with torch.inference_mode():
        assert torch.equal(net(inputs, lengths)[1, :4], net(others, lengths)[1, :4])


def test_an_untrained_moment_does_not_differ_from_its_song() -> None:
    inputs, lengths = _inputs(6)
    with torch.inference_mode():
        assert not CurveNet(Shape(features=5)).differs(inputs, lengths).any()


def test_context_by_hand() -> None:
    found = context(np.array([[0.0], [2.0], [4.0], [10.0]], np.float32), reach=1)
    assert found[:, 0] == pytest.approx([1, 2, 16 / 3, 7])
    assert found[:, 1] == pytest.approx([1, np.std([0, 2, 4]), np.std([2, 4, 10]), 3])


def test_what_is_prepared_by_hand() -> None:
    shape = Shape(features=1, context_rows=9, moment_rows=1)
    rows, song, moment, place = prepare(np.array([[0.0], [2.0], [4.0], [10.0]], np.float32), shape)
    assert rows[:, 0] == pytest.approx([0, 2, 4, 10])
    assert song[:, 0] == pytest.approx([4, 4, 4, 4])
    assert moment[:, 0] == pytest.approx([-3, -2, 16 / 3 - 4, 3])
    assert place == pytest.approx(places(np.array([1, 3, 5, 7]) / 8))
    assert prepare(rows, shape, np.full(4, 0.5))[3] == pytest.approx(places(np.full(4, 0.5)))


def test_places_tell_beginning_middle_and_end() -> None:
    start, middle, end = places(np.array([0.0, 0.5, 1.0]))
    assert start[0] == -end[0] == -0.5
    assert middle[0] == 0
    assert start[4] == end[5] == 1
    assert max(middle[4], middle[5], start[5], end[4]) < 1e-3


def test_both_directions_reach_the_whole_piece(net: CurveNet) -> None:
    inputs, lengths = _inputs(12)
    changed = Inputs(inputs.rows.clone(), *inputs[1:])
    changed.rows[0, 6] += 1.0
    with torch.inference_mode():
        moved = (net(inputs, lengths) - net(changed, lengths)).abs().sum(dim=2)[0]
    assert (moved > 0).all()


def test_any_length_gives_a_curve_on_the_plane(model: MusicEmotion) -> None:
    for seconds in (0.2, 3.0, 7.7, 70.0):
        curve = model.listen(chords(seconds=seconds, per_second=4)).curve
        assert len(curve.values) == max(1, int(seconds * 2))
        assert np.abs(curve.values).max() < 1
        assert (curve.rate_hz, curve.start_s) == (2.0, 0.0)


def test_silence_has_a_curve(model: MusicEmotion) -> None:
    assert np.isfinite(model.listen(np.zeros(5 * RATE_HZ, np.float32)).curve.values).all()


def _mean(model: MusicEmotion, **how: object) -> tuple[float, float]:
    valence, arousal = model.listen(chords(**how)).curve.values.mean(axis=0)  # type: ignore[arg-type]
    return float(valence), float(arousal)


def test_louder_brighter_and_faster_is_more_aroused(model: MusicEmotion) -> None:
    gentle = _mean(model, per_second=0.5, level=0.02, partials=3, slope=2.0)[1]
    assert _mean(model, per_second=6.0, level=0.25, partials=16, slope=0.5)[1] > gentle + 0.2


@pytest.mark.parametrize("seconds", [24, 60, 120])
def test_a_change_within_a_piece_is_heard(model: MusicEmotion, seconds: int) -> None:
    """One half is four times louder and faster than the other, whichever comes first."""
    calm, excited = (
        chords(seconds=seconds / 2, per_second=speed, level=level) for speed, level in ((1.0, 0.05), (4.0, 0.2))
    )
    rising = model.listen(np.concatenate([calm, excited])).curve.values[:, 1]
    falling = model.listen(np.concatenate([excited, calm])).curve.values[:, 1]
    assert rising[seconds:].mean() > rising[:seconds].mean() + 0.08
    assert falling[:seconds].mean() > falling[seconds:].mean() + 0.08


@pytest.mark.parametrize("root", [48, 51, 55])
def test_major_is_more_pleasant_than_minor(model: MusicEmotion, root: int) -> None:
    assert _mean(model, quality=MAJOR, root=root)[0] > _mean(model, quality=MINOR, root=root)[0] + 0.03


def test_the_setting_follows_the_sound(model: MusicEmotion) -> None:
    slow = model.listen(chords(per_second=1, level=0.02, partials=2, slope=2.0)).setting
    fast = model.listen(chords(per_second=6, level=0.3, partials=16, slope=0.3)).setting
    assert fast.brightness > slow.brightness
    assert fast.loudness > slow.loudness
    assert fast.density > slow.density
    assert all(0 <= value <= 1 for s in (slow, fast) for value in (s.brightness, s.loudness, s.density))


def test_eight_threads_hear_what_one_hears(model: MusicEmotion) -> None:
    pieces = [chords(quality, seconds=12, root=root) for quality in (MAJOR, MINOR) for root in (45, 48, 50, 53)]
    alone = [model.listen(piece).curve.values.tobytes() for piece in pieces]
    with ThreadPoolExecutor(8) as pool:
        beside = list(pool.map(lambda piece: model.listen(piece).curve.values.tobytes(), pieces))
    assert beside == alone


def test_samples_that_are_no_numbers_are_refused(model: MusicEmotion) -> None:
    samples = chords(seconds=3)
    samples[100] = np.nan
    with pytest.raises(UserError, match="not numbers") as caught:
        model.listen(samples)
    assert caught.value.code == "not_finite"


def test_the_shipped_model_is_small_and_documented(model: MusicEmotion) -> None:
    assert sum(p.numel() for p in model._net.parameters()) <= 1_000_000
    card = (Path(__file__).parents[3] / "engine/assets/music_emotion/MODEL_CARD.md").read_text(encoding="utf-8")
    for what in ("VGMIDI", "EMOPIA", "Emotify", "--seed", "constant", "non-commercial"):
        assert what in card


def _small(folder: Path) -> MusicConfig:
    torch.manual_seed(2)
    shape = Shape(features=len(NAMES), project=4, hidden=4, head=4)
    ones = (1.0,) * len(NAMES)
    return save_model(folder, MusicConfig("small", shape, NAMES, ones, ones, (0.3, 0.3)), CurveNet(shape))


def test_saved_and_loaded_is_the_same_model(tmp_path: Path) -> None:
    config = _small(tmp_path)
    model = MusicEmotion.load(tmp_path)
    assert (model.config, model.name) == (config, "small")
    heard = model.judge(Features(np.zeros((4, len(NAMES)), np.float32)))
    assert heard.curve.values.shape == (4, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]


def _edit(folder: Path, **fields: object) -> None:
    path = folder / CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_unusable_weights_are_one_sentence(tmp_path: Path) -> None:
    def refused(code: str) -> None:
        with pytest.raises(UserError) as caught:
            MusicEmotion.load(tmp_path)
        assert caught.value.code == code
        assert caught.value.message.count(".") >= 1
        assert "\n" not in caught.value.message
        _small(tmp_path)

    refused("weights_missing")
    data = bytearray((tmp_path / WEIGHTS_FILE).read_bytes())
    data[-1] ^= 1
    (tmp_path / WEIGHTS_FILE).write_bytes(data)
    refused("weights_damaged")
    (tmp_path / WEIGHTS_FILE).write_bytes(b"")
    refused("weights_damaged")
    (tmp_path / CONFIG_FILE).write_text("{")
    refused("weights_damaged")
    _edit(tmp_path, mean=[0.0])
    refused("weights_damaged")
    _edit(tmp_path, shape=None)
    refused("weights_damaged")
    _edit(tmp_path, format=99)
    refused("weights_version")
    _edit(tmp_path, names=["other", *NAMES[1:]])
    refused("weights_version")


def test_weights_that_do_not_fit_their_config_are_damaged(tmp_path: Path) -> None:
    config = _small(tmp_path)
    _edit(tmp_path, shape=vars(replace(config.shape, hidden=9)))
    with pytest.raises(UserError) as caught:
        MusicEmotion.load(tmp_path)
    assert caught.value.code == "weights_damaged"


def test_the_plane_is_linear_near_neutral_and_never_left() -> None:
    found = to_plane(np.array([[0.1, -0.1], [50.0, -50.0]], np.float32), (0.35, 0.33))
    assert found[0] == pytest.approx([0.035, -0.033], abs=1e-3)
    assert (np.abs(found) <= 1).all()
