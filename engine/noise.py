"""Noise that draws tokens, as a hash of seed and place. Knows neither models nor batches.

A token is drawn by adding Gumbel noise to the scores and taking the largest (the Gumbel-max trick; Maddison, Tarlow
and Minka 2014, "A* sampling"). The noise depends neither on a generator's state nor on a device nor on what else is in
the batch: the same seed draws the same tokens everywhere, up to the rounding of the scores.
"""

from __future__ import annotations

from typing import Any

import torch

MASK = 0xFFFFFFFF
GOLDEN = 0x9E3779B9
"""2**32 divided by the golden ratio: consecutive numbers land far apart."""
_BITS = 23
"""So many random bits and a half fit a float32 exactly, and never round to 0 or 1."""


def state(seed: int) -> int:
    """Return 32 bits for a seed below 2**63."""
    return int(mix((seed >> 32) & MASK)) ^ (seed & MASK)


def key(seed: int, position: int) -> int:
    """Return 31 bits for a place in a text: `seed` is below 2**63, `position` counts the tokens before it."""
    return int(mix((mix(state(seed)) + position * GOLDEN) & MASK)) & 0x7FFFFFFF


def gumbel(keys: torch.Tensor, tokens: int) -> torch.Tensor:
    """Return Gumbel noise, float32 [n, tokens], for integer `keys` [n]."""
    token = mix(torch.arange(tokens, device=keys.device, dtype=torch.int64) * GOLDEN & MASK)
    bits = mix(keys.to(torch.int64)[:, None] ^ token[None, :]) >> (32 - _BITS)
    uniform = (bits.to(torch.float32) + 0.5) / 2**_BITS
    return -torch.log(-torch.log(uniform))


def mix(x: Any) -> Any:
    """Return a hash of 32 bits, for an int or a tensor of int64 (lowbias32; github.com/skeeto/hash-prospector)."""
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & MASK
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & MASK
    return x ^ (x >> 16)
