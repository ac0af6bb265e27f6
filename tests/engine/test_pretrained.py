"""Models are loaded whole or not at all, with one sentence that says what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from engine.errors import UserError
from engine.pretrained import load_beside, load_model


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("bert")
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "model")


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_model(AutoModel, folder, "The text encoder")
    assert caught.value.code == "model_incomplete" and "\n" not in caught.value.message
    return caught.value.message


def test_a_whole_model(folder: Path) -> None:
    model = load_model(AutoModel, folder, "The text encoder", dtype="bfloat16", device="cpu")
    assert not model.training and model.dtype == torch.bfloat16


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_missing_file(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    assert "The text encoder cannot be loaded from" in refused(folder)


def test_weights_that_lack_a_tensor_are_not_made_up(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.0.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "whole model" in refused(folder)


def test_weights_of_another_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 4}))
    refused(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_file(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x00\xff nothing")
    refused(folder)


def test_pickled_weights_are_not_read(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    refused(folder)


def test_a_directory_without_tokenizer(folder: Path) -> None:
    with pytest.raises(UserError, match="The text encoder cannot be loaded"):
        load_beside(AutoTokenizer, folder, "The text encoder")
