"""What the gibberish detector learns from: whole documents, split once and for all, and the faults put into them.

English: tales of FairytaleQA, books of Project Gutenberg and, so that modern words are no surprise, documents of
EmoBank. A fifth is held out for `tunetale evaluate gibberish`; a passage that shares eight words in a row with
a held-out document is not learned from. Chinese: the story fragments of this project (a file is a document).
"""

from __future__ import annotations

import re
import tomllib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.emotion.gibberish import tokens
from engine.emotion.sentences import split
from engine.errors import UserError
from engine.jobs import Language
from engine.story.library import DATA
from engine.training.story_bank import read_tales
from engine.training.text_data import read_emobank

Corpus = Sequence[Sequence[str]]
"""Documents, each as its passages in order."""

_HELD_OUT = 5
"""One document of so many is held out, by the checksum of its name: adding files moves no other."""
_SHARED_WORDS = 8
_LENGTHS = {"en": (30, 300), "zh-TW": (40, 400)}
"""Tokens of an excerpt, from the shortest to the longest."""
_PER_DOCUMENT = 24
"""Excerpts of one document at most, so that one long book does not outweigh the tales."""
_BEGIN = re.compile(r"^\*+ ?START OF TH(?:IS|E) PROJECT[^\n]*|^\*END\b[^\n]*SMALL PRINT[^\n]*", re.MULTILINE)
_FINISH = re.compile(
    r"^\*+ ?END OF TH(?:IS|E) PROJECT|^End of (?:the )?Project Gutenberg", re.MULTILINE | re.IGNORECASE
)
_SLOT = re.compile(r"\{(\w+)\}")
_HEADLINES = "SemEval"
"""EmoBank's one document that has no sentences."""
_SENTENCE_WORDS = 4
_QUOTES = "\"'”’ \n_"
_PARAGRAPH_WORDS = 12
"""Shorter paragraphs of a book are mostly headings."""


@dataclass(frozen=True, eq=False)
class Documents:
    """Documents to learn from and documents to measure on; `names` are those of the held-out ones."""

    train: Corpus
    held_out: Corpus
    names: tuple[str, ...]


def read_english(folder: Path) -> Documents:
    """Read `folder`/stories and `folder`/emobank. Raises `UserError` where a file is missing or cannot be read."""
    tales = {f"tale {number}": tale for number, tale in enumerate(read_tales(folder))}
    return _split(tales | read_books(folder / "stories" / "gutenberg") | _read_modern(folder), distinct=True)


def _read_modern(folder: Path) -> dict[str, list[str]]:
    """Return EmoBank's documents (blogs, news, letters, essays, travel guides, fiction), whole sentences only."""
    bank = read_emobank(folder)
    documents: dict[str, list[str]] = {}
    for text, name in zip(bank.texts, bank.documents, strict=True):
        if name != _HEADLINES and len(text.split()) >= _SENTENCE_WORDS and text.rstrip(_QUOTES)[-1:] in ".!?":
            documents.setdefault(f"modern {name}", []).append(text)
    return documents


def read_chinese(folder: Path = DATA) -> Documents:
    """Read the Chinese side of the story fragments, with a value in every slot."""
    world = tomllib.loads((folder / "world.toml").read_text(encoding="utf-8"))
    values = [pair[1] for pairs in (*world["names"].values(), *world["slots"].values()) for pair in pairs]
    documents = {
        path.stem: [
            _SLOT.sub(lambda slot, n=number: _value(slot[1], values, n), text)  # type: ignore[misc]
            for number, text in enumerate(_chinese_texts(tomllib.loads(path.read_text(encoding="utf-8"))))
        ]
        for path in sorted(folder.glob("*/*.toml"))
    }
    return _split(documents, distinct=False)


def _value(slot: str, values: Sequence[str], number: int) -> str:
    """Return what stands in a slot of the text of this number: some name or thing, the same every time."""
    return "他" if slot == "he" else values[(zlib.crc32(slot.encode()) + number) % len(values)]


def _chinese_texts(content: dict[str, Any]) -> Iterator[str]:
    for entries in content.values():
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("zh"), str):
                yield entry["zh"].strip()


def read_books(folder: Path) -> dict[str, list[str]]:
    """Return the paragraphs of prose of every book (*.txt, Project Gutenberg) in `folder`, by file name.

    Raises `UserError` where there is none, or one cannot be read or has no line where the book begins.
    """
    books = {}
    for path in sorted(folder.glob("*.txt")):
        before_and_book = _BEGIN.split(_decoded(path), maxsplit=1)
        if len(before_and_book) < 2:
            raise UserError(f"{path} has no line '*** START OF … PROJECT GUTENBERG …'.", code="bad_data")
        book = _FINISH.split(before_and_book[1], maxsplit=1)[0]
        books[path.stem] = [" ".join(one.split()) for one in re.split(r"\n\s*\n", book) if _is_prose(one)]
    if not books:
        raise UserError(f"There are no books (*.txt) in {folder}.", code="bad_data")
    return books


