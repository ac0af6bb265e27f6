"""Fits the scales that join text, music and the emotion words.

    python -m engine.training calibration --data DIR [--text F] [--music F] [--out F]

Without `--text` and `--music` the scales are those of the labels the models learn from: EmoBank's sentences (train
part), DEAM's dynamic ratings and VGMIDI's bars, the two sets of music counting the same. A model's predictions are
narrower than its labels; `--text` and `--music` take files of predictions instead: CSV with the columns `valence` and
`arousal` (as `tunetale emotion … --csv` prints them), or an `.npz` with an array `values` [n, 2].
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.dispatch import OneSentenceParser
from engine.emotion.calibration import PATH, Scale
from engine.emotion.words import Words
from engine.errors import UserError
from engine.whole import whole

Ratings = NDArray[np.float64]


def main(argv: Sequence[str]) -> None:
    """Fit and write the calibration. Raises `UserError` where data are missing or cannot be read."""
    parser = OneSentenceParser(prog="calibration", description="Fit the scales that join text, music and words.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with emobank, deam, vgmidi")
    parser.add_argument("--text", type=Path, metavar="F", help="predictions of the text model instead of labels")
    parser.add_argument("--music", type=Path, metavar="F", help="predictions of the music model instead of labels")
    parser.add_argument("--out", type=Path, default=PATH, metavar="F", help="where the calibration is written")
    arguments = parser.parse_args(argv)
    data: Path = arguments.data
    text = read_predictions(arguments.text) if arguments.text else read_emobank(data / "emobank")
    music = (
        Scale.of(read_predictions(arguments.music))
        if arguments.music
        else mix(Scale.of(read_deam(data / "deam")), Scale.of(read_vgmidi(data / "vgmidi")))
    )
    scales = {"text": Scale.of(text), "music": music, "words": words_scale(Words.load())}
    fitted_on = {
        "text": "model predictions" if arguments.text else "EmoBank labels, train part",
        "music": "model predictions" if arguments.music else "DEAM dynamic labels and VGMIDI labels, half each",
        "words": "Russell & Mehrabian (1977), set around neutral",
    }
    write(arguments.out, scales, fitted_on)
    for name, scale in scales.items():
        print(f"{name:6} V {scale.mean[0]:+.3f} ± {scale.sd[0]:.3f}   A {scale.mean[1]:+.3f} ± {scale.sd[1]:.3f}")


def write(path: Path, scales: dict[str, Scale], fitted_on: dict[str, str]) -> None:
    """Write the calibration, all or nothing; numbers keep four digits."""
    document = {
        "fitted_on": fitted_on,
        "scales": {
            name: {"mean": [round(x, 4) for x in scale.mean], "sd": [round(x, 4) for x in scale.sd]}
            for name, scale in scales.items()
        },
    }
    with whole(path) as unfinished:
        unfinished.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def words_scale(words: Words) -> Scale:
    """Return the spread of the emotion words, set around neutral (0, 0).

    Average music is to feel neutral. The terms' own mean lies at arousal +.19 because the paper lists more stirring
    words than calm ones: to map average music there would make all music excited.
    """
    return Scale((0.0, 0.0), Scale.of(words.places()).sd)


def mix(first: Scale, second: Scale) -> Scale:
    """Return the scale of two sets of ratings together, each counting half however many it has."""
    means, sds = np.array([first.mean, second.mean]), np.array([first.sd, second.sd])
    mean_v, mean_a = means.mean(axis=0).tolist()
    sd_v, sd_a = np.sqrt((sds**2 + means**2).mean(axis=0) - means.mean(axis=0) ** 2).tolist()
    return Scale((mean_v, mean_a), (sd_v, sd_a))


def read_emobank(folder: Path) -> Ratings:
    """Return EmoBank's (V, A) of the train part, 1–5 brought to [-1, 1]."""
    rows = [row for row in _rows(folder / "emobank.csv") if row["split"] == "train"]
    return (np.array([(float(row["V"]), float(row["A"])) for row in rows]) - 3.0) / 2.0


def read_deam(folder: Path) -> Ratings:
    """Return every half second of DEAM's dynamic ratings that has both valence and arousal; already in [-1, 1]."""
    valence = {row["song_id"]: row for row in _rows(folder / "dynamic_valence.csv")}
    pairs: list[tuple[str, str]] = []
    for row in _rows(folder / "dynamic_arousal.csv"):
        other = valence.get(row["song_id"], {})
        pairs += [(other.get(at) or "", value or "") for at, value in row.items() if at != "song_id"]
    return np.array([(float(v), float(a)) for v, a in pairs if v and a])


def read_vgmidi(folder: Path) -> Ratings:
    """Return the ratings of every bar of VGMIDI, already in [-1, 1]."""
    pieces = json.loads(_text(folder / "pieces.json"))
    return np.array([pair for piece in pieces for pair in zip(piece["valence"], piece["arousal"], strict=True)])


def read_predictions(path: Path) -> Ratings:
    """Return predictions from CSV (rows without values are left out) or from the `values` of an npz."""
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return np.asarray(arrays["values"], dtype=np.float64)
        except (OSError, KeyError, ValueError) as error:
            raise UserError(f"{path} holds no array `values`: {error}", code="bad_data") from error
    rows = _rows(path)
    if rows and not {"valence", "arousal"} <= rows[0].keys():
        raise UserError(f"{path} needs the columns `valence` and `arousal`.", code="bad_data")
    return np.array([(float(row["valence"]), float(row["arousal"])) for row in rows if row["valence"]]).reshape(-1, 2)


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(_text(path).splitlines()))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: give the folder of data by --data.", code="no_data") from error
