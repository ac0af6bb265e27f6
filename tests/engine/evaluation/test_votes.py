from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import UserError
from engine.evaluation import paper_poll, study
from engine.evaluation.figures import MOST_PAIRS, Sheet, draw_all, shown_means
from engine.evaluation.ordinal import ordinal_regression
from engine.evaluation.votes import COLUMNS, Answers, PairSummary, report


def answer(rater: str, pair: str, score: int, **more: Any) -> dict[str, Any]:
    plain = {"rater": rater, "pair": pair, "story": pair, "condition": "match", "score": score, "via": "button"}
    return plain | {"platform": "discord"} | more


def poll(seed: int = 0, raters: int = 40, pairs: int = 12) -> list[dict[str, Any]]:
    """A blind test with every condition, in which a smaller distance really is liked more."""
    rng = np.random.default_rng(seed)
    distance = rng.gamma(4, 0.06, pairs)
    quality = 3.8 - 3 * distance
    rows = []
    for r in range(raters):
        strict = 0.4 * rng.normal()
        for p in range(pairs):
            about: dict[str, Any] = {"via": "test", "distance": distance[p], "platform": ("discord", "telegram")[r % 2]}
            about |= {"delay_s": 80.0, "variant": ("one", "best of 4")[p % 2]}
            kinds = [("match", 0.0)]
            kinds += [("mismatch", -1.8)] if rng.random() < 0.2 else []
            kinds += [("plain", -1.0)] if rng.random() < 0.2 else []
            kinds += [("repeat", 0.0)] if rng.random() < 0.2 else []
            for kind, shift in kinds:
                score = int(np.clip(np.rint(quality[p] + strict + shift + 0.8 * rng.normal()), 0, 5))
                story = str(p + 1) if kind in ("match", "repeat") else str(p + 101)
                rows.append(answer(f"r{r}", str(p + 1), score, condition=kind, **about) | {"story": story})
    return rows


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return poll()


def test_the_paper_reproduced() -> None:
    found = report(paper_poll.answers(), draws=50)
    assert [round(pair.mean, 3) for pair in found.per_pair] == [3.444, 3.667, 4.037, 3.852]
    assert found.all.mean == 3.75
    assert [round(pair.sd or 0, 4) for pair in found.per_pair] == list(paper_poll.PUBLISHED_STDERR)
    assert [round(pair.se or 0, 3) for pair in found.per_pair] == [0.294, 0.239, 0.217, 0.291]
    assert [pair.counts for pair in found.per_pair] == list(paper_poll.COUNTS)


def test_the_papers_poll_is_printed_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert paper_poll.main(["--plots", str(tmp_path / "new"), "--language", "zh-TW"]) == 0
    printed = capsys.readouterr().out
    for number in ("3.444", "3.667", "4.037", "3.852", "3.750", "1.5275", "0.294", "0.239", "0.217", "0.291"):
        assert number in printed
    assert "sample standard deviation" in printed
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["figure-16.png", "figure-17.png"]


def test_a_report_finds_what_was_put_in(rows: list[dict[str, Any]]) -> None:
    found = report(Answers.of(rows), draws=300)
    assert found.all.votes == 480 and found.all.raters == 40 and found.all.pairs == 12
    assert found.all.interval is not None and found.all.bootstrap is not None and found.all.mean is not None
    assert found.all.interval.low < found.all.mean < found.all.interval.high
    assert found.all.bootstrap.low == pytest.approx(found.all.interval.low, abs=0.15)
    assert found.alpha is not None and found.alpha.value > 0.05
    assert found.controls["mismatch"].interval is not None
    assert found.controls["mismatch"].interval.low > 0
    assert (found.controls["mismatch"].delta or 0) > (found.controls["plain"].delta or 0) > 0
    assert found.repeats is not None and found.repeats.repeats > 50 and found.repeats.within_one > 0.65
    assert found.alignment["distance"].value < -0.5
    assert found.regression is not None
    assert found.regression.terms["mismatch"].interval.high < 0
    assert found.regression.terms["distance"].interval.high < 0
    assert abs(found.regression.terms["platform telegram"].log_odds) < 1
    assert set(found.by_platform) == {"discord", "telegram"} and set(found.by_variant) == {"one", "best of 4"}
    assert found.missing == ()


def test_a_report_is_json_without_nan_and_the_same_again(rows: list[dict[str, Any]]) -> None:
    once, again = (json.dumps(report(Answers.of(rows), draws=40).to_json(), allow_nan=False) for _ in range(2))
    assert once == again