def _decoded(path: Path) -> str:
    """Return the text of a book: older ones are in Latin-1, many end their lines as on DOS."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"The book {path} cannot be read.", code="bad_data") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n")


def _is_prose(paragraph: str) -> bool:
    words = paragraph.split()
    letters = [char for char in paragraph if char.isalpha()]
    upper = sum(char.isupper() for char in letters)
    return len(words) >= _PARAGRAPH_WORDS and upper < 0.2 * len(letters) and paragraph.rstrip(_QUOTES)[-1:] in ".!?"


def _split(documents: dict[str, list[str]], *, distinct: bool) -> Documents:
    held = [name for name in documents if zlib.crc32(name.encode()) % _HELD_OUT == 0]
    train = [list(passages) for name, passages in documents.items() if name not in held]
    if distinct:
        known = {run for name in held for passage in documents[name] for run in _runs(passage)}
        train = [[one for one in passages if known.isdisjoint(_runs(one))] for passages in train]
    return Documents([one for one in train if one], [documents[name] for name in held], tuple(held))


def _runs(passage: str) -> set[int]:
    """Return a checksum of every run of words."""
    words = [token for token in tokens(passage, "en") if token.isalnum()]
    return {zlib.crc32(" ".join(words[i : i + _SHARED_WORDS]).encode()) for i in range(len(words) - _SHARED_WORDS + 1)}


def excerpts(passages: Sequence[str], language: Language, rng: np.random.Generator) -> Iterator[str]:
    """Yield stretches of whole sentences of one document, of different lengths, without overlap."""
    low, high = _LENGTHS[language]
    joint = "" if language == "zh-TW" else " "
    chosen: list[str] = []
    wanted, count, given = float(rng.uniform(low, high)), 0, 0
    for sentence in (sentence for passage in passages for sentence in split(passage)):
        chosen.append(sentence)
        count += len(tokens(sentence, language))
        if count >= wanted:
            yield joint.join(chosen)
            chosen, wanted, count, given = [], float(rng.uniform(low, high)), 0, given + 1
            if given == _PER_DOCUMENT:
                return
    if count >= low:
        yield joint.join(chosen)


def corrupt(text: str, fault: str, language: Language, vocabulary: Sequence[str], rng: np.random.Generator) -> str:
    """Return `text` with one of FAULTS, in one of its forms, chosen by `rng`."""
    joint = "" if language == "zh-TW" else " "
    words = list(text) if language == "zh-TW" else text.split()
    forms = _FORMS[fault]
    return joint.join(forms[int(rng.integers(len(forms)))](words, list(vocabulary), rng))


Form = Callable[[list[str], list[str], np.random.Generator], list[str]]
"""(words or characters, vocabulary, random numbers) → words or characters with a fault."""


def _shuffle_all(words: list[str], _: list[str], rng: np.random.Generator) -> list[str]:
    return [words[i] for i in rng.permutation(len(words))]


def _shuffle_near(words: list[str], _: list[str], rng: np.random.Generator) -> list[str]:
    """Every word moves by a few places."""
    return [words[i] for i in np.argsort(np.arange(len(words)) + rng.uniform(0, 6, len(words)), kind="stable")]


def _reverse(words: list[str], _: list[str], rng: np.random.Generator) -> list[str]:
    return words[::-1]


def _loop(words: list[str], _: list[str], rng: np.random.Generator) -> list[str]:
    """From somewhere on, the same few words again and again."""
    start = int(rng.integers(0, max(1, len(words) * 2 // 3)))
    size = int(rng.integers(1, 13))
    piece = words[start : start + size]
    return [*words[:start], *(piece * (len(words) // len(piece) + 1))[: max(2 * len(piece), len(words) - start)]]


def _say_twice(words: list[str], _: list[str], rng: np.random.Generator) -> list[str]:
    """A first part, told at least twice more."""
    part = words[: max(4, len(words) // int(rng.integers(2, 6)))]
    return part * int(rng.integers(3, 6))


def _random_words(words: list[str], vocabulary: list[str], rng: np.random.Generator) -> list[str]:
    known = [word for word in vocabulary if not word.startswith("<")]
    return [known[i] for i in rng.integers(0, len(known), len(words))]


def _random_letters(words: list[str], _: list[str], rng: np.random.Generator) -> list[str]:
    """Letters of English, or any Chinese characters, by chance."""
    if not any(char.isascii() for word in words for char in word):
        return [chr(code) for code in rng.integers(0x4E00, 0x9FA5, len(words))]
    return ["".join(chr(97 + k) for k in rng.integers(0, 26, max(1, len(word)))) for word in words]


def _mixed_letters(words: list[str], _: list[str], rng: np.random.Generator) -> list[str]:
    """Every word keeps its letters, in another order (single characters: every third becomes any other)."""
    if all(len(word) == 1 for word in words):
        return [chr(int(rng.integers(0x4E00, 0x9FA5))) if rng.random() < 0.33 else word for word in words]
    return ["".join(word[i] for i in rng.permutation(len(word))) for word in words]


def _cut_off(words: list[str], _: list[str], rng: np.random.Generator) -> list[str]:
    """The end is missing, from inside a sentence on, often from inside a word on."""
    keep = int(rng.integers(max(2, len(words) // 3), max(3, len(words))))
    while keep > 1 and words[keep - 1][-1:] in '.!?…。！？”"」』’)':
        keep -= 1
    last = words[keep - 1]
    return [*words[: keep - 1], last[: max(1, int(rng.integers(1, len(last) + 1)))]]


_FORMS: dict[str, tuple[Form, ...]] = {
    "shuffled": (_shuffle_all, _shuffle_near, _reverse),
    "repeated": (_loop, _say_twice),
    "random": (_random_words, _random_letters, _mixed_letters),
    "truncated": (_cut_off,),
}
