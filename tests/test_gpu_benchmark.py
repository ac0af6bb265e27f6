"""The benchmark for graphics cards, with tiny models on a processor: nothing is said of speed, but it works."""

from __future__ import annotations

import io

import pytest
import torch
from rich.console import Console

from benchmarks.gpu import MUSIC, QUICK, REAL, TEXT, TINY, command_line, llama, musicgen, run


@pytest.fixture
def no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_card")
def test_the_tiny_sizes_have_a_table_and_exact_tokens() -> None:
    out = io.StringIO()
    run(TINY, QUICK, Console(file=out, width=160))
    rows = [line for line in out.getvalue().splitlines() if "tiny-" in line]
    assert len(rows) == len(TINY) * len(QUICK.prompts)
    assert all("yes" in row and "NO" not in row for row in rows), rows
    assert "a processor, which says nothing of a card" in out.getvalue()


@pytest.mark.usefixtures("no_card")
def test_real_sizes_want_a_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["--sizes", "small", "8b", "tiny-text"]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("small, 8b want a graphics card")
    assert command_line([]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in REAL)


@pytest.mark.parametrize(("name", "billions"), [("small", 0.42), ("medium", 1.8), ("large", 3.2)])
def test_the_music_models_have_their_published_sizes(name: str, billions: float) -> None:
    """Copet et al. 2023: 300 M, 1.5 B and 3.3 B; the decoder's embeddings and cross-attention are counted here."""
    decoder = musicgen(MUSIC[name], "meta", torch.bfloat16).decoder
    assert sum(p.numel() for p in decoder.parameters()) / 1e9 == pytest.approx(billions, rel=0.05)


def test_the_text_models_have_their_published_sizes() -> None:
    """Llama 3.2 1B and 3B, Llama 3.1 8B, as their model cards say."""
    for name, billions in (("1b", 1.24), ("3b", 3.21), ("8b", 8.03)):
        model = llama(TEXT[name], "meta", torch.bfloat16)
        assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(billions, rel=0.01)