@pytest.mark.parametrize(
    ("votes", "missing"),
    [
        ([], {"no_votes", "no_controls", "few_pairs"}),
        ([("a", "1", 4)], {"few_votes", "no_controls", "few_pairs"}),
        ([("a", "1", 4), ("b", "1", 2)], {"few_votes", "no_controls", "few_pairs"}),
        ([("a", "1", 4), ("a", "2", 2), ("a", "3", 3)], {"one_rater", "no_controls", "few_pairs"}),
        ([("a", "1", 4), ("b", "1", 2), ("c", "1", 3)], {"one_pair", "no_controls", "few_pairs"}),
    ],
)
def test_not_enough_yet_is_said(votes: list[tuple[str, str, int]], missing: set[str]) -> None:
    found = report(Answers.of(answer(*vote) for vote in votes))
    assert set(found.missing) == missing
    assert (found.all.interval is None) == ("one_pair" not in missing)
    assert found.all.votes == len(votes)
    assert (found.all.mean is None) == (not votes)
    assert found.alignment == {} and found.regression is None
    json.dumps(found.to_json(), allow_nan=False)


def test_new_accounts_and_flat_raters_are_left_out_of_the_trusted() -> None:
    rows = [answer(f"r{r}", f"{p}", (r + p) % 6) for r in range(6) for p in range(9)]
    rows += [answer("flat", f"{p}", 5) for p in range(9)]
    rows += [answer("new", f"{p}", 0, account_age_s=3600.0) for p in range(2)]
    found = report(Answers.of(rows), draws=20)
    assert found.flags["flat"] == 1 and found.flags["new_account"] == 1
    assert found.all.raters == 8 and found.trusted.raters == 6


@pytest.mark.parametrize("score", [6, -1, 2.5, "", None])
def test_a_table_with_an_impossible_score_is_refused(score: object) -> None:
    with pytest.raises(ValueError, match="a score is"):
        Answers.of([{"rater": "a", "pair": "1", "score": score}])


def test_regression_on_too_little_or_nothing() -> None:
    assert ordinal_regression([1, 2] * 10, {"x": np.arange(20)}, np.arange(20)) is None
    assert ordinal_regression([3] * 60, {"x": np.arange(60)}, np.arange(60)) is None
    assert ordinal_regression([1, 2] * 30, {"x": np.ones(60)}, np.arange(60)) is None


def test_regression_leaves_a_repeated_column_out() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    scores = np.clip(np.rint(2.5 + x + rng.logistic(size=300)), 0, 5)
    found = ordinal_regression(scores, {"x": x, "again": 2 * x, "one": np.ones(300)}, np.arange(300))
    assert found is not None and list(found.terms) == ["x"]
    assert found.terms["x"].interval.low > 0.5


# --- pictures and the program --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_every_picture_has_its_words(rows: list[dict[str, Any]], tmp_path: Path, language: Any) -> None:
    found = report(Answers.of(rows), draws=20)
    distances = {row["pair"]: row["distance"] for row in rows}
    drawn = draw_all(tmp_path, Sheet(found, distances, language))
    assert set(drawn) == {"scores", "means", "controls", "alignment", "overview"}
    for figure in drawn.values():
        assert figure.path.read_bytes().startswith(b"\x89PNG")
        assert 20 < len(figure.alt) <= 1024
    assert "480" in drawn["scores"].alt
    assert not list(tmp_path.glob("*.part"))


def test_of_many_pairs_the_best_and_the_least_rated_are_drawn() -> None:
    pairs = tuple(PairSummary(str(i), 5, i / 20, 1.0, 0.4, (1,) * 6) for i in range(100))
    shown = shown_means(pairs)
    assert len(shown) == MOST_PAIRS and shown[0].pair == "0" and shown[-1].pair == "99"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    lines = [",".join(COLUMNS), *(",".join(str(row.get(name, "")) for name in COLUMNS) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_program_reads_a_table(
    rows: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write(tmp_path / "votes.csv", rows)
    assert study.main([str(table), "--plots", str(tmp_path / "plots"), "--draws", "20"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["kind"] == "stats" and printed["all"]["votes"] == 480
    assert Path(printed["figures"]["overview"]["path"]).is_file()


def test_tables_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no column pair, rater, score"):
        study.study(tmp_path / "other.csv")
    with pytest.raises(UserError, match="a score is"):
        study.study(write(tmp_path / "bad.csv", [answer("a", "1", 7)]))
    with pytest.raises(UserError, match="cannot be read"):
        study.study(tmp_path / "none.csv")


def test_pictures_to_where_nothing_can_be_written(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        study.study(write(tmp_path / "votes.csv", rows), tmp_path / "file" / "plots")
