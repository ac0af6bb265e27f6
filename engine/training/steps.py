"""Takes the optimiser's steps and cuts the batches. Knows parameters and losses; knows nothing of texts or emotion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_POOL = 16
"""Batches are cut from shuffled pools of so many batches, sorted by length: little padding, still random."""


@dataclass(frozen=True)
class Schedule:
    """How the weights move: highest learning rate, the same for the head (parameters called `head.…`, and extra ones),
    weight decay of matrices, share of the steps in which the rate rises, decay per step of the weights' mean."""

    rate: float
    head_rate: float
    weight_decay: float
    warm_up: float
    averaging: float


def batches(
    rows: NDArray[np.intp], lengths: NDArray[np.intp], size: int, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    """Yield every one of `rows` once, in random batches of at most `size` rows of like length."""
    order = rng.permutation(rows)
    pool = size * _POOL
    cut = [
        chunk[start : start + size]
        for first in range(0, len(order), pool)
        for chunk in [sorted(order[first : first + pool], key=lambda row: int(lengths[row]))]
        for start in range(0, len(chunk), size)
    ]
    for index in rng.permutation(len(cut)):
        yield np.array(cut[index], dtype=np.intp)


class Steps:
    """AdamW with a warm-up and a cosine decay of the rate, and a running mean of the weights (as in Polyak 1992).

    `fused` takes the faster of two implementations, which round differently."""

    def __init__(
        self,
        parameters: Iterable[tuple[str, nn.Parameter]],
        schedule: Schedule,
        total: int,
        extra: Iterable[nn.Parameter] = (),
        *,
        fused: bool = False,
    ) -> None:
        self.schedule = schedule
        self.parameters = {name: value for name, value in parameters if value.requires_grad}
        head = [value for name, value in self.parameters.items() if name.startswith("head.")] + list(extra)
        body = [value for name, value in self.parameters.items() if not name.startswith("head.")]
        self.every = body + head
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in part if (p.ndim > 1) == decays], "lr": rate, "weight_decay": decay}
                for part, rate in ((body, schedule.rate), (head, schedule.head_rate))
                for decays, decay in ((True, schedule.weight_decay), (False, 0.0))
            ],
            fused=fused,
        )
        warm = max(1, round(total * schedule.warm_up))

        def share(step: int) -> float:
            done = max(0, step - warm) / max(1, total - warm)
            return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * done)))

        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, share)
        self.mean = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.count = 0

    def run(self, loss: Callable[[NDArray[np.intp]], Tensor], rows: Iterator[NDArray[np.intp]]) -> float:
        """Take one step per batch; return the mean loss."""
        total, count = 0.0, 0
        for batch in rows:
            value = loss(batch)
            self.optimizer.zero_grad()
            torch.autograd.backward(value)
            nn.utils.clip_grad_norm_(self.every, 1.0)
            self.optimizer.step()
            self.scheduler.step()
            self._average()
            total, count = total + float(value.detach()), count + 1
        return total / count

    def _average(self) -> None:
        self.count += 1
        decay = min(self.schedule.averaging, self.count / (self.count + 9))  # a young mean follows quickly
        for name, parameter in self.parameters.items():
            self.mean[name].lerp_(parameter.detach(), 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within this context the model has the mean weights."""
        kept = {name: value.detach().clone() for name, value in self.parameters.items()}
        self._set(self.mean)
        try:
            yield
        finally:
            self._set(kept)

    def finish(self) -> None:
        """Leave the mean weights in the model."""
        self._set(self.mean)

    def _set(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(values[name])
