from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from engine.emotion.gibberish import FAULTS, GibberishDetector
from engine.emotion.sentences import split
from engine.errors import UserError
from engine.evaluation import __main__ as evaluate
from engine.evaluation.gibberish import measure
from engine.training import __main__ as command
from engine.training.gibberish_data import Documents, corrupt, excerpts, read_chinese, read_english

SUBJECTS = ("the king", "a fox", "her mother", "the old wolf", "a girl", "his friend")
VERBS = ("went to", "looked at", "found", "was afraid of", "sang to", "ran from")
OBJECTS = ("the sea", "a dark house", "the forest", "his golden ring", "the quiet town", "a cold river")


def sentences(rng: np.random.Generator, count: int) -> str:
    """Sentences of one small grammar, with new names again and again, as stories have them."""
    return " ".join(_sentence(rng) for _ in range(count))


def _sentence(rng: np.random.Generator) -> str:
    subject, verb, thing, other = (rng.choice(part) for part in (SUBJECTS, VERBS, OBJECTS, SUBJECTS))
    first, second = ("".join(rng.choice(list("aeiou") if k % 2 else list("bdklmnrst")) for k in range(6)) for _ in "ab")
    return (
        f"{subject.capitalize()} {verb} {thing} of {first.capitalize()}, and {second.capitalize()} and {other} laughed."
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Tales, a book with header and footer, and EmoBank's layout, all in one small language."""
    rng = np.random.default_rng(0)
    tales = tmp_path / "stories" / "fairytaleqa"
    tales.mkdir(parents=True)
    for number in range(20):
        _write(tales / f"t{number:02}-story.csv", ["section", "text"], [[str(k), sentences(rng, 12)] for k in range(3)])
    books = tmp_path / "stories" / "gutenberg"
    books.mkdir()
    body = "\n\n".join(["THE HEADING OF IT ALL", *(sentences(rng, 6) for _ in range(20))])
    (books / "Book_1.txt").write_text(
        "Licence talk.\n*** START OF THIS PROJECT GUTENBERG EBOOK A BOOK ***\n\n"
        + body
        + "\n\n*** END OF THIS PROJECT GUTENBERG EBOOK A BOOK ***\nMore licence talk, and then more of it, and more.",
        encoding="utf-8",
    )
    (books / "Old_2.txt").write_bytes(
        b"Talk.\n*END THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*END*\n\n"
        + "The café was dark and the old king was afraid of the cold river.\n\n".encode("latin-1")
        + b"End of The Project Gutenberg Etext of it\nTalk of a licence for all of the old books that are here.\n"
    )
    bank = tmp_path / "emobank"
    bank.mkdir()
    rows = [[f"d{k % 9}_{k}", "dev" if k % 5 else "train", "3", "3", "3", sentences(rng, 1)] for k in range(90)]
    _write(bank / "emobank.csv", ["id", "split", "V", "A", "D", "text"], rows)
    _write(bank / "meta.tsv", ["id", "document"], [[row[0], f"d{k % 9}"] for k, row in enumerate(rows)])
    for side in ("reader", "writer"):
        _write(bank / f"{side}.csv", ["id", "V", "A", "D"], [[row[0], "3", "3", "3"] for row in rows])
    return tmp_path


def _write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows([header, *rows])


def test_training_twice_gives_the_same_files_and_they_tell_faults(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chinese = read_chinese()
    few = Documents([passages[:20] for passages in chinese.train[:6]], [chinese.held_out[0][:20]], chinese.names[:1])
    for module in ("engine.training.gibberish", "engine.evaluation.gibberish"):
        monkeypatch.setattr(f"{module}.read_chinese", lambda: few)
    first, second = tmp_path / "one", tmp_path / "two"
    for out in (first, second):
        assert command.main(["gibberish", "--data", str(data), "--out", str(out)]) == 0
    for name in ("en.npz", "zh-TW.npz"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    capsys.readouterr()
    assert evaluate.main(["gibberish", "--data", str(data), "--weights", str(first)]) == 0
    shown = capsys.readouterr().out
    assert "zh-TW" in shown and "truncated" in shown
    measured = measure(GibberishDetector.load(first), read_english(data), "en")
    assert measured.accuracy > 0.9 and measured.documents > 1
    low, high = measured.interval
    assert low <= measured.accuracy <= high


def test_held_out_documents_are_whole_and_the_same_every_time(data: Path) -> None:
    documents = read_english(data)
    assert documents.names == read_english(data).names and documents.held_out and documents.train
    held = {passage for passages in documents.held_out for passage in passages}
    assert not held & {passage for passages in documents.train for passage in passages}


def test_a_passage_shared_with_a_held_out_document_is_not_learned_from(data: Path) -> None:
    shared = "Nobody in the whole wide world had ever seen so strange a wooden horse before that day."
    documents = read_english(data)
    tales = data / "stories" / "fairytaleqa"
    held = next(int(name.split()[1]) for name in documents.names if name.startswith("tale"))
    free = next(number for number in range(20) if f"tale {number}" not in documents.names)
    for number in (held, free):
        _write(
            tales / f"t{number:02}-story.csv", ["section", "text"], [["1", shared], ["2", "A fox was here. It ran."]]
        )
    documents = read_english(data)
    assert any(shared in passages for passages in documents.held_out)
    assert not any(shared in passages for passages in documents.train)


def test_books_are_read_without_header_footer_and_headings_in_both_encodings(data: Path) -> None:
    documents = read_english(data)
    passages = [passage for part in (documents.train, documents.held_out) for found in part for passage in found]
    assert not any("licence" in passage or "HEADING" in passage for passage in passages)
    assert any("café" in passage for passage in passages)


def test_our_own_chinese_has_a_value_in_every_slot() -> None:
    documents = read_chinese()
    assert len(documents.train) >= 10 and len(documents.held_out) >= 3
    assert not any(
        "{" in passage for part in (documents.train, documents.held_out) for found in part for passage in found
    )


def test_excerpts_are_whole_sentences_without_overlap() -> None:
    passages = [sentences(np.random.default_rng(k), 40) for k in range(3)]
    found = list(excerpts(passages, "en", np.random.default_rng(1)))
    assert len(found) > 2
    everything = [sentence for passage in passages for sentence in split(passage)]
    chosen = [sentence for text in found for sentence in split(text)]
    assert chosen == everything[: len(chosen)]


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_changes_the_text_and_nothing_else_decides_it(fault: str) -> None:
    text = sentences(np.random.default_rng(1), 8)
    for seed in range(12):
        one, two = (corrupt(text, fault, "en", ["<>", ".", "the", "sea"], np.random.default_rng(seed)) for _ in "ab")
        assert one == two != text and one.strip()
    if fault == "truncated":
        cut = corrupt(text, fault, "en", [], np.random.default_rng(3))
        assert text.startswith(cut.rstrip()) and not cut.endswith(".")


def test_bad_data_are_told_in_one_sentence(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(folder: Path) -> str:
        assert command.main(["gibberish", "--data", str(folder), "--out", str(tmp_path / "out")]) == 2
        message = capsys.readouterr().err.strip()
        assert message and "\n" not in message
        return message

    assert "no tales" in told(tmp_path / "nowhere")
    (data / "stories" / "gutenberg" / "Bad.txt").write_text("No mark at all.", encoding="utf-8")
    assert "START OF" in told(data)
    for path in (data / "stories" / "gutenberg").iterdir():
        path.unlink()
    assert "no books" in told(data)
    with pytest.raises(UserError):
        read_english(data)
