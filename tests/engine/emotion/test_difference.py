from __future__ import annotations

import pytest
import torch

from engine.emotion.difference import pack, unpack


def tensors(seed: int, scale: float = 1.0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"dense.weight": (6, 8), "odd.weight": (4, 5), "dense.bias": (6,)}
    return {name: scale * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def test_what_is_restored_is_near_and_small_changes_stay_small() -> None:
    public, change = tensors(1), tensors(2, 1e-3)
    tuned = {name: value + change[name] for name, value in public.items()}
    restored = unpack(pack(tuned, public), public)
    assert restored.keys() == tuned.keys()
    for name in ("odd.weight", "dense.bias"):
        assert torch.equal(restored[name], tuned[name])
    error = (restored["dense.weight"] - tuned["dense.weight"]).abs()
    step = change["dense.weight"].abs().amax(dim=1, keepdim=True) / 7
    assert (error <= 0.51 * step).all(), "half a step of the row, at most"


def test_a_matrix_takes_half_a_byte_per_weight() -> None:
    kept = pack(tensors(2), tensors(1))
    assert kept["dense.weight.packed"].shape == (6, 4) and kept["dense.weight.packed"].dtype == torch.uint8
    assert kept["dense.weight.scale"].dtype == torch.float16


def test_no_change_is_restored_exactly() -> None:
    public = tensors(1)
    assert all(torch.equal(value, public[name]) for name, value in unpack(pack(public, public), public).items())


def test_what_does_not_fit_is_refused() -> None:
    public = tensors(1)
    kept = pack(tensors(2), public)
    with pytest.raises(KeyError):
        unpack(kept, {})
    with pytest.raises(ValueError, match="shape"):
        unpack(kept, {**public, "dense.weight": torch.zeros(6, 4)})
    with pytest.raises(KeyError):
        unpack({name: value for name, value in kept.items() if not name.endswith(".scale")}, public)


def test_of_a_table_of_words_only_the_rows_that_moved_most_are_kept() -> None:
    public = tensors(1)
    tuned = {name: value.clone() for name, value in public.items()}
    tuned["dense.weight"][1] += 0.5
    tuned["dense.weight"][4] += 1.0
    tuned["dense.weight"][5] += 0.1
    kept = pack(tuned, public, {"dense.weight": 2})
    assert kept["dense.weight.packed"].shape == (2, 4) and kept["dense.weight.rows"].tolist() == [1, 4]
    restored = unpack(kept, public)["dense.weight"]
    torch.testing.assert_close(restored[[1, 4]], tuned["dense.weight"][[1, 4]], rtol=0, atol=0.08)
    assert torch.equal(restored[[0, 2, 3, 5]], public["dense.weight"][[0, 2, 3, 5]])
    whole = pack(tuned, public, {"dense.weight": 99})
    assert whole["dense.weight.packed"].shape == (6, 4), "never more rows than there are"


def test_rows_that_do_not_exist_are_refused() -> None:
    public = tensors(1)
    kept = pack(tensors(2), public, {"dense.weight": 2})
    with pytest.raises((IndexError, RuntimeError)):
        unpack({**kept, "dense.weight.rows": torch.tensor([0, 6], dtype=torch.int32)}, public)
    with pytest.raises(ValueError, match="shape"):
        unpack({**kept, "dense.weight.rows": torch.tensor([0], dtype=torch.int32)}, public)
