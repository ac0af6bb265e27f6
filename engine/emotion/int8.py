"""Runs the matrices of an encoder in eight bits: faster than bfloat16 where the processor has VNNI instructions.

Weights have a scale for each output. What a layer is given is rounded to steps that were measured once, after training,
so that a token's numbers do not depend on what else is in the batch; sums are whole numbers and exact. A few channels
of BERT-like networks are far larger than the others: each is divided by the square root of its size, which the weights
take up (after SmoothQuant, Xiao et al. 2023, ICML). GELU is computed by the same kernel, which also rounds its result
to the steps of the layer that reads it. Knows networks; knows nothing of emotion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

Ranges = dict[str, Tensor]
"""Name of a linear layer → float32 [2, inputs], the lowest and the highest number that it is given in each channel."""

_WEIGHT_STEPS = 127
_INPUT_STEPS = 255
_SMALL = 1e-5
_ACTIVATION = "intermediate_act_fn"
"""What BERT and its kin call the activation that follows the layer `dense` beside it, …"""
_BEFORE, _AFTER = "intermediate", "output"
"""… in which part of a block that is, and which part reads it, again by a layer `dense`."""


def has_int8() -> bool:
    """Tell whether this processor multiplies eight-bit numbers in hardware, and PyTorch uses that."""
    return bool(torch.cpu._is_vnni_supported()) and hasattr(torch.ops.onednn, "qlinear_pointwise")


def measure_ranges(network: nn.Module, run: Callable[[], object]) -> Ranges:
    """Return the ranges of all linear layers of `network` while `run` uses it."""
    found: Ranges = {}

    def watch(name: str, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        rows = given[0].detach().flatten(0, -2).float()
        low, high = rows.amin(dim=0), rows.amax(dim=0)
        if name in found:
            low, high = torch.minimum(low, found[name][0]), torch.maximum(high, found[name][1])
        found[name] = torch.stack([low, high])

    hooks = [layer.register_forward_pre_hook(partial(watch, name)) for name, layer in _linear_layers(network).items()]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def to_int8(network: nn.Module, ranges: Mapping[str, Tensor]) -> None:
    """Replace every linear layer of `network` that has a range by one of eight bits. It cannot be trained any more."""
    layers = _linear_layers(network)
    for name, layer in layers.items():
        if name not in ranges:
            continue
        path, _, last = name.rpartition(".")
        parent = network.get_submodule(path)
        if last != "dense" or type(getattr(parent, _ACTIVATION, None)).__name__ != "GELUActivation":
            is_after = path.endswith(_AFTER) and f"{path.removesuffix(_AFTER)}{_BEFORE}.dense" in ranges
            setattr(parent, last, Int8Linear(layer, ranges[name].float(), is_smooth=not is_after))
            continue
        reader = f"{path.removesuffix(_BEFORE)}{_AFTER}.dense"
        steps = Steps.of(ranges[reader].float()) if reader in ranges else None
        setattr(parent, last, Int8Linear(layer, ranges[name].float(), "gelu", steps))
        setattr(parent, _ACTIVATION, nn.Identity())


def _linear_layers(network: nn.Module) -> dict[str, nn.Linear]:
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Linear)}


@dataclass(frozen=True)
class Steps:
    """What a layer is given is rounded to multiples of `size`; `zero` is the number, 0 to 255, that stands for 0."""

    size: float
    zero: int

    @classmethod
    def of(cls, given: Tensor) -> Steps:
        """Fit the steps to a range, float32 [2, inputs]."""
        low, high = min(0.0, float(given[0].min())), max(0.0, float(given[1].max()))
        size = max((high - low) / _INPUT_STEPS, _SMALL)
        return cls(size, round(-low / size))


class Int8Linear(nn.Module):
    """A linear layer, and an activation ("none" or "gelu"): float32 [..., inputs], or uint8 in its own steps, →
    float32 [..., outputs], or uint8 in the steps `result`."""

    def __init__(
        self,
        linear: nn.Linear,
        given: Tensor,
        activation: str = "none",
        result: Steps | None = None,
        *,
        is_smooth: bool = True,
    ) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        even = given.abs().amax(dim=0).clamp_min(_SMALL).sqrt() if is_smooth else torch.ones(weight.shape[1])
        weight = weight * even
        self.scales = (weight.abs().amax(dim=1) / _WEIGHT_STEPS).clamp_min(torch.finfo(torch.float32).tiny)
        self.zeros = torch.zeros(len(weight), dtype=torch.long)
        self.packed = torch.ops.onednn.qlinear_prepack((weight / self.scales[:, None]).round().to(torch.int8), None)
        self.bias = None if linear.bias is None else linear.bias.detach().float()
        self.steps = Steps.of(given / even)
        self.per_step = 1 / (even * self.steps.size)
        self.offset = torch.tensor(self.steps.zero + 0.5)
        self.activation = activation
        self.result = (1.0, 0, torch.float32) if result is None else (result.size, result.zero, torch.uint8)

    def forward(self, given: Tensor) -> Tensor:
        """Multiply, add, and apply the activation."""
        if given.dtype != torch.uint8:
            # Cutting off what is behind the point, after adding a half, rounds.
            given = torch.addcmul(self.offset, given, self.per_step).clamp_(0, _INPUT_STEPS).to(torch.uint8)
        found: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(given, self.steps.size, self.steps.zero),
            *(self.packed, self.scales, self.zeros, self.bias),
            *self.result,
            *(self.activation, [], "none"),
        )
        return found
