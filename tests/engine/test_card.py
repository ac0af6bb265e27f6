import struct
import threading
import zlib
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from engine.card import ALT_LIMIT, HEIGHT, WIDTH, Card, card_alt_text, draw_card
from engine.drawing.plane import beat_numbers
from engine.drawing.timeline import ticks
from engine.emotion.beats import find_beats
from engine.emotion.calibration import Calibration
from engine.emotion.curve import EmotionCurve, beats_array
from engine.emotion.words import Words


def _card(seconds: float = 185, wild: float = 0.4, **changes: object) -> Card:
    turn = np.linspace(0, 9, int(seconds * 2))
    values = np.stack([np.sin(turn), np.cos(turn * 1.3)], axis=1).astype(np.float32) * np.float32(wild)
    curve = EmotionCurve(values)
    beats = find_beats(curve, Words.load(), Calibration.load())
    answer = tuple((float(v) * 0.9, float(a) * 0.9 + 0.02) for v, a in beats_array(beats))
    card = Card("The Lamplighter", "Clair de lune", beats, answer, "en", "story", curve, ("Fits well.", "Seed 1."))
    return replace(card, **changes)  # type: ignore[arg-type]


def _bytes(card: Card, folder: Path) -> bytes:
    draw_card(folder / "card.png", card)
    assert [path.name for path in folder.iterdir()] == ["card.png"]
    return (folder / "card.png").read_bytes()


def _chunks(png: bytes) -> dict[str, bytes]:
    chunks, at = {}, 8
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        data = png[at + 8 : at + 8 + length]
        assert zlib.crc32(name + data) == struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0]
        chunks[name.decode()] = data
        at += 12 + length
    return chunks


def test_the_card_is_a_picture_of_the_promised_size(tmp_path: Path) -> None:
    chunks = _chunks(_bytes(_card(), tmp_path))
    assert struct.unpack(">II", chunks["IHDR"][:8]) == (WIDTH, HEIGHT) == (1200, 675)
    assert b"TuneTale" in chunks["tEXt"]


def test_the_same_card_gives_the_same_bytes_alone_and_beside_others(tmp_path: Path) -> None:
    alone = _bytes(_card(), tmp_path)
    folders = [tmp_path.parent / f"{tmp_path.name}-{i}" for i in range(3)]
    drawn: list[bytes] = []

    def draw(folder: Path) -> None:
        folder.mkdir()
        drawn.append(_bytes(_card(), folder))

    threads = [threading.Thread(target=draw, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == [alone] * 3


def test_an_owners_settings_do_not_change_the_card(tmp_path: Path) -> None:
    card = _card(title="$x_1$ costs $5")
    plain = _bytes(card, tmp_path)
    with matplotlib.rc_context({"text.usetex": True, "font.size": 40, "savefig.dpi": 10, "savefig.bbox": "tight"}):
        assert _bytes(card, tmp_path) == plain


@pytest.mark.parametrize(
    "card",
    [
        _card(title="燈塔、風暴與那一夜" * 8, language="zh-TW"),
        _card(title="🚀 \u202e שלום مرحبا $x^2", subtitle="a\nb"),
        _card(title="", subtitle="", footer=()),
        _card(seconds=4, wild=0.0, direction="music"),
        _card(seconds=900, wild=1.0, curve=None, direction="music", language="zh-TW"),
        _card(footer=("a very long sentence about the fit " * 6, "models " * 40)),
    ],
    ids=["long", "scripts", "empty", "flat", "longest", "footer"],
)
def test_odd_cards_are_drawn(card: Card, tmp_path: Path) -> None:
    png = _bytes(card, tmp_path)
    pixels = imread(tmp_path / "card.png")[..., :3]
    assert len(png) < 500_000
    margin = np.concatenate([pixels[:, :4].reshape(-1, 3), pixels[:, -30:].reshape(-1, 3), pixels[-12:].reshape(-1, 3)])
    assert np.ptp(margin, axis=0).max() < 0.01, "something runs over the margin"


def test_what_is_drawn_depends_on_what_is_shown(tmp_path: Path) -> None:
    card = _card()
    plain = _bytes(card, tmp_path)
    moved = tuple((-v, a) for v, a in card.answer)
    for other in (replace(card, answer=moved), replace(card, direction="music"), replace(card, language="zh-TW")):
        assert _bytes(other, tmp_path) != plain


def test_music_that_goes_on_after_the_last_beat_is_cut(tmp_path: Path) -> None:
    card = _card()
    assert card.curve is not None
    values = np.concatenate([card.curve.values, np.ones((8, 2), dtype=np.float32)])
    _bytes(replace(card, curve=EmotionCurve(values)), tmp_path)
    pixels = imread(tmp_path / "card.png")[..., :3]
    assert np.ptp(pixels[236:478, 786:830].reshape(-1, 3), axis=0).max() < 0.01


def test_beats_without_answers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="answers"):
        draw_card(tmp_path / "card.png", _card(answer=((0.0, 0.0),)))
    assert list(tmp_path.iterdir()) == []


def test_the_card_in_words() -> None:
    card = _card()
    text = card_alt_text(card)
    assert text.startswith("Emotion card of “The Lamplighter”. The music begins ")
    assert f"0:00 {card.beats[0].word}" in text
    assert "The story closely follows this course." in text
    assert text.endswith("Fits well.")
    far = replace(card, answer=tuple((-v, -a) for v, a in card.answer))
    assert "The story only loosely follows" in card_alt_text(far)


def test_the_card_in_chinese_words() -> None:
    text = card_alt_text(_card(language="zh-TW", direction="music", title="點燈人"))
    assert text.startswith("《點燈人》的情緒卡。故事一開始感覺")
    assert "音樂緊緊跟著這段起伏。" in text


def test_the_alt_text_never_exceeds_its_limit() -> None:
    assert len(card_alt_text(_card(title="x" * 4000, footer=("y" * 4000,)))) == ALT_LIMIT


@pytest.mark.parametrize(
    ("end_s", "times"), [(4, [0]), (20, [0, 5, 10, 15]), (185, [0, 60, 120, 180][:3]), (900, [0, 180, 360, 540, 720])]
)
def test_times_below_the_plot_are_round(end_s: float, times: list[float]) -> None:
    assert ticks(0, end_s) == times


def test_beats_are_numbered_as_people_do() -> None:
    assert beat_numbers([0, 1, 2, 5, 7, 8]) == "1–3, 6, 8–9"
