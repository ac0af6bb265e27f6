"""The text emotion network: encoder → mean and first token of a few layers → two fully connected layers → numbers.

Knows tensors and its own files; knows nothing of sentences, languages or training data.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from engine.emotion.encoder import Encoder, add_low_rank, load_encoder
from engine.errors import UserError

FORMAT = 1
"""Version of the weight files; a file of another version is refused."""

OUTPUTS = ("valence", "arousal", "dominance")
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "adapter.safetensors"


@dataclass(frozen=True)
class RegressorConfig:
    """What is needed, beside the weights, to rebuild the network."""

    encoder: str
    encoder_sha256: str
    variant: Literal["adapter", "frozen"]
    """`adapter`: low-rank adapter in every layer; `frozen`: the encoder as it is, only the head is trained."""
    rank: int
    layers: tuple[int, ...]
    """The hidden layers that the head reads, counted from 1."""
    width: int
    """Width of the head's inner layer."""
    tasks: int
    """Numbers that the head gives; the first three are valence, arousal and dominance."""
    centre: tuple[float, float, float]
    spread: tuple[float, float, float]
    """The first three outputs times `spread` plus `centre` are on [-1, 1]."""
    max_tokens: int = 128
    """Longest input of the encoder; the embedded one was trained with 128."""
    multilingual: bool = False
    """Whether the encoder also reads Chinese."""
    format: int = FORMAT


class Regressor(nn.Module):
    """Texts as token ids → `config.tasks` numbers each, the first three standardised valence, arousal, dominance."""

    def __init__(self, encoder: Encoder, config: RegressorConfig, dropout: float = 0.1) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder.model
        if config.variant == "adapter":
            add_low_rank(self.encoder, config.rank)
        inputs = 2 * len(config.layers) * encoder.hidden
        self.head = nn.Sequential(
            nn.LayerNorm(inputs),
            nn.Dropout(dropout),
            nn.Linear(inputs, config.width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(config.width, config.tasks),
        )

    def features(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return [n, 2 · layers · hidden]: per read layer the mean over tokens and the first token, as float32.

        `ids` is int64 [n, tokens]; `mask` bool [n, tokens] is False at padding, None where there is no padding.
        """
        attention = None if mask is None else mask.long()
        states = self.encoder(input_ids=ids, attention_mask=attention, output_hidden_states=True).hidden_states
        parts: list[Tensor] = []
        for layer in self.config.layers:
            state = states[layer].float()
            if mask is None:
                mean = state.mean(dim=1)
            else:
                weights = mask.unsqueeze(-1).float()
                mean = (state * weights).sum(dim=1) / weights.sum(dim=1)
            parts += [mean, state[:, 0]]
        return torch.cat(parts, dim=-1)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the standardised outputs, float32 [n, tasks]."""
        return cast(Tensor, self.head(self.features(ids, mask)))

    def trained(self) -> dict[str, Tensor]:
        """Return what this project trained and ships: every parameter that is not the encoder's own frozen one."""
        return {name: value.detach() for name, value in self.named_parameters() if value.requires_grad}


def fast_dtype() -> torch.dtype:
    """Return bfloat16 where this processor multiplies it in hardware (about twice as fast), else float32."""
    cpu = torch.cpu
    has = cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported()
    return torch.bfloat16 if has else torch.float32


def read_layers(depth: int) -> tuple[int, ...]:
    """Return the layers that the head reads in an encoder of `depth` layers: a third, two thirds and all of it up."""
    return tuple(sorted({max(1, round(depth * part / 3)) for part in (1, 2, 3)}))


def save_regressor(folder: Path, config: RegressorConfig, weights: dict[str, Tensor]) -> None:
    """Write config and weights into `folder`, each whole or not at all; matrices of the adapter in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    small = {
        name: value.to(torch.float16 if value.ndim > 1 else torch.float32).contiguous()
        for name, value in sorted(weights.items())
    }
    _write(folder / WEIGHTS_FILE, save(small, metadata={"format": str(FORMAT)}))
    _write(folder / CONFIG_FILE, (json.dumps(asdict(config), indent=2) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


def load_regressor(folder: Path) -> tuple[Regressor, Encoder]:
    """Rebuild the network that `save_regressor` wrote, in evaluation mode, float32.

    Raises `UserError` in one sentence for weights that are missing, damaged, of another version, or made for an
    encoder other than the one that is installed.
    """
    config = _load_config(folder)
    encoder = load_encoder(config.encoder, config.max_tokens, config.encoder_sha256)
    model = Regressor(encoder, config)
    try:
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise _damaged(folder / WEIGHTS_FILE) from error
    expected = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if weights.keys() != expected.keys() or any(
        weights[name].shape != value.shape or not weights[name].isfinite().all() for name, value in expected.items()
    ):
        raise _damaged(folder / WEIGHTS_FILE)
    model.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    return model.eval().requires_grad_(False), encoder


def _load_config(folder: Path) -> RegressorConfig:
    path = folder / CONFIG_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version = data.get("format")
        if version != FORMAT:
            raise UserError(
                f"The text emotion weights in {folder} are of version {version}, this program reads version {FORMAT}; "
                "train text-emotion again or reinstall tunetale.",
                code="wrong_version",
            )
        return TypeAdapter(RegressorConfig).validate_python(data)
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> UserError:
    return UserError(
        f"The text emotion weights are missing or damaged ({path}); reinstall tunetale or train text-emotion again.",
        code="damaged_weights",
    )
