"""The type of the emotion card: its font, and text that fits. Knows letters and widths; knows no layout.

Not thread-safe, as nothing that touches matplotlib is: callers hold `LOCK`.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ft2font import FT2Font

LOCK = threading.Lock()
"""Held by whoever draws: matplotlib is not thread-safe."""
MISSING = "□"
"""Stands for a character that no font of ours has."""

_FIRST_WIDE = 0x2E80
"""From here on characters are East Asian ones."""
_WESTERN_ELLIPSIS = re.compile(r"(?<![\u2e80-\uffef…])…+")
"""Our … is a Chinese one, at half height and as wide as a Han character."""
_FONT = Path(__file__).parent.parent / "assets" / "fonts" / "TuneTaleSansTC-Regular.otf"
_FALLBACK = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
"""Comes with matplotlib; has Greek, Cyrillic, Hebrew, Arabic and many signs."""


@cache
def family() -> tuple[str, ...]:
    """Return the families of the card, in order of preference, after making them known to matplotlib."""
    names = []
    for path in (_FONT, _FALLBACK):
        fontManager.addfont(str(path))
        names.append(FT2Font(str(path)).family_name)
    return tuple(names)


@cache
def font(pixels: float) -> FontProperties:
    """Return the font of the card at that size, for a figure of 72 dots per inch (1 point = 1 pixel)."""
    return FontProperties(family=list(family()), size=pixels)


@cache
def _known() -> frozenset[int]:
    return frozenset(point for path in (_FONT, _FALLBACK) for point in FT2Font(str(path)).get_charmap())


def clean(text: str) -> str:
    """Return the text as one line that our fonts can draw: each character they lack becomes one □.

    Marks that only change their neighbour (variation selectors, joiners, directions) go without a □, so an emoji made
    of several parts leaves one □ for each visible part.
    """
    kept = []
    line = _WESTERN_ELLIPSIS.sub("...", unicodedata.normalize("NFC", " ".join(text.split())))
    for character in line:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn") or 0xFE00 <= ord(character) <= 0xFE0F:
            continue
        kept.append(character if ord(character) in _known() else MISSING)
    return "".join(kept)


@cache
def _renderer() -> RendererAgg:
    return RendererAgg(1, 1, 72)  # type: ignore[no-untyped-call]


def width(text: str, pixels: float) -> float:
    """Return how many pixels wide the text is."""
    if not text:
        return 0.0
    extent = _renderer().get_text_width_height_descent(text, font(pixels), ismath=False)  # type: ignore[no-untyped-call]
    return float(extent[0])


def fit(text: str, room: float, pixels: float, smallest: float) -> tuple[str, float]:
    """Return the text and the size at which it fits into `room` pixels: smaller first, then cut with an ellipsis."""
    size = pixels
    while size > smallest and width(text, size) > room:
        size -= 1
    return cut(text, room, size), size


def cut(text: str, room: float, pixels: float) -> str:
    """Return the text, or as much of its start as fits into `room` pixels with an ellipsis behind."""
    if width(text, pixels) <= room:
        return text
    short, long = 0, len(text)
    while long - short > 1:
        middle = (short + long) // 2
        if width(_shortened(text, middle), pixels) <= room:
            short = middle
        else:
            long = middle
    return _shortened(text, short)


def _shortened(text: str, length: int) -> str:
    start = text[:length].rstrip()
    return start + ("…" if start and ord(start[-1]) >= _FIRST_WIDE else "...")


def cut_to(text: str, length: int) -> str:
    """Return the text, or its start with an ellipsis, in at most `length` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def wrap(text: str, room: float, pixels: float) -> str:
    """Return the text on two lines, as equal as its spaces allow, if it is wider than `room`; else as it is."""
    parts = text.split(" ")
    if len(parts) == 1 or width(text, pixels) <= room:
        return text
    halves = [(" ".join(parts[:i]), " ".join(parts[i:])) for i in range(1, len(parts))]
    return "\n".join(min(halves, key=lambda pair: max(width(half, pixels) for half in pair)))
