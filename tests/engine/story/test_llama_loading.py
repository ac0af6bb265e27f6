"""Language models that cannot be loaded: what is said of each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import UserError
from engine.settings import LlamaSettings, WritingSettings
from engine.story.llama import LlamaChat
from tests.fakes.tiny_llama import random_llama


@pytest.fixture(scope="module")
def random_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_llama(tmp_path_factory.mktemp("models"))


def load(folder: Path) -> None:
    LlamaChat.load(LlamaSettings(model=str(folder), device="cpu"), WritingSettings()).close()


def copy_of(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "model"))


def test_no_such_directory(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no directory"):
        load(tmp_path / "nowhere")


def test_no_such_model(tmp_path: Path) -> None:
    """Nothing is downloaded here, and nothing is loaded that was not locked."""
    with pytest.raises(UserError, match="fetch it with `tunetale models fetch somebody/else`") as caught:
        LlamaChat.load(LlamaSettings(model="somebody/else"), WritingSettings(), tmp_path / "models.lock")
    assert caught.value.code == "no_model"


def drop_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickle_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def drop_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def break_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def drop_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def drop_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def strange_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "zebra"}')


def remote_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "zebra"
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('executed')")


def other_model(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "vit"}')


def missing_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def broken_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)


@pytest.mark.parametrize(
    ("harm", "said", "code"),
    [
        (drop_weights, "has no weights", "model_incomplete"),
        (pickle_weights, "has no weights", "model_incomplete"),
        (drop_tokenizer, "has no tokenizer", "model_incomplete"),
        (break_tokenizer, "has no tokenizer that can be read", "model_incomplete"),
        (drop_template, "has no chat template.*instruct model", "no_chat_template"),
        (drop_config, r"has no config\.json", "model_incomplete"),
        (strange_config, "describes no model that is known", "model_incomplete"),
        (remote_code, "describes no model that is known", "model_incomplete"),
        (other_model, "cannot be loaded as a language model", "model_incomplete"),
        (missing_weights, r"weights are missing or of another shape, as model\.layers\.1", "model_incomplete"),
        (broken_weights, "cannot be loaded as a language model", "model_incomplete"),
    ],
)
def test_a_directory_that_lacks_something(
    random_folder: Path, tmp_path: Path, harm: Callable[[Path], None], said: str, code: str
) -> None:
    folder = copy_of(random_folder, tmp_path)
    harm(folder)
    with pytest.raises(UserError, match=said) as caught:
        load(folder)
    assert caught.value.code == code
    assert "\n" not in caught.value.message


def test_an_unknown_device(random_folder: Path) -> None:
    with pytest.raises(UserError, match="on device 'cuda:77'"):
        LlamaChat.load(LlamaSettings(model=str(random_folder), device="cuda:77"), WritingSettings())


def test_a_model_too_large_for_the_device(random_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", full)
    with pytest.raises(UserError, match="does not fit into the memory of this device"):
        load(random_folder)
