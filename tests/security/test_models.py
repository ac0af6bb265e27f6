"""Model files are data: safetensors alone, no code of a repository is run, nothing is fetched while loading."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WITH_WEIGHTS = {"AutoModel", "AutoModelForCausalLM", "kind"}
"""Whose `from_pretrained` reads weights; `kind` is the parameter of `engine.pretrained.load_model`."""
PICKLES = "engine/music/audiocraft/generator.py"
"""The one place that may read pickles: Meta's own weights, checked against a locked hash, in their own environment."""
UNPICKLING = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for package in ("bot", "engine", "db"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def loads(tree: ast.AST) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield who loads with which literal keywords."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "from_pretrained":
            keywords: dict[str, Any] = {
                str(word.arg): word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)
            }
            yield ast.unparse(node.func.value), keywords


def test_every_model_is_loaded_without_foreign_code_and_from_here() -> None:
    # engine/tiny makes models for the doctor and reads back what it has just written itself.
    found = [(name, *load) for name, tree in trees() if "/tiny/" not in name for load in loads(tree)]
    assert len(found) >= 5
    for name, who, keywords in found:
        if who.startswith("Auto") or who == "kind":  # a class that is named cannot be exchanged by a repository
            assert keywords.get("trust_remote_code") is False, (name, who)
        assert keywords.get("local_files_only") is True, (name, who)


def test_weights_are_safetensors() -> None:
    found = [(name, *load) for name, tree in trees() for load in loads(tree) if load[0] in WITH_WEIGHTS]
    assert len(found) >= 3
    for name, who, keywords in found:
        if name == "engine/pretrained.py" and "use_safetensors" not in keywords:
            continue  # `load_beside`: tokenizers and feature extractors, which have no weights
        assert keywords.get("use_safetensors") is True, (name, who)


def test_nothing_is_unpickled() -> None:
    for name, tree in trees():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            assert not UNPICKLING & {each.split(".")[0] for each in names}, name
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load", "numpy.load"):
                words = {str(word.arg): ast.unparse(word.value) for word in node.keywords}
                if ast.unparse(node.func) == "torch.load":
                    assert name == PICKLES and words.get("weights_only") == "True", name
                assert words.get("allow_pickle") in (None, "False"), name


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5"])
def test_what_is_shipped_is_no_pickle(suffix: str) -> None:
    assert not list((ROOT / "engine" / "assets").rglob(f"*{suffix}"))
