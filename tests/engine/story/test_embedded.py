from __future__ import annotations

import re
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.emotion.curve import Beat
from engine.emotion.sentences import split
from engine.emotion.setting import Setting
from engine.errors import Cancelled, UserError
from engine.jobs import Language
from engine.report import silent
from engine.story.embedded import EmbeddedStoryteller, order
from engine.story.library import Library, MaterialError
from engine.story.storyteller import Prompt, Story
from engine.story.wording import count_words

ONE = EmbeddedStoryteller.load()


def prompt(
    targets: list[tuple[float, float]],
    *,
    language: Language = "en",
    words: int = 250,
    seed: int = 7,
    candidates: int = 1,
) -> Prompt:
    beats = tuple(Beat(20.0 * i, 20.0 * i + 20, v, a, "calm") for i, (v, a) in enumerate(targets))
    return Prompt(beats, tuple(targets), language, words, seed, candidates)


WAVE = [(0.2, -0.1), (0.1, 0.1), (-0.2, 0.3), (-0.3, 0.0), (0.25, 0.25)]


def tell(asked: Prompt) -> Story:
    return ONE.tell(asked, silent)[0]


def total(story: Story) -> int:
    return sum(count_words(text, story.language) for text in story.paragraphs)


def test_one_paragraph_a_beat_with_title_and_one_cast() -> None:
    story = tell(prompt(WAVE))
    assert len(story.paragraphs) == 5
    assert story.title
    assert story.language == "en"
    assert story.twin is None
    for text in story.paragraphs:
        assert not re.search(r"[{}]", text)
        assert text[0].isupper() or text[0] in "“‘"
        assert text[-1] in ".!?”"


def test_chinese_has_its_twin() -> None:
    story = tell(prompt(WAVE, language="zh-TW", words=400))
    assert story.twin is not None
    assert len(story.twin) == len(story.paragraphs) == 5
    assert all(re.search(r"[一-鿿]", text) and not re.search(r"[A-Za-z{}]", text) for text in story.paragraphs)
    assert all(not re.search(r"[一-鿿{}]", text) for text in story.twin)


def test_both_languages_are_told_in_full_by_the_same_seed() -> None:
    """The twin of a Chinese story is English that stands by itself: every paragraph begins and ends as one."""
    story = tell(prompt(WAVE, language="zh-TW", words=400))
    assert story.twin is not None
    assert all(text[-1] in ".!?”" for text in story.twin)


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_same_prompt_same_story_and_two_seeds_differ(language: Language) -> None:
    asked = prompt(WAVE, language=language)
    first = tell(asked)
    assert first == EmbeddedStoryteller.load().tell(asked, silent)[0]
    other = tell(replace(asked, seed=8))
    assert other.paragraphs != first.paragraphs
    assert other.title != first.title


