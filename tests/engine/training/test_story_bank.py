from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import UserError
from engine.training.story_bank import OUT, curves, read_tales, write_bank


def _by_length(sentences: Sequence[str]) -> NDArray[np.float32]:
    return np.array([[len(one) / 100, -len(one) / 100, 0.5] for one in sentences], dtype=np.float32)


def _tale(folder: Path, name: str, content: str) -> None:
    folder = folder / "stories" / "fairytaleqa"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-story.csv").write_text(content, encoding="utf-8")


def test_tales_become_curves_of_their_sentences_in_order(tmp_path: Path) -> None:
    _tale(tmp_path, "b", 'section,text\n1,"He ran. He fell."\n2,"The end."\n')
    _tale(tmp_path, "a", 'section,text\n1,"Once."\n')
    _tale(tmp_path, "c", 'section,text\n1,"..."\n')
    tales = read_tales(tmp_path)
    assert tales == [["Once."], ["He ran. He fell.", "The end."], ["..."]]
    values, offsets = curves(tales, _by_length)
    assert offsets.tolist() == [0, 1, 4] and offsets.dtype == np.int32
    assert values.dtype == np.float16
    np.testing.assert_allclose(values[:, 0], [0.05, 0.07, 0.08, 0.08], atol=1e-3)
    np.testing.assert_allclose(values[:, 1], -values[:, 0])


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    values, offsets = curves([["One. Two."], ["Three."]], _by_length)
    write_bank(tmp_path / "a.npz", values, offsets)
    write_bank(tmp_path / "b.npz", values, offsets)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as data:
        assert np.array_equal(data["values"], values) and np.array_equal(data["offsets"], offsets)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_the_shipped_bank_is_whole_and_small() -> None:
    assert OUT.stat().st_size < 300_000
    with np.load(OUT, allow_pickle=False) as data:
        values, offsets = data["values"], data["offsets"]
    assert values.dtype == np.float16 and values.shape[1] == 2
    assert offsets[0] == 0 and offsets[-1] == len(values) and (np.diff(offsets) > 0).all()
    assert len(offsets) - 1 >= 200
    assert np.abs(values).max() <= 1 and values.std(axis=0, dtype=np.float64).min() > 0.03


def test_no_tales_or_a_renamed_column_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no tales"):
        read_tales(tmp_path)
    _tale(tmp_path, "a", 'section,words\n1,"Once."\n')
    with pytest.raises(UserError, match="no column 'text'"):
        read_tales(tmp_path)
