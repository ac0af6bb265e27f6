from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from engine.emotion.gibberish import ASSETS, END, FAULTS, FEATURES, GibberishDetector, features, read_statistics, tokens
from engine.errors import UserError
from engine.jobs import Language

DETECTOR = GibberishDetector.load()
ENGLISH = (
    "Mira opened her laptop and stared at the blinking cursor. The letter had come in the night, and she still could "
    'not believe it. "We have won," she whispered. Outside, a bus hummed past the window, and the lights of the town '
    "flickered like tired fireflies. She laughed until her eyes were wet."
)
CHINESE = (
    "小晴打開窗，看著雨慢慢停下來。信是半夜寄到的，她到現在還不敢相信。「我們贏了。」她輕聲說。"
    "窗外有一輛公車開過去，街上的燈一盞一盞亮起來。她笑了，笑到流下眼淚。"
)
TEXTS: dict[Language, str] = {"en": ENGLISH, "zh-TW": CHINESE}
JOINTS: dict[Language, str] = {"en": " ", "zh-TW": ""}


def parts(language: Language) -> list[str]:
    return list(TEXTS[language]) if language == "zh-TW" else TEXTS[language].split()


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_sound_text_passes_and_every_fault_is_found(language: Language) -> None:
    text, words, joint = TEXTS[language], parts(language), JOINTS[language]
    rng = np.random.default_rng(0)
    assert DETECTOR.score(text, language) > 0.6
    faulty = {
        "shuffled": joint.join(words[i] for i in rng.permutation(len(words))),
        "repeated": joint.join(words[:4]) * 20,
        "random": joint.join("".join(chr(97 + k) for k in rng.integers(0, 26, 6)) for _ in words)
        if language == "en"
        else "".join(chr(code) for code in rng.integers(0x4E00, 0x9FA5, len(words))),
        "truncated": joint.join(words[: len(words) * 2 // 3]).rstrip("。，,."),
    }
    for fault, broken in faulty.items():
        assert DETECTOR.faults(broken, language)[fault] < 0.5, fault
        assert DETECTOR.score(broken, language) < 0.5 < DETECTOR.score(text, language)


def test_a_text_is_as_sound_as_its_worst_fault_leaves_it() -> None:
    for text in (ENGLISH, ENGLISH[:-30], ENGLISH * 3):
        found = DETECTOR.faults(text, "en")
        assert tuple(found) == FAULTS and all(0 <= value <= 1 for value in found.values())
        assert DETECTOR.score(text, "en") == min(found.values())


@pytest.mark.parametrize("text", ["", "   \n", "!!!", "123 456.", "🎵🎵", CHINESE])
def test_what_is_no_english_is_no_sound_english(text: str) -> None:
    assert DETECTOR.score(text, "en") == 0.0


def test_what_is_no_chinese_is_no_sound_chinese() -> None:
    assert DETECTOR.score(ENGLISH, "zh-TW") == 0.0
    assert DETECTOR.score("", "zh-TW") == 0.0


@pytest.mark.parametrize("text", ["She cried.", "The lake was calm.", "Hello there, my friend! How are you?"])
def test_one_short_sentence_can_be_sound(text: str) -> None:
    assert DETECTOR.score(text, "en") > 0.5


def test_hostile_texts_are_scored_quickly_and_within_range() -> None:
    for text in ("a" * 50_000, "a " * 20_000, "... " * 10_000 + "a", '"' * 9999 + "a", "\x00\ufffd a", "a\n" * 9999):
        assert 0 <= DETECTOR.score(text, "en") < 0.5


def test_scores_do_not_depend_on_other_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: DETECTOR.score(ENGLISH, "en"), range(32)))) == 1


def test_marks_that_end_a_sentence_are_one_token() -> None:
    assert tokens("Stop?! Don’t… go — 12 times;", "en") == ["stop", END, "don't", END, "go", ",", "12", "times", ","]
    assert tokens("我……好，OK！", "zh-TW") == ["我", END, "好", "，", "ok", END]


def test_figures_say_what_they_are_called() -> None:
    known = read_statistics(ASSETS / "en.npz", "en")

    def figure(text: str, name: str) -> float:
        return float(features(text, known)[FEATURES.index(name)])

    assert figure(ENGLISH, "ended") == 1 and figure(ENGLISH + " And then", "ended") == 0
    assert figure('He said: "Go."', "ended") == 1, "closing marks are looked through"
    assert figure("He ran. He ran. He ran.", "again") == pytest.approx(2 / 3)
    assert figure("no no no no", "stutter") > figure("yes and no", "stutter") == 0
    assert figure("he was in the house", "next") > figure("house the in was he", "next")
    assert figure("the strange thought", "spelling") > figure("hte gsrtnae ghtuoht", "spelling")
    assert figure(ENGLISH, "known") > figure("zebra quark fjord", "known")


def test_what_is_shipped_is_small() -> None:
    assert sum(path.stat().st_size for path in ASSETS.iterdir()) <= 1_000_000


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + b"\x00" * 99])
def test_damaged_statistics_are_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    folder = Path(shutil.copytree(ASSETS, tmp_path / "g"))
    (folder / "zh-TW.npz").write_bytes(content)
    with pytest.raises(UserError, match="reinstall tunetale") as caught:
        GibberishDetector.load(folder)
    assert caught.value.code == "damaged_weights" and "\n" not in caught.value.message


def test_truncated_missing_incomplete_or_other_statistics_are_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ASSETS, tmp_path / "g"))
    path = folder / "en.npz"
    whole = path.read_bytes()
    with np.load(path) as data:
        arrays = {name: data[name] for name in data.files}
    path.write_bytes(whole[: len(whole) // 2])
    _refused(folder, "damaged_weights")
    path.unlink()
    _refused(folder, "damaged_weights")
    np.savez(path, **{name: array for name, array in arrays.items() if name != "letters"})
    _refused(folder, "damaged_weights")
    np.savez(path, **{**arrays, "weights": arrays["weights"] * np.nan})
    _refused(folder, "damaged_weights")
    np.savez(path, **{**arrays, "next": arrays["next"][:5]})
    _refused(folder, "damaged_weights")
    np.savez(path, **{**arrays, "format": np.array(99)})
    _refused(folder, "wrong_version")


def _refused(folder: Path, code: str) -> None:
    with pytest.raises(UserError) as caught:
        GibberishDetector.load(folder)
    assert caught.value.code == code
