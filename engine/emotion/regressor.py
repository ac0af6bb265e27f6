"""The text emotion network: encoder → mean over the tokens of one layer or a few → fully connected head → numbers.

Knows tensors and its own files; knows nothing of sentences, languages or training data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from engine.emotion.difference import pack, unpack
from engine.emotion.encoder import Encoder, load_encoder
from engine.emotion.int8 import Ranges
from engine.errors import UserError
from engine.whole import whole

FORMAT = 2
"""Version of the weight files; a file of another version is refused."""

OUTPUTS = ("valence", "arousal", "dominance")
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
_ENCODER, _RANGE = "encoder.", "range."
_WORDS = "embeddings.word_embeddings.weight"
_LAYER = re.compile(r"\blayer\.(\d+)\.")


@dataclass(frozen=True)
class RegressorConfig:
    """What is needed, beside the weights, to rebuild the network."""

    encoder: str
    encoder_sha256: str
    variant: Literal["tuned", "frozen"]
    """`tuned`: the encoder's layers are trained too, one linear layer reads the mean of its last layer;
    `frozen`: the encoder as it is, two fully connected layers read three of its layers (the form of the paper)."""
    layers: tuple[int, ...]
    """The hidden layers that the head reads, counted from 1."""
    width: int
    """Width of the head's inner layer; 0: there is none."""
    tasks: int
    """Numbers that the head gives; the first three are valence, arousal and dominance."""
    centre: tuple[float, float, float]
    spread: tuple[float, float, float]
    """The first three outputs times `spread` plus `centre` are on [-1, 1]."""
    max_tokens: int = 128
    """Longest input of the encoder; the embedded one was trained with 128."""
    multilingual: bool = False
    """Whether the encoder also reads Chinese."""
    untouched: int = 0
    """So many of the lowest layers of a tuned encoder stay as they were published."""
    words: int = 0
    """So many rows of a tuned encoder's table of words are kept; 0: the words stay as they were published."""
    format: int = FORMAT


class Regressor(nn.Module):
    """Texts as token ids → `config.tasks` numbers each, the first three standardised valence, arousal, dominance."""

    def __init__(self, encoder: Encoder, config: RegressorConfig, dropout: float = 0.1) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder.model
        self.ranges: Ranges = {}
        if config.variant == "tuned":
            for name, parameter in self.encoder.named_parameters():
                parameter.requires_grad_(_is_tuned(name, config))
        if config.untouched:
            for name, module in self.encoder.named_modules():
                if isinstance(module, nn.Dropout) and not _is_tuned(name, config):
                    module.p = 0.0  # layers that learn nothing need no noise
        self.head = _deep_head(encoder, config, dropout) if config.width else _flat_head(encoder, config, dropout)

    def features(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return what the head reads, float32: per read layer the mean over tokens, with an inner layer also the first
        token; [n, layers · hidden] or [n, 2 · layers · hidden].

        `ids` is int64 [n, tokens]; `mask` bool [n, tokens] is False at padding, None where there is no padding.
        """
        attention = None if mask is None else mask.long()
        states = self.encoder(input_ids=ids, attention_mask=attention, output_hidden_states=True).hidden_states
        parts: list[Tensor] = []
        for layer in self.config.layers:
            state = states[layer].float()
            if mask is None:
                parts.append(state.mean(dim=1))
            else:
                weights = mask.unsqueeze(-1).float()
                parts.append((state * weights).sum(dim=1) / weights.sum(dim=1))
            if self.config.width:
                parts.append(state[:, 0])
        return torch.cat(parts, dim=-1)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the standardised outputs, float32 [n, tasks]."""
        return cast(Tensor, self.head(self.features(ids, mask)))

    def trained(self) -> dict[str, Tensor]:
        """Return what this project trains: every parameter that is not one of the encoder's frozen ones."""
        return {name: value.detach() for name, value in self.named_parameters() if value.requires_grad}


def _is_tuned(name: str, config: RegressorConfig) -> bool:
    """Tell whether fine-tuning moves the encoder's parameter `name`: its layers, but for the lowest `untouched` ones,
    and its words where any are kept."""
    if name == _WORDS:
        return config.words > 0
    if config.untouched == 0:
        return not name.startswith("embeddings")
    layer = _LAYER.search(name)  # what all layers share has none, and moves only with all of them
    return layer is not None and int(layer[1]) >= config.untouched


def _deep_head(encoder: Encoder, config: RegressorConfig, dropout: float) -> nn.Sequential:
    inputs = 2 * len(config.layers) * encoder.hidden
    return nn.Sequential(
        nn.LayerNorm(inputs),
        nn.Dropout(dropout),
        nn.Linear(inputs, config.width),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(config.width, config.tasks),
    )


def _flat_head(encoder: Encoder, config: RegressorConfig, dropout: float) -> nn.Sequential:
    linear = nn.Linear(len(config.layers) * encoder.hidden, config.tasks)
    nn.init.zeros_(linear.weight)  # every training begins at the same point, so that its results can be averaged
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.Dropout(dropout), linear)


