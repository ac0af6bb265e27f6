"""Makes the font of the emotion card: a part of Noto Sans CJK TC with the characters of Big5.

    python -m engine.training.fonts --source NotoSansCJK-Regular.ttc [--out DIR]

The source comes from https://github.com/notofonts/noto-cjk (Debian: `fonts-noto-cjk`), SIL Open Font License 1.1. The
part carries another name, as a changed version should. Kept are ASCII, Latin-1, punctuation, a few signs, kana,
full-width forms, all 13,000 Han characters of Big5 and some of names. Layout tables and hints go: the card needs
neither.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from fontTools import subset  # type: ignore[import-untyped]
from fontTools.ttLib import TTCollection, TTFont  # type: ignore[import-untyped]

from engine.dispatch import OneSentenceParser
from engine.errors import UserError

FAMILY = "TuneTale Sans TC"
FILE_NAME = "TuneTaleSansTC-Regular.otf"

_SOURCE_FAMILY = "Noto Sans CJK TC"
_OUT = Path(__file__).parent.parent / "assets" / "fonts"
_BLOCKS = ((0x20, 0x7F), (0xA0, 0x100), (0x2010, 0x2040), (0x3000, 0x3100), (0xFF00, 0xFF60))
_SIGNS = "←↑→↓▲▼◆◇○●□■★☆♪♫♥−×÷≈≠≤≥∞"
_NAMES = "堃喆犇峯瑠煊碁銹裏墻恒粧嫺綉啓着"
"""Not in Big5, but in names and titles of Taiwan."""
_NARROW = "‘’“”·•"
"""Full-width in the Traditional Chinese face, where 「」 are the quotation marks. Taken from the Korean face, which
shares its glyphs, because in this product they stand in English text."""
_NARROW_FAMILY = "Noto Sans CJK KR"
_DROPPED_TABLES = ["vhea", "vmtx", "VORG", "BASE", "GPOS", "GSUB", "GDEF", "DSIG"]


def main(argv: Sequence[str]) -> None:
    """Write the font. Raises `UserError` if the source lacks the faces that are needed."""
    parser = OneSentenceParser(prog="fonts", description="Make the font of the emotion card.")
    parser.add_argument("--source", type=Path, required=True, metavar="F", help="NotoSansCJK-Regular.ttc")
    parser.add_argument("--out", type=Path, default=_OUT, metavar="DIR", help="folder for the font")
    arguments = parser.parse_args(argv)
    font = _face(arguments.source, _SOURCE_FAMILY)
    _set_narrow(font, _face(arguments.source, _NARROW_FAMILY).getBestCmap())
    options = subset.Options()
    options.hinting = False
    options.layout_features = []
    options.drop_tables += _DROPPED_TABLES
    options.notdef_outline = True
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 7, 13, 14]
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters())
    subsetter.subset(font)
    _rename(font)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / FILE_NAME
    font.save(path)
    print(f"{path}: {len(font.getBestCmap())} characters, {path.stat().st_size:,} bytes")


def characters() -> set[int]:
    """Return the code points that are kept."""
    latin = {point for first, end in _BLOCKS for point in range(first, end)}
    return latin | {ord(sign) for sign in _SIGNS + _NAMES} | big5()


def big5() -> set[int]:
    """Return the code points of all two-byte characters of Big5 that Python knows, but no private ones."""
    trails = [*range(0x40, 0x7F), *range(0xA1, 0xFF)]
    text = "".join(bytes([lead, trail]).decode("big5", "ignore") for lead in range(0xA1, 0xFA) for trail in trails)
    return {ord(character) for character in text if ord(character) >= 0xA0}


def _face(source: Path, family: str) -> TTFont:
    try:
        fonts = TTCollection(str(source)).fonts
    except OSError as error:
        raise UserError(f"{source} cannot be read as a collection of fonts: {error}", code="no_data") from error
    for font in fonts:
        if font["name"].getDebugName(1) == family:
            return font
    raise UserError(f"{source} holds no face {family}.", code="bad_data")


def _set_narrow(font: TTFont, narrow: dict[int, str]) -> None:
    for table in font["cmap"].tables:
        if table.isUnicode() and table.format != 14:
            table.cmap.update({ord(sign): narrow[ord(sign)] for sign in _NARROW})


def _rename(font: TTFont) -> None:
    postscript = FILE_NAME.removesuffix(".otf")
    for number, name in ((1, FAMILY), (3, f"{FAMILY} Regular"), (4, FAMILY), (6, postscript)):
        font["name"].removeNames(nameID=number)
        font["name"].setName(name, number, 3, 1, 0x409)
    top = font["CFF "].cff
    top.fontNames[0] = postscript
    top[0].FullName, top[0].FamilyName = FAMILY, FAMILY


if __name__ == "__main__":
    main(sys.argv[1:])
