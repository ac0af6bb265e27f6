from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from engine.emotion.regressor import CONFIG_FILE, WEIGHTS_FILE
from engine.emotion.text import TextEmotion
from engine.training import __main__ as command
from engine.training.text_data import read_emobank, split_by_document, split_officially
from engine.training.text_teachers import Reading, Teachers
from engine.training.text_transfer import transfer_texts, with_teacher
from tests.engine.training.test_text_emotion import data as rated  # noqa: F401
from tests.engine.training.test_text_emotion import encoder  # noqa: F401


@pytest.fixture
def data(rated: Path) -> Path:  # noqa: F811
    """The folder with tales and a book beside the ratings; some of their sentences stand in EmoBank, too."""
    known = read_emobank(rated).texts
    tales = rated / "stories" / "fairytaleqa"
    tales.mkdir(parents=True)
    with (tales / "one-story.csv").open("w", encoding="utf-8", newline="") as file:
        sentences = " ".join(f"The happy king number {number} loved the calm sea." for number in range(20))
        csv.writer(file).writerows([["section", "text"], ["1", f"{sentences} {known[0].capitalize()} {known[1]}"]])
    books = rated / "stories" / "gutenberg"
    books.mkdir()
    body = "\r\n\r\n".join(
        f"The fox called {name} was sad and angry\r\nand cried in the dark house all night." for name in "abcdefgh"
    )
    (books / "Book.txt").write_bytes(
        f"Talk.\r\n*** START OF THIS PROJECT GUTENBERG EBOOK ***\r\n\r\n{body}\r\n\r\n"
        "*** END OF THIS PROJECT GUTENBERG EBOOK ***\r\nTalk.\r\n".encode()
    )
    return rated


def _words(text: str) -> tuple[str, ...]:
    return tuple("".join(char if char.isalnum() else " " for char in text.lower()).split())


