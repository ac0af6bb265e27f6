"""Music to emotion curve: feature rows through the Bi-LSTM. Knows its own weight files; knows nothing of training.

Weights lie in `engine/assets/music_emotion`: `config.json`, `model.safetensors`, and the model card.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from engine.emotion.bilstm import Array, CurveNet, Inputs, Shape, context, prepare, standardise
from engine.emotion.curve import EmotionCurve
from engine.emotion.features import NAMES, Features, extract
from engine.emotion.setting import Setting
from engine.errors import UserError
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.whole import whole

FORMAT = 4
"""Version of the weight files; a file of another version is refused."""

ASSETS = Path(__file__).parent.parent / "assets"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True)
class MusicConfig:
    """What is needed, beside the weights, to rebuild the model.

    `mean` and `scale` standardise the feature columns `names`; they are statistics of real recordings. `spread` is
    what one standard deviation of the network's (valence, arousal) is worth on the plane. `gems` names the GEMS
    emotions that the song head tells as well; they are reported, and play no part in a curve.
    """

    name: str
    shape: Shape
    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    spread: tuple[float, float]
    gems: tuple[str, ...] = ()
    weights_sha256: str = ""
    format: int = FORMAT


_CONFIG: TypeAdapter[MusicConfig] = TypeAdapter(MusicConfig)


@dataclass(frozen=True, eq=False)
class Heard:
    """What listening to a piece gives."""

    curve: EmotionCurve
    setting: Setting


class MusicEmotion:
    """The music emotion model. Thread-safe; one piece is heard at a time, so company never changes a result."""

    def __init__(self, config: MusicConfig, net: CurveNet, device: str = "cpu") -> None:
        self.name = config.name
        self.config = config
        self._device = torch.device(device)
        self._net = net.to(self._device).eval()

    @classmethod
    def load(cls, folder: Path = ASSETS / "music_emotion", device: str = "cpu") -> MusicEmotion:
        """Load weights that `save_model` wrote. Raises `UserError` (code "weights_missing", "weights_damaged" or
        "weights_version") with one sentence when they cannot be used."""
        try:
            text, data = (folder / CONFIG_FILE).read_bytes(), (folder / WEIGHTS_FILE).read_bytes()
        except OSError:
            raise UserError(
                f"The music emotion weights in {folder} cannot be read; install TuneTale again, or run "
                "`tunetale train music-emotion`.",
                code="weights_missing",
            ) from None
        config = _read_config(text, folder)
        if hashlib.sha256(data).hexdigest() != config.weights_sha256:
            raise _damaged(folder)
        net = CurveNet(config.shape)
        try:
            net.load_state_dict(load(data))
        except (SafetensorError, RuntimeError):
            raise _damaged(folder) from None
        model = cls(config, net, device)
        model.listen(np.zeros(ANALYSIS_RATE_HZ, np.float32))  # librosa loads itself on its first use: seconds
        return model

    def listen(self, samples: Array) -> Heard:
        """Hear mono float32 samples [n] in [-1, 1] at ANALYSIS_RATE_HZ: a curve with one row per whole half second
        (at least one), and what colours the setting. Raises `UserError` when a sample is not a finite number."""
        if not np.isfinite(samples).all():
            raise UserError("The recording holds samples that are not numbers; encode it again.", code="not_finite")
        return self.judge(extract(samples))

    def judge(self, features: Features) -> Heard:
        """Do what `listen` does for features that are already there."""
        plane = to_plane(hear(self._net, self.config, features.rows, self._device), self.config.spread)
        return Heard(EmotionCurve(plane), self._setting(features))

    def _setting(self, features: Features) -> Setting:
        """Brightness, loudness and density as the share of real music that has less of it (normal distribution)."""

        def share(name: str) -> float:
            column = NAMES.index(name)
            more = float(features.rows[:, column].mean()) - self.config.mean[column]
            return 0.5 * (1 + math.erf(more / self.config.scale[column] / math.sqrt(2)))

        return Setting(
            tempo_bpm=float(2 ** features.column("song_tempo")[0]),
            brightness=share("centroid"),
            loudness=share("song_level"),
            density=share("song_events"),
        )


def hear(
    net: CurveNet,
    config: MusicConfig,
    rows: Array,
    device: torch.device | None = None,
    place: NDArray[np.floating] | None = None,
) -> Array:
    """Feature rows [T, F] of one piece -> (valence, arousal) [T, 2] in standard deviations of ratings. `place` [T] says
    where in the piece the rows lie, when they are not all of it."""
    unit = standardise(rows, np.array(config.mean, np.float32), np.array(config.scale, np.float32))
    with torch.inference_mode():
        parts = prepare(unit, config.shape, place)
        inputs = Inputs(*(torch.from_numpy(part)[None].to(device or "cpu") for part in parts))
        found: Array = net(inputs, torch.tensor([len(rows)]))[0].cpu().numpy()
    return found


def hear_gems(net: CurveNet, config: MusicConfig, rows: Array) -> Array:
    """Feature rows [T, F] of one piece -> its GEMS emotions [len(config.gems)], in standard deviations."""
    unit = standardise(rows, np.array(config.mean, np.float32), np.array(config.scale, np.float32))
    with torch.inference_mode():
        told = net.tell(torch.from_numpy(context(unit, config.shape.context_rows)))
    found: Array = told[:, 2:].mean(dim=0).numpy()
    return found


def to_plane(standard: Array, spread: tuple[float, float]) -> Array:
    """Map (valence, arousal) in standard deviations of ratings [..., 2] into (-1, 1): linear near neutral, and
    bending (tanh) so that nothing leaves the plane."""
    return np.tanh(standard * np.array(spread, np.float32)).astype(np.float32)


def save_model(folder: Path, config: MusicConfig, net: CurveNet) -> MusicConfig:
    """Write config and weights into `folder`, each whole or not at all; return the config with the weights' hash."""
    folder.mkdir(parents=True, exist_ok=True)
    data = save({name: value.detach().cpu().contiguous() for name, value in sorted(net.state_dict().items())})
    config = MusicConfig(**{**vars(config), "weights_sha256": hashlib.sha256(data).hexdigest()})
    text = json.dumps(asdict(config), indent=1) + "\n"
    for name, content in ((WEIGHTS_FILE, data), (CONFIG_FILE, text.encode())):
        with whole(folder / name) as unfinished:
            unfinished.write_bytes(content)
    return config


def _read_config(text: bytes, folder: Path) -> MusicConfig:
    try:
        version = json.loads(text)["format"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(folder) from None
    if version != FORMAT:
        raise _other_version(folder)
    try:
        config = _CONFIG.validate_json(text)
    except ValidationError:
        raise _damaged(folder) from None
    if config.names != NAMES or config.shape.features != len(NAMES):
        raise _other_version(folder)
    fits = len(config.mean) == len(config.scale) == len(NAMES) and len(config.gems) == config.shape.gems
    if not fits or min(config.scale) <= 0:
        raise _damaged(folder)
    return config


def _damaged(folder: Path) -> UserError:
    return UserError(
        f"The music emotion weights in {folder} are damaged; install TuneTale again, or run "
        "`tunetale train music-emotion`.",
        code="weights_damaged",
    )


def _other_version(folder: Path) -> UserError:
    return UserError(
        f"The music emotion weights in {folder} are of another version; run `tunetale train music-emotion`.",
        code="weights_version",
    )
