"""MusicGen run by audiocraft 1.3.0. The weights that Meta published are for non-commercial use (CC-BY-NC 4.0).

Its weights are pickles: only those whose hashes `models.lock` holds are read, and even those as data that runs nothing.
Steps are audiocraft's own; only how a code is chosen is ours, so that each job has its seed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from audiocraft.models import MusicGen, builders
from audiocraft.models.encodec import HFEncodecCompressionModel
from audiocraft.modules.conditioners import T5Conditioner
from omegaconf import OmegaConf
from torch import Tensor
from transformers import EncodecModel

from engine.errors import UserError
from engine.hub import AUDIOCRAFT_FILES
from engine.lockfile import DEFAULT_LOCK, model_folder, read_lock, sha256_of
from engine.music.picking import guided, sampling, seed_states
from engine.music.windowed import Samples, Task, Watch, WindowedComposer
from engine.pretrained import check_device
from engine.settings import MusicgenSettings

_TRAINING_ONLY = (
    "conditioners.self_wav.chroma_stem.cache_path",
    "conditioners.args.merge_text_conditions_p",
    "conditioners.args.drop_desc_p",
)
"""Keys of published configurations that the library's own loader removes too."""
_TROUBLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    AssertionError,
    EOFError,
    UnpicklingError,
)


class AudiocraftGenerator:
    """Implements `engine.music.windowed.Generator`. Not thread-safe."""

    def __init__(self, model: Any, settings: MusicgenSettings) -> None:
        self.name = f"MusicGen by audiocraft ({settings.model.rstrip('/').rsplit('/', 1)[-1]})"
        self.rate_hz = int(model.sample_rate)
        self.frame_hz = int(model.frame_rate)
        self.channels = int(model.audio_channels)
        self._model = model
        self._guidance = settings.guidance
        self._pick = sampling(settings.temperature, settings.top_k)

    @torch.inference_mode()
    def generate(self, tasks: Sequence[Task], watch: Watch) -> list[Samples]:
        """Make the tasks' windows in one batch."""
        lm, model = self._model.lm, self._model
        sound = torch.from_numpy(np.stack([task.context for task in tasks])).transpose(1, 2)
        words = [task.prompt for task in tasks]
        # Private, as in the library's own `generate`, which has no way to choose the codes.
        attributes, prompt = model._prepare_tokens_and_attributes(words, sound if sound.shape[-1] else None)
        known = 0 if prompt is None else prompt.shape[-1]
        seeds = seed_states([task.seed for task in tasks], model.device)
        lm._sample_next_token = _Chooser(lm, seeds, known, self._guidance, self._pick)
        try:
            with model.autocast:
                codes = lm.generate(
                    prompt, attributes, max_gen_len=known + max(task.frames for task in tasks), callback=watch
                )
        finally:
            del lm._sample_next_token
            lm._set_streaming(False)  # an exception leaves the library's caches as they were
            lm.reset_streaming()
        return [*model.generate_audio(codes).float().cpu().numpy().transpose(0, 2, 1)]


class _Chooser:
    """Takes the place of audiocraft's choice of the next codes, which draws from one stream for all."""

    def __init__(self, lm: Any, seeds: Tensor, known: int, guidance: float, pick: Any) -> None:
        self._lm = lm
        self._seeds = seeds
        self._guidance = guidance
        self._pick = pick
        self._place = torch.tensor([known + 1], device=seeds.device)  # the start token is column 0

    def __call__(self, sequence: Tensor, conditions: Any, *_: Any, **__: Any) -> Tensor:
        """Return [B, K, 1] for columns [B, K, n]."""
        both = torch.cat([sequence, sequence])
        scores = self._lm(both, conditions=[], condition_tensors=conditions)[:, :, -1]
        made: Tensor = self._pick(guided(scores, self._guidance), self._seeds, self._place)[..., None]
        self._place += 1
        return made


