from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from engine.emotion.text import TextEmotion
from engine.errors import UserError
from engine.evaluation import __main__ as command
from engine.evaluation.text_emotion import (
    HELD_OUT,
    TUNED,
    agreement_table,
    compare_chinese,
    document_table,
    draw_history,
    measure,
    measure_by_document,
    read_history,
    read_parallel,
    score_table,
)
from engine.training.text_data import read_emobank, split_by_document, split_officially
from engine.training.text_emotion import Recipe, save, train
from tests.engine.training.test_text_emotion import data, encoder  # noqa: F401


@pytest.fixture
def weights(data: Path, encoder: str, tmp_path: Path) -> Path:  # noqa: F811
    bank = read_emobank(data)
    recipe = Recipe(encoder=encoder, epochs=8, members=2, rate=0.01, head_rate=0.01)
    folder = tmp_path / "weights"
    save(folder, train(bank, split_officially(bank), recipe, lambda _: None), bank.texts[:20])
    return folder


def rendered(table: object) -> str:
    console = Console(width=200, record=True, file=StringIO())
    console.print(table)
    return console.export_text()


def test_the_table_holds_score_constant_and_paper(data: Path, weights: Path) -> None:  # noqa: F811
    scores = measure(TextEmotion.load(weights), read_emobank(data))
    assert scores[0].n == 40 and scores[0].r > 0.6 and scores[0].mae < scores[0].constant_mae
    shown = rendered(score_table("tiny", scores))
    for part in (f"{scores[0].r:.3f}", f"{scores[0].constant_mae:.3f}", "0.110", "89.0%", f"{1 - scores[0].mae:.1%}"):
        assert part in shown


def test_the_command_prints_the_table_and_saves_the_curves(
    data: Path,  # noqa: F811
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plots = tmp_path / "plots"
    options = ["--data", str(data), "--weights", str(weights), "--plots", str(plots)]
    assert command.main(["text-emotion", *options]) == 0
    shown = capsys.readouterr().out
    assert "dominance" in shown and "held out" in shown
    assert (plots / "text-emotion.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in plots.iterdir()] == ["text-emotion.png"]


def test_by_document_a_model_is_trained_anew_for_every_fold(
    data: Path,  # noqa: F811
    encoder: str,  # noqa: F811
) -> None:
    bank, said = read_emobank(data), list[str]()
    recipe = Recipe(variant="frozen", encoder=encoder, epochs=4, head_rate=0.01)
    found = measure_by_document(bank, recipe, said.append)
    assert [n for _, n, _ in found] == [40] + [32] * 5, "two of the ten documents a fold"
    alone = train(bank, split_by_document(bank, 2), recipe, lambda _: None).history[-1].r
    assert found[3] == ("documents, fold 3", 32, alone)
    assert len({r for _, _, r in found}) == 6 and sum("epoch 4/4" in line for line in said) == 6
    shown = rendered(document_table(recipe, found))
    mean = np.mean([r[0] for _, _, r in found[1:]])
    assert f"{mean:.3f} ± " in shown and f"{alone[1]:.3f}" in shown and "no teacher" in shown


def test_a_learning_curve_shows_every_training(weights: Path, tmp_path: Path) -> None:
    history = read_history(weights)
    assert {point["member"] for point in history} == {0, 1} and len(history) == 16
    small, whole = tmp_path / "small.png", tmp_path / "new" / "whole.png"
    draw_history(history[:2], small)
    draw_history(history, whole)
    assert small.read_bytes() != whole.read_bytes()


def test_our_parallel_sentences_are_many_unique_and_marked() -> None:
    rows = read_parallel()
    assert len(rows) >= 200 and len({row[0] for row in rows}) == len({row[1] for row in rows}) == len(rows)
    assert sum(row[2] == HELD_OUT for row in rows) >= 120 and {row[2] for row in rows} == {TUNED, HELD_OUT}


def test_chinese_follows_english_on_sentences_it_was_not_made_with() -> None:
    tuned, held_out = compare_chinese(TextEmotion.load(), read_parallel())
    assert (tuned.part, held_out.part) == (TUNED, HELD_OUT)
    assert held_out.n >= 120 and held_out.r[0] > 0.6 and held_out.r[1] > 0.3
    low, high = held_out.intervals[0]
    assert low < held_out.r[0] < high and high - low < 0.3
    assert f"{held_out.r[0]:.2f}" in rendered(agreement_table([tuned, held_out]))


@pytest.mark.parametrize("content", ["", "[]", "{}", "[1]", '[{"member": 0}]'])
def test_damaged_curves_are_refused(weights: Path, content: str) -> None:
    (weights / "history.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="train text-emotion again") as caught:
        read_history(weights)
    assert caught.value.code == "damaged_history"


@pytest.mark.parametrize("content", ["", "english\tchinese\nA\tB\n", "english\tchinese\tpart\nA\tB\tother\n"])
def test_a_damaged_table_of_sentences_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "parallel.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="reinstall"):
        read_parallel(path)


def test_missing_data_weights_and_columns_are_one_sentence_each(
    data: Path,  # noqa: F811
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def told(*options: str) -> str:
        assert command.main(["text-emotion", *options]) == 2
        message = capsys.readouterr().err.strip()
        assert message and "\n" not in message
        return message

    assert "--data" in told()
    assert "emobank.csv" in told("--data", str(tmp_path / "nowhere"))
    assert "train text-emotion again" in told("--data", str(data), "--weights", str(tmp_path / "nowhere"))
    (weights / "config.json").write_text(json.dumps({"format": 1}), encoding="utf-8")
    assert "version 1" in told("--data", str(data), "--weights", str(weights))
    table = data / "emobank" / "emobank.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("id,split,V", "id,split,Valence"), encoding="utf-8")
    assert "'V'" in told("--data", str(data), "--weights", str(weights))
