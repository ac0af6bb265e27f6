from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from engine.emotion.curve import EmotionCurve
from engine.emotion.music import ASSETS
from engine.errors import UserError
from engine.evaluation import composer
from engine.evaluation.composer import CAVEAT, Grid, compose_grid, print_followed, print_grid
from engine.evaluation.composer_stories import Followed
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.composer import Brief, Music
from engine.report import Report


class Tones:
    """Composes a steady level: (valence + 1) / 10 left and (arousal + 1) / 10 right, so the mean tells both."""

    name = "tones"

    def compose(self, brief: Brief, report: Report) -> Music:
        beat = brief.beats[1]
        samples = np.full((round(brief.seconds * 44_100), 2), (beat.valence + 1) / 10 + (beat.arousal + 1) / 1000)
        return Music(samples.astype(np.float32), 44_100, None)


class Meter:
    """Hears what `Tones` meant, arousal turned around."""

    def __call__(self, samples: np.ndarray[tuple[Any, ...], np.dtype[np.float32]]) -> EmotionCurve:
        assert len(samples) == pytest.approx(10 * ANALYSIS_RATE_HZ, abs=2)
        middle = float(np.median(samples))
        valence = np.floor(middle * 50 + 0.25) / 5 - 1
        arousal = (middle - (valence + 1) / 10) * 1000 - 1
        return EmotionCurve(np.full((20, 2), (valence, -arousal), np.float32))


def test_grid_puts_wanted_beside_heard() -> None:
    grid = compose_grid(Tones(), Meter(), side=3, seeds=2, seconds=10.0)
    assert grid.heard.shape == (3, 3, 2, 2)
    assert np.allclose(grid.heard[:, 0, 0, 0], grid.wanted, atol=0.05)
    assert grid.valence_r == pytest.approx(1, abs=0.01)
    assert grid.along(0) == pytest.approx(1)
    assert grid.along(1) == pytest.approx(-1)
    assert grid.arousal_r == pytest.approx(-1, abs=0.01)


def test_the_grid_is_printed() -> None:
    wanted = np.linspace(-0.8, 0.8, 3)
    heard = np.stack(np.broadcast_arrays(wanted[:, None, None], wanted[None, :, None]), axis=-1)
    out = StringIO()
    print_grid(Grid(wanted, heard), Console(file=out, width=100))
    assert "r(V) 1.00" in out.getvalue()
    rows = [line.split() for line in out.getvalue().replace("│", " ").splitlines()]
    assert ["+0.8", "-0.80", "+0.00", "+0.80", "+0.00"] in rows  # valence heard where arousal was high
    assert ["+0.8", "+0.80", "+0.80", "+0.80", "+0.80"] in rows
    assert ["all", "-0.80", "+0.00", "+0.80", "+0.00"] in rows


def test_the_command_names_steering_and_judge(capsys: pytest.CaptureFixture[str]) -> None:
    grid = ["--side", "2", "--grid-seconds", "10", "--sketches", "0"]
    assert composer.main(grid) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert CAVEAT not in printed and "0 sketches" in printed and "over 4 pieces" in printed
    assert "vgmidi" in printed and "emopia-emotify" in printed
    assert "tunetale evaluate composer --side 2 --grid-seconds 10 --sketches 0 (seed 1)" in printed
    assert composer.main([*grid, "--judge", str(ASSETS / "music_steer")]) == 0
    assert CAVEAT in " ".join(capsys.readouterr().out.split())


def test_followed_stories_are_printed_with_interval_constant_and_own_measure() -> None:
    wanted = np.tile([[-0.4, 0.1], [0.4, 0.5]], (10, 1))
    found = Followed(wanted, wanted * 0.5, tuple(range(20)), (0.5, 1.0))
    out = StringIO()
    print_followed({"tales": found, "plane": Followed(wanted, -wanted, found.piece)}, Console(file=out, width=100), 1)
    printed = " ".join(out.getvalue().split())
    assert "tales │ 20 │ valence │ 1.000 │ 1.00 … 1.00 │ 0.200 │ 0.400" in printed
    assert "plane │ 20 │ valence │ -1.000" in printed
    assert "tales: better than 75% of random stories" in printed and "plane: better" not in printed


def test_bad_data_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="There are no tales"):
        composer.main(["--side", "2", "--grid-seconds", "10", "--sketches", "0", "--data", str(tmp_path)])
    with pytest.raises(UserError, match="weights"):
        composer.main(["--judge", str(tmp_path)])