def fast_dtype() -> torch.dtype:
    """Return bfloat16 where this processor multiplies it in hardware (about twice as fast), else float32."""
    cpu = torch.cpu
    has = cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported()
    return torch.bfloat16 if has else torch.float32


def read_layers(depth: int) -> tuple[int, ...]:
    """Return the layers that the head reads in an encoder of `depth` layers: a third, two thirds and all of it up."""
    return tuple(sorted({max(1, round(depth * part / 3)) for part in (1, 2, 3)}))


def save_regressor(
    folder: Path, config: RegressorConfig, weights: Mapping[str, Tensor], ranges: Mapping[str, Tensor] | None = None
) -> None:
    """Write config and weights into `folder`, each whole or not at all.

    `weights` is what `Regressor.trained` gives. Of a tuned encoder only its difference is kept, four bits per
    weight, and of its words only the `config.words` that moved most; the head's matrices are kept in half precision.
    `ranges` is what `measure_ranges` found for the encoder; without it the network is never used in eight bits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    public = load_encoder(config.encoder, config.max_tokens, config.encoder_sha256).model.state_dict()
    encoder = {name.removeprefix(_ENCODER): value for name, value in weights.items() if name.startswith(_ENCODER)}
    kept = {_ENCODER + name: value for name, value in pack(encoder, public, {_WORDS: config.words}).items()}
    head = {name: value for name, value in weights.items() if not name.startswith(_ENCODER)}
    kept |= {name: value.half() if value.ndim > 1 else value.float() for name, value in head.items()}
    kept |= {_RANGE + name: value.half() for name, value in (ranges or {}).items()}
    content = {name: value.contiguous() for name, value in sorted(kept.items())}
    with whole(folder / WEIGHTS_FILE) as unfinished:
        unfinished.write_bytes(save(content, metadata={"format": str(FORMAT)}))
    with whole(folder / CONFIG_FILE) as unfinished:
        unfinished.write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")


def load_regressor(folder: Path) -> tuple[Regressor, Encoder]:
    """Rebuild the network that `save_regressor` wrote, in evaluation mode, float32.

    Raises `UserError` in one sentence for weights that are missing, damaged, of another version, or made for an
    encoder other than the one that is installed.
    """
    config = _load_config(folder)
    path = folder / WEIGHTS_FILE
    try:
        kept = load_file(path)
    except (OSError, SafetensorError) as error:
        raise _damaged(path) from error
    encoder = load_encoder(config.encoder, config.max_tokens, config.encoder_sha256)
    model = Regressor(encoder, config)
    try:
        tuned = unpack(
            {name.removeprefix(_ENCODER): value for name, value in kept.items() if name.startswith(_ENCODER)},
            encoder.model.state_dict(),
        )
    except (ValueError, KeyError, IndexError, RuntimeError) as error:
        raise _damaged(path) from error
    weights = {_ENCODER + name: value for name, value in tuned.items()}
    weights |= {name: value.float() for name, value in kept.items() if not name.startswith((_ENCODER, _RANGE))}
    wanted = model.trained()
    if {name: value.shape for name, value in weights.items()} != {name: value.shape for name, value in wanted.items()}:
        raise _damaged(path)
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise _damaged(path)
    model.load_state_dict(weights, strict=False)
    model.ranges = {name.removeprefix(_RANGE): value.float() for name, value in kept.items() if name.startswith(_RANGE)}
    if not _fit(model.ranges, model.encoder):
        raise _damaged(path)
    return model.eval().requires_grad_(False), encoder


def _fit(ranges: Ranges, encoder: nn.Module) -> bool:
    """Tell whether each of `ranges` belongs to a linear layer of `encoder` and holds numbers."""
    inputs = {name: layer.in_features for name, layer in encoder.named_modules() if isinstance(layer, nn.Linear)}
    return all(
        name in inputs and value.shape == (2, inputs[name]) and bool(value.isfinite().all())
        for name, value in ranges.items()
    )


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
