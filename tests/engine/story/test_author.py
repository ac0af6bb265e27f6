"""The storyteller for language models, with scripted ones: repair, choice, rewriting, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.emotion.calibration import Calibration
from engine.errors import Cancelled, UserError
from engine.jobs import Language
from engine.report import Report, silent
from engine.settings import ModerationSettings
from engine.story.author import Author
from engine.story.candidates import best_of, distances, replacement, worst_of
from engine.story.chat import Ask
from engine.story.sanitize import Moderation
from engine.story.storyteller import Prompt
from tests.engine.story.asked import Answer, ScriptedChat, answer, asked

TWO = asked((0.5, 0.0, "happy"), (-0.5, 0.0, "sad"), words=20)
GLAD, SAD, FLAT = ("All of them laughed and danced, glad.", "He wept at the grave, sad.", "They sat at the flat table.")
NONSENSE = "Qwx zzrt plk vvb nonsense jkl."


def read(texts: Sequence[str]) -> NDArray[np.float32]:
    """Valence by key words, as a text model would see it."""
    music = [[0.5 * ("glad" in text) - 0.5 * ("sad" in text), 0.0] for text in texts]
    return Calibration.load().to_text(music)


class Detector:
    def score(self, text: str, language: Language) -> float:
        return float("nonsense" not in text)


def tell(
    *answers: Answer, prompt: Prompt = TWO, n: int = 1, rewrites: int = 0, forbidden: str = "", report: Report = silent
) -> tuple[str, tuple[str, ...], ScriptedChat]:
    chat = ScriptedChat(*answers)
    moderation = Moderation(ModerationSettings(en=(forbidden,)))
    author = Author(chat, read, Detector(), moderation, Calibration.load(), rewrites=rewrites)
    stories = author.tell(replace(prompt, candidates=n), report)
    assert len(stories) == 1
    assert not chat.answers
    return stories[0].title, stories[0].paragraphs, chat


def test_the_best_of_several_is_kept() -> None:
    title, paragraphs, chat = tell(
        answer(FLAT, FLAT, title="A"), answer(GLAD, SAD, title="B"), answer(SAD, GLAD, title="C"), n=3
    )
    assert (title, paragraphs) == ("B", (GLAD, SAD))
    assert len({ask.seed for ask in chat.asks}) == 3


def test_gibberish_is_put_aside_although_it_fits_best() -> None:
    title, _, _ = tell(answer(GLAD + NONSENSE, SAD, title="A"), answer(FLAT, FLAT, title="B"), n=2)
    assert title == "B"
    with pytest.raises(UserError, match="nothing that can be read") as caught:
        tell(answer(NONSENSE, SAD))
    assert caught.value.code == "gibberish"


def test_one_round_of_repair() -> None:
    title, _, chat = tell(answer(GLAD), answer(SAD, SAD, title="S"), answer(GLAD, SAD, title="R"), n=2)
    assert title == "R"
    assert len(chat.asks) == 3
    assert "1 instead of 2 numbered paragraphs" in chat.asks[2].messages[-1].content
    assert chat.asks[2].messages[-2].content == answer(GLAD)


def test_an_answer_that_repair_does_not_mend_is_left_out() -> None:
    title, _, _ = tell("no", answer(FLAT, FLAT, title="S"), "no", n=2)
    assert title == "S"
    with pytest.raises(UserError, match="did not write a story of 2 paragraphs") as caught:
        tell("no", "", "no", "", n=2)
    assert caught.value.code == "bad_story"


def test_the_worst_paragraph_is_written_anew() -> None:
    better = "Nobody came; he was sad, and it rained."
    _, paragraphs, chat = tell(
        answer(GLAD, GLAD), answer(GLAD, FLAT), "3. They were glad.", f"2. {better}", n=2, rewrites=1
    )
    assert paragraphs == (GLAD, better)
    assert "paragraph 2 anew" in chat.asks[2].messages[-1].content


def test_a_rewrite_that_is_no_better_is_left() -> None:
    _, paragraphs, _ = tell(answer(GLAD, FLAT), "They were glad.", rewrites=1)
    assert paragraphs == (GLAD, FLAT)
    for text in ("", f"He was sad. {NONSENSE}", "中文"):
        _, paragraphs, _ = tell(answer(GLAD, FLAT), text, rewrites=1)
        assert paragraphs == (GLAD, FLAT)


def test_each_paragraph_is_tried_once() -> None:
    def anew(ask: Ask) -> str:
        return GLAD if "paragraph 1 anew" in ask.messages[-1].content else SAD

    _, paragraphs, chat = tell(answer(FLAT, FLAT), anew, anew, rewrites=5)
    assert paragraphs == (GLAD, SAD)
    assert len(chat.asks) == 3


def test_forbidden_words_exclude_a_candidate_and_a_rewrite() -> None:
    title, paragraphs, _ = tell(answer(GLAD, SAD, title="A"), answer(FLAT, SAD, title="B"), n=2, forbidden="danced")
    assert (title, paragraphs) == ("B", (FLAT, SAD))
    _, paragraphs, _ = tell(answer(FLAT, SAD), GLAD, rewrites=1, forbidden="danced")
    assert paragraphs == (FLAT, SAD)
    with pytest.raises(UserError, match="not allowed here"):
        tell(answer(GLAD, SAD), forbidden="danced")


def test_what_comes_is_plain_text() -> None:
    title, paragraphs, _ = tell(answer(f"{GLAD}\u202e http://x.example", SAD, title="A\u200bB"))
    assert (title, paragraphs) == ("AB", (GLAD, SAD))


def test_the_given_title_is_kept() -> None:
    title, _, _ = tell(answer(GLAD, SAD), prompt=replace(TWO, title="Mine"))
    assert title == "Mine"


def test_ten_megabytes_are_read_in_no_time() -> None:
    with pytest.raises(UserError, match="did not write"):
        tell("word " * 2_000_000, "1. a\n" * 2_000_000)


def test_progress_rises_to_one_and_cancel_ends_it() -> None:
    seen: list[float] = []
    tell(answer(GLAD), answer(GLAD, FLAT), SAD, rewrites=1, report=lambda _, share: seen.append(share))
    assert seen == sorted(seen) and seen[0] == 0.0 and seen[-1] == 1.0

    def stop(stage: str, fraction: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        tell(answer(GLAD, SAD), report=stop)


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        (replace(TWO, beats=(), targets=()), "no_beats"),
        (asked(*[(0.0, 0.0, "modest")] * 17), "too_many_beats"),
        (asked((float("nan"), 0.0, "modest")), "bad_target"),
    ],
)
def test_what_cannot_be_told_is_refused_before_the_model_is_asked(prompt: Prompt, code: str) -> None:
    with pytest.raises(UserError) as caught:
        tell(prompt=prompt)
    assert caught.value.code == code


def test_one_beat_and_ten_of_one_word() -> None:
    one = replace(asked((0.1, 0.1, "modest")), words=10)
    assert tell(answer(FLAT * 2), prompt=one)[1] == (FLAT * 2,)
    ten = replace(asked(*[(0.1, 0.1, "modest")] * 10), words=60)
    assert len(tell(answer(*[FLAT] * 10), prompt=ten)[1]) == 10


def test_choices_take_the_first_of_equals() -> None:
    assert best_of([[0.2], [0.1], [0.1]], [[1.0], [0.1], [1.0]]) == 2
    assert best_of([[0.2]], [[0.49]]) is None
    assert worst_of([0.1, 0.3, 0.3]) == 1
    assert worst_of([0.1], frozenset({0})) is None
    assert replacement(0.2, [0.3, 0.1, 0.1], [1.0, 0.4, 0.9]) == 2
    assert replacement(0.2, [0.2], [1.0]) is None
    assert distances([[0, 0], [1, 1]], [[3, 4], [1, 1]]).tolist() == [5.0, 0.0]