def load_audiocraft(settings: MusicgenSettings, lock: Path = DEFAULT_LOCK) -> WindowedComposer:
    """Load one of Meta's models by name, or a directory that holds the same files. Raises `UserError`.

    `unlocked_pickle`: the hashes of the files are not in `lock`.
    """
    if settings.dtype != "auto":
        raise UserError(
            "audiocraft chooses the number format itself (float16 on a graphics card); please set "
            'engine.musicgen.dtype to "auto".',
            code="bad_dtype",
        )
    check_device(settings.device)
    folder = model_folder(settings.model, lock, "--audiocraft")
    _check_locked(folder, lock)
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        lm, codec = _language_model(folder, device, lock), _codec(folder, device, lock)
        model = MusicGen(settings.model, codec, lm)
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"The model {settings.model} does not fit into the memory of this device; please choose a smaller one.",
            code="out_of_memory",
        ) from error
    except _TROUBLE as error:
        raise UserError(
            f"audiocraft cannot load MusicGen from {str(folder)!r} ({type(error).__name__}); the files must be those "
            "that `tunetale models fetch --audiocraft` brings.",
            code="model_incomplete",
        ) from error
    return WindowedComposer(AudiocraftGenerator(model, settings), settings)


def _check_locked(folder: Path, lock: Path) -> None:
    """Raise `UserError` unless a model of the lock has exactly these pickles: others could hold code."""
    try:
        found = {name: sha256_of(folder / name) for name in AUDIOCRAFT_FILES}
    except OSError as error:
        raise UserError(
            f"The directory {folder} has no {' and '.join(AUDIOCRAFT_FILES)}; fetch them with "
            "`tunetale models fetch NAME --audiocraft`.",
            code="model_incomplete",
        ) from error
    for model in read_lock(lock).values():
        if all(name in model.files and model.files[name].sha256 == digest for name, digest in found.items()):
            return
    raise UserError(
        f"The weights in {folder} are pickles, which can hold code, and {lock} does not know them; use Meta's, which "
        "`tunetale models fetch NAME --audiocraft` brings.",
        code="unlocked_pickle",
    )


def _read(path: Path, device: str) -> Any:
    return torch.load(path, map_location=device, weights_only=True)


def _configuration(package: Any, device: str) -> Any:
    config = OmegaConf.create(package["xp.cfg"])
    OmegaConf.set_struct(config, False)
    config.device = device
    return config


def _language_model(folder: Path, device: str, lock: Path) -> Any:
    """As `audiocraft.models.loaders.load_lm_model`, with the text encoder from the lock."""
    package = _read(folder / AUDIOCRAFT_FILES[0], device)
    config = _configuration(package, device)
    config.dtype = "float32" if device == "cpu" else "float16"
    for key in _TRAINING_ONLY:
        above, _, last = key.rpartition(".")
        if (section := OmegaConf.select(config, above)) is not None:
            section.pop(last, None)
    for conditioner in config.conditioners.values():
        if conditioner.get("model") == "t5":
            text = model_folder(conditioner.t5.name, lock)
            conditioner.t5.name = str(text)
            T5Conditioner.MODELS = [*T5Conditioner.MODELS, str(text)]
            width = json.loads((text / "config.json").read_text(encoding="utf-8"))["d_model"]
            T5Conditioner.MODELS_DIMS = T5Conditioner.MODELS_DIMS | {str(text): width}
    model = builders.get_lm_model(config)
    model.load_state_dict(package["best_state"])
    model.eval()
    model.cfg = config
    return model


def _codec(folder: Path, device: str, lock: Path) -> Any:
    """As `audiocraft.models.loaders.load_compression_model`, with EnCodec from the lock where the file names one."""
    package = _read(folder / AUDIOCRAFT_FILES[1], device)
    if "pretrained" in package:
        encodec = EncodecModel.from_pretrained(
            model_folder(package["pretrained"], lock), use_safetensors=True, local_files_only=True
        )
        return HFEncodecCompressionModel(encodec).to(device).eval()
    model = builders.get_compression_model(_configuration(package, device))
    model.load_state_dict(package["best_state"])
    return model.eval()
