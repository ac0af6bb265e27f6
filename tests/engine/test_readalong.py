from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.emotion.curve import Beat
from engine.jobs import Language
from engine.readalong import pace, readalong, write_readalong

ENGLISH = [
    "The lamp blinked over the pier. “No ship tonight,” said the old man & sat down.",
    "But the waves rose higher, and the wind beat against the shutters until the whole tower hummed like a string!",
    "At dawn a small boat came in. Someone waved, and called his name.",
]
CHINESE = [
    "夜裡，燈塔的光一閃一閃，照著空無一人的碼頭。「今晚不會有船了。」他說。",
    "可是海浪越來越高，風把窗子吹得砰砰響！他想起那一年，也是這樣的夜晚，兒子的船沒有回來。",
    "天亮了，一艘小船慢慢靠岸；船上的人揮著手，喊著他的名字。",
]


def _beats(*ends_s: float) -> list[Beat]:
    return [Beat(start, end, 0.0, 0.0, "modest") for start, end in pairwise((0.0, *ends_s))]


def _seconds(stamp: str) -> float:
    hours, minutes, seconds = stamp.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


@pytest.mark.parametrize(("story", "language", "speed", "line"), [(ENGLISH, "en", 17, 42), (CHINESE, "zh-TW", 9, 16)])
def test_each_paragraph_is_read_in_its_beat(story: list[str], language: Language, speed: float, line: int) -> None:
    beats = _beats(20, 40, 60)
    cues = pace(story, beats, 60, language)
    starts = {cue.start_s for cue in cues}
    assert {0.0, 20.0, 40.0} <= starts
    assert cues[-1].end_s == 60
    assert all(a.end_s == b.start_s for a, b in pairwise(cues))
    assert all(len(cue.text.replace("\n", " ")) <= speed * (cue.end_s - cue.start_s) + 0.1 for cue in cues)
    assert all(len(part) <= line for cue in cues for part in cue.text.split("\n"))
    assert all(cue.text.count("\n") <= 1 for cue in cues)
    joint = " " if language == "en" else ""
    assert joint.join(cue.text.replace("\n", joint) for cue in cues) == joint.join(story)


def test_a_paragraph_borrows_time_from_its_neighbours() -> None:
    beats = _beats(20, 22, 60)
    cues = pace(ENGLISH, beats, 60, "en")
    second = [cue for cue in cues if any(word in cue.text for word in ("waves", "shutters", "string"))]
    need = len(ENGLISH[1]) / 17
    assert second[0].start_s == 20
    assert second[-1].end_s - 20 == pytest.approx(need, abs=0.2)
    late = pace(ENGLISH, _beats(20, 58, 60), 60, "en")
    assert late[-1].end_s == 60
    assert late[-1].end_s - next(cue for cue in late if "dawn" in cue.text).start_s > 3.5


