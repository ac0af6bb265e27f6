from __future__ import annotations

from pathlib import Path

import pytest

from engine.story.library import Fragment, Library, MaterialError, load_library, typographic
from tests.engine.story.tiny import COLOUR, FRAME, WORLD, write_tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Library:
    return load_library(write_tiny(tmp_path))


def find(library: Library, start: str) -> Fragment:
    (found,) = [fragment for fragment in library.fragments if fragment.en.startswith(start)]
    return found


def problems(directory: Path) -> tuple[str, ...]:
    with pytest.raises(MaterialError) as caught:
        load_library(directory)
    return caught.value.problems


def test_reads_frames_and_common_fragments(tiny: Library) -> None:
    assert [frame.name for frame in tiny.frames] == ["pond"]
    assert len(tiny.frames[0].fragments) == 9
    assert len(tiny.common) == 5
    assert tiny.fragments == tiny.frames[0].fragments + tiny.common
    assert find(tiny, "They wanted").origin == "frames/pond.toml quest 1"


def test_facts_decide_what_may_follow(tiny: Library) -> None:
    bits = tiny.world.bits
    start = tiny.frames[0].start | bits["summer"] | bits["day"]
    found, torn = find(tiny, "{friend} found"), find(tiny, "The net was torn")
    assert found.may_follow(start)
    assert not torn.may_follow(start), "the net must be found first"
    after = found.after(start)
    assert torn.may_follow(after)
    assert not found.may_follow(after), "it is found once"


def test_setting_a_fact_ends_the_others_of_its_group(tiny: Library) -> None:
    bits = tiny.world.bits
    after = find(tiny, "There it was").after(bits["undecided"] | bits["night"])
    assert after == bits["won"] | bits["night"]


def test_time_flows_forward(tmp_path: Path) -> None:
    frame = FRAME + '\n[[event]]\nva = [0, 0]\nsets = "day"\nen = "It was noon."\nzh = "到了中午。"\n'
    library = load_library(write_tiny(tmp_path, frame=frame))
    noon, bits = find(library, "It was noon"), library.world.bits
    assert noon.may_follow(bits["morning"])
    assert not noon.may_follow(bits["night"])


def test_key_changes_with_the_english_text_only(tiny: Library) -> None:
    one = find(tiny, "They wanted")
    assert one.key != find(tiny, "They walked").key
    assert len(one.key) == 16


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    frame = FRAME.replace('needs = "won"', 'needs = "wn"').replace("{bird}.", "{brid}.").replace("va = [0.6, 0.6]", "")
    found = problems(write_tiny(tmp_path, frame=frame))
    assert any("end 1: 'wn' is not a fact (did you mean 'won'?)" in problem for problem in found)
    assert any("unknown slot {brid} (did you mean 'bird'?)" in problem for problem in found)
    assert any("event 1: va must be two numbers" in problem for problem in found)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("[[inner]]", "[[innner]]"), "[[innner]] is not a role (did you mean 'inner'?)"),
        (("[[inner]]", "[[turn]]"), "[[turn]] is not a role"),
        (("va = [0.7, -0.5]", "va = [1.7, -0.5]"), "va must be two numbers from -1 to 1"),
        (('zh = "{he}很開心。"', ""), "the text 'zh' is missing"),
        (('needs = "night"', 'need = "night"'), "unknown key 'need'"),
        (("{he} was happy.", "{he was happy."), "a brace without its partner"),
        (("{he} was happy.", "{place} was happy."), "unknown slot {place}"),
    ],
)
def test_faults_of_common_fragments(tmp_path: Path, change: tuple[str, str], sentence: str) -> None:
    colour = COLOUR.replace(*change, 1)
    assert colour != COLOUR
    assert any(sentence in problem for problem in problems(write_tiny(tmp_path, colour=colour)))


def test_broken_toml_and_missing_files_are_named(tmp_path: Path) -> None:
    write_tiny(tmp_path, colour="[[inner]\n")
    (tmp_path / "world.toml").unlink()
    found = problems(tmp_path)
    assert any("world.toml is missing" in problem for problem in found)
    assert any("all.toml" in problem for problem in found)


def test_a_library_needs_a_frame_and_a_known_companion(tmp_path: Path) -> None:
    directory = write_tiny(tmp_path, frame=FRAME.replace('"friend"\nstart', '"fiend"\nstart'))
    assert any("companion must be one of friend, grandparent" in problem for problem in problems(directory))
    (directory / "frames" / "pond.toml").unlink()
    assert any("holds no frame" in problem for problem in problems(directory))


def test_a_fact_cannot_belong_to_two_groups(tmp_path: Path) -> None:
    world = WORLD.replace('"in", "out"', '"in", "out", "won"')
    assert any("'won' is listed twice" in problem for problem in problems(write_tiny(tmp_path, world=world)))


def test_quotes_are_set_typographically() -> None:
    assert typographic('"Don\'t!" he said. "\'Tis"') == "“Don’t!” he said. “‘Tis”"
