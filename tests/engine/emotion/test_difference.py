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
