from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.emotion.sentences import split
from engine.evaluation.fragments import banned_words, check
from engine.story.library import Fragment, load_library
from engine.story.scores import read_scores
from tests.engine.story.tiny import COLOUR, FRAME, write_tiny


def test_the_shipped_material_has_no_faults() -> None:
    library = load_library()
    findings = check(library, read_scores(library.fragments), banned_words())
    assert findings.problems == ()
    assert len(library.fragments) >= 300
    assert len(library.frames) >= 8


def test_no_two_fragments_of_one_story_share_a_sentence() -> None:
    homes: dict[str, list[Fragment]] = {}
    for fragment in load_library().fragments:
        for sentence in {one for one in split(fragment.en) if len(one) > 15}:
            homes.setdefault(sentence, []).append(fragment)
    for sentence, (first, *others) in homes.items():
        for other in others:  # of a frame's turns, as of its openings and ends, a story has one
            assert first.frame and first.frame == other.frame, sentence
            assert first.role == other.role in ("open", "turn", "end"), sentence


def faults(directory: Path, **files: str) -> list[str]:
    return list(check(load_library(write_tiny(directory, **files)), banned={"en": "song", "zh": "歌"}).problems)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("想看一隻{bird}", "想看一隻鳥", "the twins use different slots: ['bird']"),
        ("難過地走", "难过地走", "simplified characters"),
        ("難過地走回去。", "難過地走回去.", "half-width punctuation"),
        ("難過地走回去。", "難過地走回去", "does not end a sentence"),
        ("難過地走回去", "sad地走回去", "Latin letters"),
        ("walked back sadly.", "walked back 難過.", "Chinese characters"),
        ("walked back sadly.", "walked back sadly", "the English text does not end a sentence"),
        ("walked back sadly.", "walked back “sadly.", "quotation marks do not pair"),
        ("walked back sadly.", "heard a song.", "speaks of music ('song')"),
        ("難過地走回去", "唱著歌走回去", "speaks of music ('歌')"),
        ("see a {bird}.", "see {bird}s.", "a plural made from a slot"),
        ("walked back sadly.", "walked back " + "very " * 80 + "sadly.", "words, more than"),
        ("Nothing came, not even a frog.", "They were glad all the way home.", "stands in frames/pond.toml turn 2 too"),
        ('needs = "net"', 'needs = "net won"', "event 2: can never come"),
        ('needs = "lost"', 'needs = "lost night"', "a story can come to a point where no end fits"),
    ],
)
def test_each_fault_is_found(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    before = faults(tmp_path)
    changed = FRAME.replace(old, new, 1)
    assert changed != FRAME
    after = faults(tmp_path, frame=changed)
    assert not any(sentence in problem for problem in before)
    assert any(sentence in problem for problem in after), after


def test_a_slot_that_would_need_an(tmp_path: Path) -> None:
    from tests.engine.story.tiny import WORLD

    found = faults(tmp_path, world=WORLD.replace('"wren"', '"owl"'))
    assert any("'a {bird}' may become 'a owl'" in problem for problem in found)


def test_thin_coverage_is_found(tmp_path: Path) -> None:
    found = faults(tmp_path)
    assert any("frames/pond.toml: no quest that is good and wild." in problem for problem in found)
    assert any("colour fragments at valence (0.3, 1.0), arousal (0.3, 1.0)" in problem for problem in found)


def test_strong_disagreement_is_noted(tmp_path: Path) -> None:
    library = load_library(write_tiny(tmp_path, colour=COLOUR))
    read = np.array([fragment.tag for fragment in library.fragments]) * 0.2
    assert check(library, read).notes == ()
    read[-2] = (-0.6, 0.0)
    (note, *_) = check(library, read).notes
    assert "talk 1: valence meant +0.1" in note
