"""Learning curves as pictures."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from engine.evaluation.learning_curve import draw_learning_curve


def test_each_curve_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    draw_learning_curve(path, "One", "loss", {"training": [3.0, 2.0, 1.0]})
    one = Image.open(path).convert("RGB")
    draw_learning_curve(path, "One", "loss", {"training": [3.0, 2.0, 1.0], "held out": [3.0, 2.5, 2.4]})
    two = Image.open(path).convert("RGB")
    assert one.size == two.size and one.width > 600
    blue, orange = (31, 119, 180), (255, 127, 14)
    colours = [{pixel for _, pixel in picture.getcolors(1 << 20) or []} for picture in (one, two)]
    assert blue in colours[0] and orange not in colours[0] and {blue, orange} <= colours[1]
    assert [p.name for p in tmp_path.iterdir()] == ["curve.png"]
