from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.emotion.calibration import Calibration, Scale

PLAIN = Calibration(
    text=Scale((0.0, 0.1), (0.1, 0.1)), music=Scale((0.2, 0.0), (0.2, 0.3)), words=Scale((0.0, 0.0), (0.5, 0.3))
)


def test_one_standard_deviation_stays_one() -> None:
    assert PLAIN.to_music((0.1, 0.0)) == pytest.approx([0.4, -0.3])
    assert PLAIN.to_text((0.4, -0.3)) == pytest.approx([0.1, 0.0])
    assert PLAIN.to_words((0.4, -0.3)) == pytest.approx([0.5, -0.3])


@given(st.floats(-0.3, 0.3), st.floats(-0.2, 0.2))
def test_text_to_music_and_back(valence: float, arousal: float) -> None:
    assert PLAIN.to_text(PLAIN.to_music((valence, arousal))) == pytest.approx([valence, arousal], abs=1e-6)


def test_any_leading_shape_goes_through_and_stays_in_range() -> None:
    values = np.full((4, 3, 2), 0.9, dtype=np.float32)
    music = PLAIN.to_music(values)
    assert music.shape == (4, 3, 2)
    assert music.dtype == np.float32
    assert (music == 1.0).all()


def test_the_mapped_ratings_have_the_other_scale() -> None:
    rng = np.random.default_rng(5)
    ratings = rng.normal((0.02, 0.08), (0.1, 0.05), (4000, 2))
    calibration = Calibration(text=Scale.of(ratings), music=PLAIN.music, words=PLAIN.words)
    mapped = calibration.to_music(ratings)
    assert mapped.mean(axis=0) == pytest.approx([0.2, 0.0], abs=0.01)
    assert mapped.std(axis=0) == pytest.approx([0.2, 0.3], abs=0.01)


def test_ratings_that_do_not_vary_make_no_scale() -> None:
    with pytest.raises(ValueError, match="vary"):
        Scale.of([(0.1, 0.5), (0.3, 0.5)])


def test_the_shipped_calibration_widens_text_and_music() -> None:
    calibration = Calibration.load()
    for narrow, wide in ((calibration.text, calibration.music), (calibration.music, calibration.words)):
        assert narrow.sd[0] < wide.sd[0]
        assert narrow.sd[1] < wide.sd[1]
    assert calibration.to_words(calibration.music.mean) == pytest.approx([0, 0], abs=1e-6)


def test_another_file_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    scale = '{"mean": [0, 0], "sd": [0.5, 0.25]}'
    path.write_text(f'{{"scales": {{"text": {scale}, "music": {scale}, "words": {scale}}}}}')
    assert Calibration.load(path).music == Scale((0, 0), (0.5, 0.25))
