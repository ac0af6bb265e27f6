"""Stores how a fine-tuned network differs from the public one it began as, in four bits per weight.

Fine-tuning moves weights a little: the difference, rounded to 15 steps per row, says nearly all of it in an eighth of
the space (as in BitDelta, Liu et al. 2024, arXiv 2402.10193, with more bits). Of a table of words only the rows that
moved most are kept.
Knows tensors; knows nothing of encoders or emotion.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_STEPS = 7
"""A step of a row is its largest difference / _STEPS; values -7 … 7 are kept as 1 … 15, two in a byte."""
_PACKED, _SCALE, _ROWS = ".packed", ".scale", ".rows"


def pack(
    tuned: Mapping[str, Tensor], public: Mapping[str, Tensor], most_rows: Mapping[str, int] | None = None
) -> dict[str, Tensor]:
    """Return the tensors from which `unpack` restores `tuned` nearly; both hold the same names and shapes.

    Matrices of an even width are packed, everything else is kept as it is. Of a matrix named in `most_rows` only so
    many rows are kept, those that moved most; the others will be as published.
    """
    kept: dict[str, Tensor] = {}
    for name, value in tuned.items():
        if value.ndim != 2 or value.shape[1] % 2:
            kept[name] = value.float()
            continue
        change = value.float() - public[name].float()
        if most_rows is not None and name in most_rows:
            rows = torch.topk(change.norm(dim=1), min(most_rows[name], len(change))).indices.sort().values
            kept[name + _ROWS] = rows.to(torch.int32)
            change = change[rows]
        scale = (change.abs().amax(dim=1, keepdim=True) / _STEPS).half().clamp_min(torch.finfo(torch.float16).tiny)
        steps = (change / scale.float()).round().clamp(-_STEPS, _STEPS).to(torch.int16) + 8
        kept[name + _PACKED] = (steps[:, ::2] * 16 + steps[:, 1::2]).to(torch.uint8)
        kept[name + _SCALE] = scale
    return kept


def unpack(kept: Mapping[str, Tensor], public: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the fine-tuned tensors. Raises `ValueError` or `KeyError` where `kept` does not fit `public`."""
    tuned: dict[str, Tensor] = {}
    for name, value in kept.items():
        if name.endswith((_SCALE, _ROWS)):
            continue
        if not name.endswith(_PACKED):
            tuned[name] = value
            continue
        name = name.removesuffix(_PACKED)
        base = public[name].float()
        rows = kept.get(name + _ROWS, torch.arange(len(base))).long()
        steps = torch.stack([value // 16, value % 16], dim=2).flatten(1).float() - 8
        if steps.shape != (len(rows), base.shape[1]):
            raise ValueError(f"{name} is of another shape")
        tuned[name] = base.index_add(0, rows, steps * kept[name + _SCALE].float())
    return tuned