def test_text_after_the_end_is_said_and_returned(tmp_path: Path) -> None:
    path = tmp_path / "readalong.vtt"
    late = write_readalong(path, ENGLISH, _beats(3, 6, 9), 9, "en")
    assert late == pytest.approx(sum(map(len, ENGLISH)) / 17 - 9, abs=0.3)
    assert "NOTE The music is too short" in path.read_text(encoding="utf-8")
    assert write_readalong(path, ENGLISH, _beats(20, 40, 60), 60, "en") == 0.0
    assert "NOTE" not in path.read_text(encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["readalong.vtt"]


def test_it_is_webvtt() -> None:
    text = readalong(ENGLISH, _beats(20, 40, 3700), 3700, "en")
    header, *blocks = text.rstrip("\n").split("\n\n")
    assert header == "WEBVTT"
    assert blocks[-1].split("\n")[1].endswith("01:01:40.000")
    for number, block in enumerate(blocks, start=1):
        name, times, *lines = block.split("\n")
        start, arrow, end = times.split(" ")
        assert (name, arrow) == (str(number), "-->")
        assert _seconds(start) < _seconds(end)
        assert 1 <= len(lines) <= 2
    assert "&amp; sat down" in text


def test_markup_in_a_story_is_text() -> None:
    text = readalong(["a <b> --> c & d"] * 3, _beats(5, 10, 15), 15, "en")
    assert "a &lt;b&gt; --&gt; c &amp; d" in text


def test_lines_break_at_clauses_and_never_before_punctuation() -> None:
    cues = pace(CHINESE, _beats(20, 40, 60), 60, "zh-TW")
    lines = [line for cue in cues for line in cue.text.split("\n")]
    assert not any(line[0] in "，。！？；」" for line in lines)
    assert not any(line[-1] == "「" for line in lines)
    assert "夜裡，燈塔的光一閃一閃，\n照著空無一人的碼頭。" in [cue.text for cue in cues]


def test_paragraphs_and_beats_must_agree() -> None:
    with pytest.raises(ValueError, match="paragraphs"):
        pace(ENGLISH, _beats(10, 20), 20, "en")


@given(
    st.lists(st.text(st.sampled_from("ab c.!，。海「」\n"), max_size=300), min_size=3, max_size=5),
    st.lists(st.floats(0.5, 60), min_size=5, max_size=5),
    st.sampled_from(["en", "zh-TW"]),
)
def test_any_story_keeps_order_text_and_time(story: list[str], lengths: list[float], language: Language) -> None:
    ends = [sum(lengths[: i + 1]) for i in range(len(story))]
    cues = pace(story, _beats(*ends), ends[-1], language)
    assert all(a.end_s <= b.start_s + 0.002 for a, b in pairwise(cues))
    needed = sum(map(len, story)) / (17 if language == "en" else 9)
    assert all(cue.end_s <= max(ends[-1], needed) + 1 for cue in cues)
    letters = "".join("".join(cue.text.split()) for cue in cues)
    assert letters == "".join("".join(paragraph.split()) for paragraph in story)


SPEED: dict[Language, float] = {"en": 17.0, "zh-TW": 9.0}
ROUNDING_S = 0.001
"""Times are written in milliseconds."""
WORDS: dict[Language, str] = {"en": "abc de, fgh. ij! k", "zh-TW": "海浪，燈塔。船！家"}


@st.composite
def readings(draw: st.DrawFn) -> tuple[list[str], list[Beat], Language]:
    """Paragraphs and beats, from far too short to far too long."""
    language: Language = draw(st.sampled_from(["en", "zh-TW"]))
    count = draw(st.integers(1, 10))
    text = st.text(st.sampled_from(WORDS[language]), min_size=1, max_size=400)
    story = draw(st.lists(text, min_size=count, max_size=count))
    lengths = draw(st.lists(st.floats(0.25, 90), min_size=count, max_size=count))
    return story, _beats(*[sum(lengths[: i + 1]) for i in range(count)]), language


def _shown(text: str) -> int:
    return len(" ".join(text.split()))


@given(readings())
def test_nobody_has_to_read_faster_than_people_can(reading: tuple[list[str], list[Beat], Language]) -> None:
    story, beats, language = reading
    for cue in pace(story, beats, beats[-1].end_s, language):
        # A line break is read as nothing: it stands where a space was, or between two Chinese characters.
        length = len(cue.text.replace("\n", ""))
        assert length <= SPEED[language] * (cue.end_s - cue.start_s + ROUNDING_S), cue


@given(readings())
def test_the_text_ends_with_the_music_unless_it_says_so(reading: tuple[list[str], list[Beat], Language]) -> None:
    story, beats, language = reading
    end_s = beats[-1].end_s
    cues = pace(story, beats, end_s, language)
    text = readalong(story, beats, end_s, language)
    needed = sum(map(_shown, story)) / SPEED[language]
    if needed < end_s - 1:
        assert all(cue.end_s <= end_s + ROUNDING_S for cue in cues)
        assert "NOTE" not in text
    assert ("NOTE" in text) == any(cue.end_s > end_s + ROUNDING_S / 2 for cue in cues)
    assert all(0 <= cue.start_s < cue.end_s for cue in cues)


@given(readings())
def test_a_paragraph_that_fits_its_beat_begins_and_ends_with_it(
    reading: tuple[list[str], list[Beat], Language],
) -> None:
    story, beats, language = reading
    if any(
        _shown(text) / SPEED[language] > beat.end_s - beat.start_s - 0.5
        for text, beat in zip(story, beats, strict=True)
    ):
        return
    borders = {round(cue.start_s, 3) for cue in pace(story, beats, beats[-1].end_s, language)}
    worded = [beat for text, beat in zip(story, beats, strict=True) if text.strip()]
    assert {round(beat.start_s, 3) for beat in worded} <= borders
