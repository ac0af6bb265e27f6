from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from engine.emotion.encoder import load_encoder
from engine.emotion.regressor import WEIGHTS_FILE, Regressor, RegressorConfig
from engine.emotion.text import TextEmotion
from engine.errors import UserError
from engine.training import __main__ as command
from engine.training.steps import batches
from engine.training.text_data import read_emobank, read_goemotions, split_by_document, split_officially
from engine.training.text_emotion import HISTORY_FILE, Recipe, save, train
from engine.training.text_judge import judge_data, scale_texts
from tests.fakes.tiny_encoder import save_tiny_encoder

GOOD, BAD, PLAIN = (
    ("happy", "glad", "love", "smiled"),
    ("sad", "died", "fear", "cried"),
    ("the", "sea", "house", "king"),
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """EmoBank's and GoEmotions' layout with a rule that can be learnt: good words raise valence."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    (folder / "emobank").mkdir(parents=True)
    (folder / "goemotions").mkdir()
    rows, meta, labelled = [], [], []
    for number in range(160):
        good = int(rng.integers(0, 4))
        words = [*rng.choice(GOOD, good), *rng.choice(BAD, 3 - good), *rng.choice(PLAIN, int(rng.integers(1, 4)))]
        text = " ".join(rng.permutation(words)) + "."
        value = 2 + 2 * good / 3
        split = "dev" if number % 4 == 0 else "train"
        rows.append([f"id{number}", split, f"{value:.2f}", f"{3.5 - value / 4:.2f}", f"{2 + value / 3:.2f}", text])
        meta.append([f"id{number}", f"document{number % 10}"])
        labelled.append([text, "0" if good > 1 else "1,2", "x"])
    _write(folder / "emobank" / "emobank.csv", ["id", "split", "V", "A", "D", "text"], rows)
    _write(folder / "emobank" / "meta.tsv", ["id", "document"], meta)
    for perspective, skip in (("reader", 5), ("writer", 7)):  # some sentences have no ratings of one side
        kept = [[row[0], *row[2:5]] for number, row in enumerate(rows) if number % skip]
        _write(folder / "emobank" / f"{perspective}.csv", ["id", "V", "A", "D"], kept)
    _write(folder / "goemotions" / "train.tsv", ["text", "label", "id"], labelled)
    (folder / "goemotions" / "emotions.txt").write_text("joy\nfear\nsadness\n", encoding="utf-8")
    return folder


@pytest.fixture
def encoder(tmp_path: Path) -> str:
    return str(save_tiny_encoder(tmp_path / "encoder"))


def _write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows([header, *rows])


def _silent(_: str) -> None: ...


def test_emobank_is_read_with_both_views_on_its_new_scale(data: Path) -> None:
    bank = read_emobank(data)
    assert bank.ratings.shape == (160, 9) and bank.ratings.dtype == np.float32
    assert (len(bank.rows("train")), len(bank.rows("dev"))) == (120, 40)
    first = (data / "emobank" / "emobank.csv").read_text(encoding="utf-8").splitlines()[1].split(",")
    assert bank.ratings[0, 0] == pytest.approx((float(first[2]) - 3) / 2)
    assert np.isnan(bank.ratings[0, 3:]).all() and np.isnan(bank.ratings[5, 3:6]).all()
    np.testing.assert_array_equal(bank.ratings[1, 3:6], bank.ratings[1, :3])
    assert bank.documents[11] == "document1"
    comments, names = read_goemotions(data)
    labels = comments.labels
    assert labels.shape == (160, 3) and set(labels.sum(axis=1).tolist()) == {1.0, 2.0}
    assert names == ["joy", "fear", "sadness"]


@pytest.mark.parametrize("variant", ["tuned", "frozen"])
def test_every_variant_learns_the_rule_and_loads_again(
    data: Path, encoder: str, tmp_path: Path, variant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = [
        "--encoder",
        encoder,
        "--variant",
        variant,
        "--epochs",
        "8",
        "--rate",
        "0.01",
        "--head-rate",
        "0.01",
        "--out",
        str(out),
    ]
    assert command.main(["text-emotion", "--data", str(data), *options]) == 0
    shown = capsys.readouterr().out
    assert "epoch 8/8" in shown and str(out) in shown
    model = TextEmotion.load(out, dtype=torch.float32)
    bank = read_emobank(data)
    dev = bank.rows("dev")
    found = model.score([bank.texts[row] for row in dev]).values
    for k in range(3):
        assert np.corrcoef(found[:, k], bank.ratings[dev, k])[0, 1] > 0.6
    good, bad = model.score(["happy glad love.", "sad died cried."]).values
    assert good[0] > bad[0] + 0.3 and good[1] < bad[1]


def test_the_same_seed_gives_the_same_weights(data: Path, encoder: str, tmp_path: Path) -> None:
    files: list[bytes] = []
    for seed in ("1", "1", "2"):
        out = tmp_path / f"out{len(files)}"
        options = ["--encoder", encoder, "--epochs", "1", "--seed", seed, "--out", str(out)]
        assert command.main(["text-emotion", "--data", str(data), *options]) == 0
        files.append((out / WEIGHTS_FILE).read_bytes())
    assert files[0] == files[1] != files[2]


def test_members_are_averaged_and_what_is_saved_scores_as_what_was_trained(
    data: Path, encoder: str, tmp_path: Path
) -> None:
    bank = read_emobank(data)
    split = split_officially(bank)
    recipe = Recipe(encoder=encoder, epochs=6, members=2, rate=0.01, head_rate=0.01)
    trained = train(bank, split, recipe, _silent)
    assert [(point.member, point.epoch) for point in trained.history] == [(m, e) for m in (0, 1) for e in range(1, 7)]
    alone = [train(bank, split, replace(recipe, members=1, seed=seed), _silent).weights for seed in (1, 2)]
    for name, value in trained.weights.items():
        torch.testing.assert_close(value, (alone[0][name] + alone[1][name]) / 2)
    texts = [bank.texts[row] for row in split.held_out]
    save(tmp_path, trained, texts)
    found = TextEmotion.load(tmp_path, dtype=torch.float32).score(texts).values
    assert np.corrcoef(found[:, 0], split.truth(bank)[:, 0])[0, 1] > 0.6
    assert len(json.loads((tmp_path / HISTORY_FILE).read_text(encoding="utf-8"))) == 12


def test_documents_can_be_held_out_whole(data: Path, encoder: str, tmp_path: Path) -> None:
    bank = read_emobank(data)
    folds = [split_by_document(bank, fold) for fold in range(5)]
    assert sorted(np.concatenate([fold.held_out for fold in folds]).tolist()) == list(range(160))
    for fold in folds:
        assert not {bank.documents[row] for row in fold.train} & {bank.documents[row] for row in fold.held_out}
    options = ["--encoder", encoder, "--variant", "frozen", "--epochs", "1", "--by-document", "0"]
    assert command.main(["text-emotion", "--data", str(data), *options]) == 2, "it is not shipped"
    assert command.main(["text-emotion", "--data", str(data), *options, "--out", str(tmp_path / "out")]) == 0


def test_the_judge_shares_no_rating_with_the_shipped_model(data: Path) -> None:
    bank, split = judge_data(data)
    shipped = split_officially(bank)
    assert not set(split.train.tolist()) & set(shipped.train.tolist())
    assert set(split.train.tolist()) == set(shipped.held_out.tolist())
    assert set(split.held_out.tolist()) <= set(shipped.train.tolist())


def test_the_judge_is_put_on_the_scale_of_the_shipped_model(data: Path, encoder: str, tmp_path: Path) -> None:
    tales = data / "stories" / "fairytaleqa"
    tales.mkdir(parents=True)
    with (tales / "one-story.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["section", "text"], ["1", "She was happy and glad. He died and all cried. They danced."]])
    out = tmp_path / "judge"
    options = ["--encoder", encoder, "--variant", "judge", "--out", str(out)]
    assert command.main(["text-emotion", "--data", str(data), *options]) == 0
    texts = scale_texts(data)
    judge, shipped = (TextEmotion.load(*folder).score(texts).values for folder in ([out], []))
    np.testing.assert_allclose(judge.mean(axis=0), shipped.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(judge.std(axis=0), shipped.std(axis=0), atol=0.02)


def test_a_multilingual_encoder_reads_chinese_itself(data: Path, encoder: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--encoder", encoder, "--variant", "frozen", "--epochs", "1", "--multilingual", "--out", str(out)]
    assert command.main(["text-emotion", "--data", str(data), *options]) == 0
    assert not TextEmotion.load(out).score(["她哭了。"]).by_lexicon.any()


def test_batches_hold_every_row_once_with_like_lengths() -> None:
    rng = np.random.default_rng(0)
    rows, lengths = np.arange(100, 1100), rng.integers(1, 60, size=1100)
    found = list(batches(rows, lengths, 32, rng))
    assert sorted(np.concatenate(found).tolist()) == rows.tolist()
    assert max(map(len, found)) == 32
    assert np.mean([np.ptp(lengths[batch]) for batch in found]) < 10
    assert not np.array_equal(np.concatenate(found), np.concatenate(list(batches(rows, lengths, 32, rng))))


@pytest.mark.parametrize("name", ["emobank.csv", "meta.tsv", "reader.csv", "writer.csv"])
def test_a_missing_file_is_named(data: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "emobank" / name).unlink()
    assert command.main(["text-emotion", "--data", str(data), "--variant", "frozen", "--out", "unused"]) == 2
    message = capsys.readouterr().err.strip()
    assert name in message and "\n" not in message


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("emobank/emobank.csv", "id,split,V", "id,split,Valence", "no column 'V'"),
        ("emobank/emobank.csv", ",train,2", ",train,two", "not a number"),
        ("emobank/emobank.csv", ",train,2", ",train,9", "outside 1 to 5"),
        ("emobank/emobank.csv", "dev", "train", "no dev rows"),
        ("emobank/reader.csv", "id1,", "id1,1,1,", "as many columns"),
        ("emobank/meta.tsv", "document\r\n", "doc\r\n", "no column 'document'"),
        ("goemotions/train.tsv", "1,2", "1,99", "list of numbers below 3"),
    ],
)
def test_damaged_data_are_told_in_one_sentence(data: Path, name: str, old: str, new: str, told: str) -> None:
    path = data / name
    content = path.read_bytes().decode()
    assert old in content
    path.write_bytes(content.replace(old, new).encode())
    with pytest.raises(UserError, match=told) as caught:
        read_goemotions(data) if "goemotions" in name else read_emobank(data)
    assert caught.value.code == "bad_data" and "\n" not in caught.value.message


def test_a_missing_encoder_is_told(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--encoder", str(tmp_path / "nowhere"), "--variant", "frozen", "--out", "unused"]
    assert command.main(["text-emotion", "--data", str(data), *options]) == 2
    assert "no text encoder" in capsys.readouterr().err
    assert command.main(["text-emotion", "--data", str(data), "--epochs", "0"]) == 2


def test_training_goes_on_from_earlier_weights(data: Path, encoder: str, tmp_path: Path) -> None:
    bank = read_emobank(data)
    split = split_officially(bank)
    recipe = Recipe(encoder=encoder, epochs=6, members=1, rate=0.01, head_rate=0.01)
    save(tmp_path, train(bank, split, recipe, _silent), bank.texts[:20])
    texts = [bank.texts[row] for row in split.held_out]
    before = TextEmotion.load(tmp_path, dtype=torch.float32).score(texts).values
    other = replace(bank, ratings=np.concatenate([0.5 * bank.ratings[:, :3] - 0.1, bank.ratings[:, 3:]], axis=1))
    still = replace(recipe, epochs=1, rate=1e-12, head_rate=1e-12, begin=tmp_path)
    trained = train(other, split, still, _silent)
    assert trained.history[0].r == pytest.approx(
        [np.corrcoef(before[:, k], split.truth(bank)[:, k])[0, 1] for k in range(3)], abs=0.01
    )
    save(tmp_path / "on", trained, texts)
    after = TextEmotion.load(tmp_path / "on", dtype=torch.float32).score(texts).values
    np.testing.assert_allclose(after, before, atol=0.02, err_msg="the same numbers in other units")


def test_weights_of_another_encoder_are_no_beginning(
    data: Path, encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frozen = tmp_path / "frozen"
    options = ["text-emotion", "--data", str(data), "--encoder", encoder, "--epochs", "1"]
    assert command.main([*options, "--variant", "frozen", "--out", str(frozen)]) == 0
    capsys.readouterr()
    assert command.main([*options, "--begin", str(frozen), "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err.strip()
    assert "another encoder or variant" in message and "\n" not in message and not (tmp_path / "out").exists()


def test_arousal_can_weigh_more(data: Path, encoder: str) -> None:
    bank = read_emobank(data)
    recipe = Recipe(encoder=encoder, epochs=1, members=1)
    plain, heavy = (train(bank, split_officially(bank), replace(recipe, arousal=a), _silent) for a in (1.0, 50.0))
    assert plain.history[0].loss != heavy.history[0].loss


def test_layers_that_are_not_trained_have_no_dropout(encoder: str) -> None:
    loaded = load_encoder(encoder, 128)
    config = RegressorConfig(encoder, loaded.sha256, "tuned", (3,), 0, 3, (0, 0, 0), (1, 1, 1), untouched=2)
    model = Regressor(loaded, config)
    noisy = {name for name, module in model.encoder.named_modules() if isinstance(module, nn.Dropout) and module.p}
    assert noisy and all(".layer.2." in f".{name}" for name in noisy)
