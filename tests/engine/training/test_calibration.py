import json
from pathlib import Path

import numpy as np
import pytest

from engine.emotion.calibration import Calibration, Scale
from engine.errors import UserError
from engine.training.calibration import main, mix, read_deam, read_predictions


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("emobank", "deam", "vgmidi"):
        (tmp_path / name).mkdir()
    (tmp_path / "emobank/emobank.csv").write_text(
        'id,split,V,A,D,text\na,train,3.2,3.4,3,"Hi, you"\nb,train,2.8,2.6,3,No\nc,dev,5,5,5,Not this\n'
    )
    header = "song_id,sample_15000ms,sample_15500ms\n"
    (tmp_path / "deam/dynamic_valence.csv").write_text(header + "2,0.2,0.4\n3,0.0,\n4,0.9,0.9\n")
    (tmp_path / "deam/dynamic_arousal.csv").write_text(header + "2,-0.2,-0.4\n3,0.6,0.8\n")
    (tmp_path / "vgmidi/pieces.json").write_text('[{"valence": [0.1, 0.3], "arousal": [0.5, 0.1]}]')
    return tmp_path


def test_labels_become_scales(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = data / "calibration.json"
    main(["--data", str(data), "--out", str(out)])
    calibration = Calibration.load(out)
    assert calibration.text == Scale((0.0, 0.0), (0.1, 0.2))
    assert calibration.music.mean == pytest.approx((0.2, 0.15))
    assert "text" in capsys.readouterr().out
    assert not list(data.glob("*.part"))


def test_predictions_replace_labels(data: Path) -> None:
    (data / "text.csv").write_text("line,valence,arousal,dominance\n1,0.1,0.2,0\n2,,,\n3,0.3,0.6,0\n")
    np.savez(data / "music.npz", values=np.array([(0, 0), (0.5, 0.25)], dtype=np.float16))
    out = data / "c.json"
    main(["--data", f"{data}", "--text", f"{data}/text.csv", "--music", f"{data}/music.npz", "--out", f"{out}"])
    calibration = Calibration.load(out)
    assert calibration.text.mean == pytest.approx((0.2, 0.4))
    assert calibration.music.sd == pytest.approx((0.25, 0.125))
    assert json.loads(out.read_text())["fitted_on"]["music"] == "model predictions"


def test_deam_needs_both_ratings(data: Path) -> None:
    assert read_deam(data / "deam").tolist() == [[0.2, -0.2], [0.4, -0.4], [0.0, 0.6]]


def test_a_mixture_has_the_moments_of_the_pooled_ratings() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(0.3, 0.1, (50, 2)), rng.normal(-0.2, 0.4, (50, 2))
    pooled, mixed = Scale.of(np.concatenate([first, second])), mix(Scale.of(first), Scale.of(second))
    assert mixed.mean == pytest.approx(pooled.mean)
    assert mixed.sd == pytest.approx(pooled.sd)


def test_missing_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"emobank\.csv cannot be read"):
        main(["--data", str(tmp_path), "--out", str(tmp_path / "c.json")])


def test_a_csv_without_the_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("v,a\n1,2\n")
    with pytest.raises(UserError, match="columns"):
        read_predictions(tmp_path / "x.csv")
