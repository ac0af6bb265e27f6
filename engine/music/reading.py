"""Reads a score as a musician does: says how each section will be heard, before a sound is made.

Playing and hearing a minute of music takes half a second; reading it takes a millisecond or two, so a composer can read
dozens of drafts. What a reader says is what it learned that a music model hears in such scores (`engine.training.
score_reader`), whose weights it lies beside. Knows impressions and its own weight files; knows no sound.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from engine.emotion.curve import Beat
from engine.errors import UserError
from engine.music.embedded import Composition
from engine.music.impressions import NAMES, impressions
from engine.whole import whole

VA = NDArray[np.float64]

FORMAT = 1
CONFIG_FILE = "reader.json"
WEIGHTS_FILE = "reader.safetensors"
HIDDEN = 48
FURTHEST = 5.0
"""Standard deviations beyond which an impression says no more: nobody has learned what it means."""


@dataclass(frozen=True)
class ReaderConfig:
    """What is needed beside the weights: statistics of the impressions `names`, and mean and standard deviation of
    (valence, arousal) as the model with weights `heard_by` heard them."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    heard_mean: tuple[float, float]
    heard_scale: tuple[float, float]
    heard_by: str
    weights_sha256: str = ""
    format: int = FORMAT


_CONFIG: TypeAdapter[ReaderConfig] = TypeAdapter(ReaderConfig)


def reader_net() -> nn.Sequential:
    """Return an untrained network: impressions → (valence, arousal), both in standard deviations."""
    return nn.Sequential(
        nn.Dropout(0.1), nn.Linear(len(NAMES), HIDDEN), nn.GELU(), nn.Dropout(0.4), nn.Linear(HIDDEN, 2)
    )


class ScoreReader:
    """Says what its music model will hear in each section of a score. Thread-safe."""

    def __init__(self, config: ReaderConfig, net: nn.Sequential) -> None:
        self.config = config
        self._net = net.eval()

    @classmethod
    def load(cls, folder: Path, heard_by: str) -> ScoreReader:
        """Load what `save_reader` wrote beside the music model whose weights have the SHA-256 `heard_by`.

        Raises `UserError` ("weights_missing", "weights_damaged" or "weights_version") with one sentence."""
        again = f"run `tunetale train score-reader --steer {folder}`."
        try:
            text, data = (folder / CONFIG_FILE).read_bytes(), (folder / WEIGHTS_FILE).read_bytes()
        except OSError:
            raise UserError(f"The score reader in {folder} cannot be read; {again}", code="weights_missing") from None
        net = reader_net()
        try:
            config = _CONFIG.validate_json(text)
            if hashlib.sha256(data).hexdigest() != config.weights_sha256:
                raise ValueError("not the weights of this config")
            net.load_state_dict(load(data))
        except (ValidationError, ValueError, SafetensorError, RuntimeError):
            raise UserError(f"The score reader in {folder} is damaged; {again}", code="weights_damaged") from None
        if (config.format, config.names, config.heard_by) != (FORMAT, NAMES, heard_by):
            raise UserError(
                f"The score reader in {folder} learned from another music model; {again}", code="weights_version"
            )
        return cls(config, net)

    def read(self, piece: Composition) -> VA:
        """Return the (valence, arousal) that will be heard in each section: float64 [sections, 2]."""
        return self.tell(impressions(piece))

    def tell(self, rows: NDArray[np.float64]) -> VA:
        """Do what `read` does for impressions [n, len(NAMES)] that are already there."""
        unit = np.clip((rows - self.config.mean) / self.config.scale, -FURTHEST, FURTHEST)
        with torch.inference_mode():
            told: VA = self._net(torch.from_numpy(unit).float()).double().numpy()
        return told * self.config.heard_scale + self.config.heard_mean


def by_beat(piece: Composition, beats: Sequence[Beat], values: VA) -> VA:
    """Return the rows of `values` [sections, …] in which the beats' middles lie: short beats share a section."""
    borders = [section.start_s for section in piece.form.sections[1:]]
    picked: VA = values[np.searchsorted(borders, [(beat.start_s + beat.end_s) / 2 for beat in beats], side="right")]
    return picked


def save_reader(folder: Path, config: ReaderConfig, net: nn.Sequential) -> ReaderConfig:
    """Write config and weights into `folder`, each whole or not at all; return the config with the weights' hash."""
    folder.mkdir(parents=True, exist_ok=True)
    data = save({name: value.detach().contiguous() for name, value in sorted(net.state_dict().items())})
    config = replace(config, weights_sha256=hashlib.sha256(data).hexdigest())
    text = json.dumps(asdict(config), indent=1, ensure_ascii=False) + "\n"
    for name, content in ((WEIGHTS_FILE, data), (CONFIG_FILE, text.encode())):
        with whole(folder / name) as unfinished:
            unfinished.write_bytes(content)
    return config
