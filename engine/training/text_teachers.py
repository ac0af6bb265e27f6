"""Trained text emotion models as teachers of a smaller one. Knows networks; knows nothing of ratings or data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.emotion.regressor import load_regressor
from engine.training.text_inputs import Inputs

Floats = NDArray[np.float32]

_LAST = 0.3
"""Share of the last teacher in a reading, where there are others: .3, .5 and .15 were tried on EmoBank's dev part."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What teachers make of n texts: `values` [n, 3] valence, arousal, dominance on [-1, 1]; `hidden` [n, width] what
    the head of the first teacher reads."""

    values: Floats
    hidden: Floats


class Teachers:
    """Reads texts with one model or the mean of several."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Load the weights in `folders`. Raises `UserError` as `load_regressor` does."""
        self._models = [load_regressor(folder) for folder in folders]
        self.names = " and ".join(Path(encoder.name).name for _, encoder in self._models)

    def __call__(self, texts: Sequence[str]) -> Reading:
        """Read `texts`, each up to the encoder's longest input."""
        hidden, values = [], []
        for model, encoder in self._models:
            features = Inputs(model, encoder, texts).encode_all()
            with torch.inference_mode():
                outputs = model.head(features)[:, :3].numpy()
            hidden.append(features.numpy())
            values.append(np.clip(outputs * model.config.spread + model.config.centre, -1.0, 1.0))
        others = len(values) - 1
        shares = [*[(1 - _LAST) / others] * others, _LAST] if others else [1.0]
        return Reading(np.average(values, axis=0, weights=shares).astype(np.float32), hidden[0])