def test_unrated_texts_come_from_every_source_and_none_stands_in_the_rated_data(data: Path) -> None:
    with (data / "goemotions" / "train.tsv").open("a", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([[f"so glad about number {k}!", "0", "x"] for k in range(9)])
    bank = read_emobank(data)
    split = split_officially(bank)
    found = transfer_texts(data, bank, split, 400, 1)
    assert found == transfer_texts(data, bank, split, 400, 1) != transfer_texts(data, bank, split, 400, 2)
    assert transfer_texts(data, bank, split, 24, 1) == found[:24]
    for sign, count in (("so glad about", 9), ("happy king number", 20), ("The fox called", 8)):
        assert sum(sign in text for text in found) == count
        assert any(sign in text for text in found[:24])
    known = {_words(text) for text in bank.texts}
    assert known.isdisjoint(map(_words, found)) and len(set(map(_words, found))) == len(found)


def test_parts_of_sentences_are_cut_from_the_training_rows_alone(data: Path) -> None:
    path = data / "emobank" / "emobank.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    longer = [f"{line[:-1]} then the tea began and nobody knew why." for line in lines[1:]]
    path.write_text("\n".join([lines[0], *longer]) + "\n", encoding="utf-8")
    bank = read_emobank(data)
    split = split_by_document(bank, 0)
    parts = [text for text in transfer_texts(data, bank, split, 400, 1) if "then" in text or "nobody" in text]
    trained = " | ".join(bank.texts[row] for row in split.train)
    assert len(parts) > 20 and all(part in trained and part not in bank.texts for part in parts)


def test_the_teacher_counts_half_where_there_is_a_rating_and_alone_where_there_is_none(data: Path) -> None:
    bank = read_emobank(data)
    split = split_officially(bank)

    def teacher(texts: Sequence[str]) -> Reading:
        lengths = np.array([len(text) for text in texts], dtype=np.float32)
        return Reading(np.full((len(texts), 3), 0.5, dtype=np.float32), np.outer(lengths, [1, 2]).astype(np.float32))

    mixed, rows = with_teacher(bank, split, ["one", "fifteen"], teacher)
    assert mixed.texts[-2:] == ("one", "fifteen") and rows.train[-2:].tolist() == [160, 161]
    np.testing.assert_allclose(mixed.ratings[split.train, :3], (bank.ratings[split.train, :3] + 0.5) / 2)
    np.testing.assert_array_equal(mixed.ratings[:160, 3:9], bank.ratings[:, 3:])
    np.testing.assert_array_equal(mixed.ratings[split.held_out, :9], bank.ratings[split.held_out])
    assert (mixed.ratings[-2:, :3] == 0.5).all() and np.isnan(mixed.ratings[-2:, 3:9]).all()
    np.testing.assert_array_equal(rows.held_out, split.held_out)
    hidden = mixed.ratings[:, 9:]
    assert hidden.shape == (162, 2) and np.isnan(hidden[split.held_out]).all()
    lengths = [len(mixed.texts[row]) for row in rows.train]
    assert abs(np.corrcoef(hidden[rows.train, 0], lengths)[0, 1]) > 0.999, "the first component is what differs most"


def test_what_teachers_miss_at_exclamation_marks_is_added_to_their_readings(data: Path) -> None:
    bank = read_emobank(data)
    split = split_officially(bank)
    marked = np.isin(np.arange(160), split.train[::2])
    bank = replace(bank, texts=tuple(t + "!" if m else t for t, m in zip(bank.texts, marked, strict=True)))
    bank.ratings[:, :3] = np.where(marked[:, None], [0.1, 0.3, 0.0], [0.1, 0.0, 0.2])

    def teacher(texts: Sequence[str]) -> Reading:
        return Reading(np.full((len(texts), 3), 0.1, dtype=np.float32), np.eye(len(texts), 2, dtype=np.float32))

    texts = ["No", "No!", "Oh!!"]
    mixed, _ = with_teacher(bank, split, texts, teacher)
    np.testing.assert_allclose(mixed.ratings[-3:, :3], [[0.1, 0.1, 0.1], [0.1, 0.4, -0.1], [0.1, 0.4, -0.1]], atol=1e-6)
    np.testing.assert_allclose(mixed.ratings[split.train[0], :3], [0.1, 0.35, -0.05], atol=1e-6)
    np.testing.assert_allclose(mixed.ratings[split.train[1], :3], [0.1, 0.05, 0.15], atol=1e-6)
    few = replace(split, train=split.train[:98])
    assert (with_teacher(bank, few, texts, teacher)[0].ratings[-3:, :3] == np.float32(0.1)).all(), "49 tell too little"


def test_the_last_of_several_teachers_counts_three_tenths(
    data: Path,
    encoder: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder, epochs in zip(folders, "142", strict=True):
        options = ["--encoder", encoder, "--epochs", epochs, "--rate", "0.01", "--out", str(folder)]
        assert command.main(["text-emotion", "--data", str(data), *options]) == 0
    texts = ["happy glad love.", "sad died cried."]
    first, second, third = (Teachers([folder])(texts) for folder in folders)
    every = Teachers(folders)(texts)
    expected = 0.35 * first.values + 0.35 * second.values + 0.3 * third.values
    np.testing.assert_allclose(every.values, expected, atol=1e-6)
    np.testing.assert_array_equal(every.hidden, first.hidden)
    assert not np.allclose(first.values, second.values)
    np.testing.assert_allclose(first.values, TextEmotion.load(folders[0]).score(texts).values, atol=0.02)


def test_a_small_model_learns_from_a_large_one(
    data: Path,
    encoder: str,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    teacher, out = tmp_path / "teacher", tmp_path / "out"
    learning = ["--encoder", encoder, "--epochs", "8", "--rate", "0.01", "--head-rate", "0.01"]
    options = ["text-emotion", "--data", str(data), *learning]
    assert command.main([*options, "--top-layers", "1", "--out", str(teacher)]) == 0
    assert '"untouched": 2' in (teacher / CONFIG_FILE).read_text(encoding="utf-8")
    learning = ["--teacher", str(teacher), "--unrated", "24", "--words", "7"]
    assert command.main([*options, *learning, "--out", str(out)]) == 0
    assert "reading 120 rated and" in capsys.readouterr().out
    good, bad = TextEmotion.load(out).score(["happy glad love.", "sad died cried."]).values
    assert good[0] > bad[0] + 0.2
    rows = load_file(out / WEIGHTS_FILE)["encoder.embeddings.word_embeddings.weight.rows"]
    assert len(rows) == 7, "the words that moved most"
    kept = load_file(out / WEIGHTS_FILE)
    assert kept["head.1.weight"].shape[0] == 9, "what was guessed of the teacher's hidden numbers is not kept"


def test_a_teacher_that_is_not_there_is_told(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--data", str(data), "--teacher", str(tmp_path / "nobody"), "--out", str(tmp_path / "out")]
    assert command.main(["text-emotion", *options]) == 2
    message = capsys.readouterr().err.strip()
    assert "nobody" in message and "\n" not in message
    assert not (tmp_path / "out").exists()