def test_eight_threads_tell_what_one_tells() -> None:
    asked = [prompt(WAVE, seed=seed) for seed in range(8)]
    alone = [tell(one) for one in asked]
    beside: list[Story | None] = [None] * 8

    def work(index: int) -> None:
        beside[index] = tell(asked[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert beside == alone


def test_feeling_follows_the_targets() -> None:
    """The planner's own idea of its fragments must follow what was asked, beat for beat, over many stories."""
    planner = ONE.planner
    scores = {fragment.en: planner.scores[i] for i, fragment in enumerate(planner.fragments)}
    wanted: list[tuple[float, float]] = []
    got = []
    for seed in range(12):
        asked = prompt(WAVE[seed % 5 :] + WAVE[: seed % 5], seed=seed)
        plan = planner.plan(order(asked), (seed,))
        wanted += asked.targets
        got += [np.mean([scores[f.en] for f in part], axis=0) for part in plan.paragraphs]
    for axis in (0, 1):
        assert np.corrcoef(np.array(wanted)[:, axis], np.array(got)[:, axis])[0, 1] > 0.7


def test_length_follows_the_wish() -> None:
    for words, tolerance in ((120, 0.3), (250, 0.12), (500, 0.1)):
        assert abs(total(tell(prompt(WAVE, words=words))) / words - 1) < tolerance
    for words, tolerance in ((200, 0.3), (420, 0.12), (900, 0.1)):
        assert abs(total(tell(prompt(WAVE, language="zh-TW", words=words))) / words - 1) < tolerance


def test_long_beats_get_long_paragraphs() -> None:
    beats = (Beat(0, 90, 0.1, 0.1, "calm"), Beat(90, 100, 0.1, 0.1, "calm"), Beat(100, 110, 0.1, 0.1, "calm"))
    longer = 0
    for seed in range(5):
        story = tell(Prompt(beats, ((0.1, 0.1),) * 3, "en", 300, seed))
        lengths = [count_words(text, "en") for text in story.paragraphs]
        longer += lengths[0] > lengths[2]
    assert longer >= 4


def test_candidates_are_different_stories() -> None:
    stories = ONE.tell(prompt(WAVE, candidates=6), silent)
    assert len(stories) == 6
    assert len({story.paragraphs for story in stories}) == 6
    assert stories[0] == tell(prompt(WAVE)), "the first candidate does not depend on how many there are"


def test_title_can_be_given() -> None:
    assert tell(replace(prompt(WAVE), title="My Own")).title == "My Own"


def test_setting_changes_the_story_and_is_never_named() -> None:
    bright = tell(replace(prompt(WAVE), setting=Setting(160, 1.0, 0.9, 0.9)))
    dark = tell(replace(prompt(WAVE), setting=Setting(55, 0.0, 0.1, 0.0)))
    assert bright.paragraphs != dark.paragraphs
    for story in (bright, dark):
        assert not re.search(r"\b(music|song|tempo|loudness|brightness)\b", " ".join(story.paragraphs).lower())


@pytest.mark.parametrize("language", ["en", "zh-TW"])
@pytest.mark.parametrize(
    "targets",
    [
        [(0.1, 0.0)],
        [(-0.3, -0.2)] * 10,
        [(0.3, 0.4)] * 10,
        [(1.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0)],
        [(0.0, 0.0)] * 2,
    ],
)
def test_unusual_but_valid(language: Language, targets: list[tuple[float, float]]) -> None:
    low, high = {"en": (80, 600), "zh-TW": (120, 1000)}[language]
    for words in (low, high):
        story = tell(prompt(targets, language=language, words=words))
        assert len(story.paragraphs) == len(targets)
        assert all(story.paragraphs)
        sentences = [one for text in story.paragraphs for one in split(text) if len(one) > 15]
        assert len(sentences) == len(set(sentences)), "no sentence twice"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    targets=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=10),
    words=st.integers(80, 600),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_valid_prompt_gets_a_story(targets: list[tuple[float, float]], words: int, seed: int) -> None:
    story = tell(prompt(targets, words=words, seed=seed))
    assert len(story.paragraphs) == len(targets)
    assert all(text.strip() for text in story.paragraphs)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (prompt([]), "at least one beat"),
        (prompt(WAVE * 3), "at most 10 beats, not 15"),
        (prompt(WAVE, words=79), "80 to 600 words, not 79"),
        (prompt(WAVE, words=601), "80 to 600 words, not 601"),
        (prompt(WAVE, words=100, language="zh-TW"), "120 to 1000 characters, not 100"),
        (prompt(WAVE, candidates=0), "1 to 16 candidate stories, not 0"),
        (prompt([(float("nan"), 0.0)]), "finite numbers"),
        (replace(prompt(WAVE), language="fr"), "told in en and zh-TW, not in 'fr'"),  # type: ignore[arg-type]
        (replace(prompt(WAVE), targets=((0.0, 0.0),)), "one target for every beat"),
    ],
)
def test_bad_input_is_one_sentence(asked: Prompt, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        ONE.tell(asked, silent)
    assert sentence in caught.value.message
    assert caught.value.code != "bad_input"
    assert "\n" not in caught.value.message


def test_progress_rises_and_cancel_stops() -> None:
    seen: list[float] = []
    ONE.tell(prompt(WAVE, candidates=3), lambda stage, fraction: seen.append(fraction))
    assert seen[0] == 0.0
    assert seen[-1] == 1.0
    assert all(a <= b for a, b in pairwise(seen))

    def stop(stage: str, fraction: float) -> None:
        if fraction > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        ONE.tell(prompt(WAVE, candidates=3), stop)


def test_telling_needs_no_model() -> None:
    """The scores are in a file: a storyteller must load and tell without torch, in a process of its own."""
    code = (
        "import sys; from engine.story.embedded import EmbeddedStoryteller as E; E.load();"
        "print(sorted({'torch', 'transformers', 'librosa'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_damaged_material_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> Library:
        raise MaterialError(["frames/lamp.toml open 1 has no twin.", "frames/lamp.toml open 2 has no twin."])

    monkeypatch.setattr("engine.story.embedded.load_library", damaged)
    with pytest.raises(UserError, match=r"^frames/lamp.toml open 1 has no twin\.$"):
        EmbeddedStoryteller.load()
