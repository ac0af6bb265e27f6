"""Feeds lists of texts to a text emotion network that is trained or teaches. Knows token ids; knows no ratings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.emotion.encoder import Encoder
from engine.emotion.regressor import Regressor, fast_dtype

_PREDICT_BATCH = 64


class Inputs:
    """Predicts rows of a text list. With a frozen encoder the features are computed once."""

    def __init__(self, model: Regressor, encoder: Encoder, texts: Sequence[str]) -> None:
        self.model, self.pad_id = model, encoder.pad_id
        self.ids = [encoding.ids for encoding in encoder.tokenizer.encode_batch_fast(list(texts))]
        self.lengths = np.array([len(one) for one in self.ids])
        self.features: Tensor | None = None
        if model.config.variant == "frozen":
            self.features = self.encode_all()

    def predict(self, rows: NDArray[np.intp]) -> Tensor:
        """Return the standardised outputs for `rows`, with gradients."""
        hidden = self._encode(rows) if self.features is None else self.features[rows]
        return cast(Tensor, self.model.head(hidden))

    def predict_all(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the first three standardised outputs for `rows`, [n, 3], without dropout."""
        return self._in_order(rows, self.predict)[:, :3].double().numpy()

    def encode_all(self) -> Tensor:
        """Return what the head reads of every text, float32 [n, inputs of the head], without dropout."""
        return self._in_order(np.arange(len(self.ids)), self._encode)

    def _encode(self, rows: NDArray[np.intp]) -> Tensor:
        chosen = [self.ids[row] for row in rows]
        longest = max(len(one) for one in chosen)
        ids = torch.tensor([one + [self.pad_id] * (longest - len(one)) for one in chosen])
        mask = torch.arange(longest) < torch.tensor([len(one) for one in chosen]).unsqueeze(1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast_dtype() == torch.bfloat16):
            return self.model.features(ids, mask)

    def _in_order(self, rows: NDArray[np.intp], function: Callable[[NDArray[np.intp]], Tensor]) -> Tensor:
        """Apply `function` to batches of like length, without dropout, and put the results in the order of `rows`."""
        order = np.argsort(self.lengths[rows], kind="stable")
        was_training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            parts = [
                function(rows[order[first : first + _PREDICT_BATCH]]) for first in range(0, len(rows), _PREDICT_BATCH)
            ]
        self.model.train(was_training)
        found = torch.cat(parts)
        result = torch.empty_like(found)
        result[torch.from_numpy(order)] = found
        return result.clone()
