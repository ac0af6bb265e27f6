"""MusicGen through transformers. The weights that Meta published are for non-commercial use (CC-BY-NC 4.0).

Text encoder and codec are the library's; the steps between them are `engine.music.decoding`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import MusicgenForConditionalGeneration, MusicgenProcessor

from engine.errors import UserError
from engine.lockfile import DEFAULT_LOCK, model_folder
from engine.music.decoding import Decoder, cuda_graph
from engine.music.picking import sampling, seed_states
from engine.music.windowed import Samples, Task, Watch, WindowedComposer
from engine.pretrained import load_beside, load_model
from engine.settings import MusicgenSettings


class MusicgenGenerator:
    """Implements `engine.music.windowed.Generator`. Not thread-safe."""

    def __init__(self, model: Any, processor: Any, settings: MusicgenSettings) -> None:
        self._model = model
        self._processor = processor
        self.name = f"MusicGen ({settings.model.rstrip('/').rsplit('/', 1)[-1]})"
        codec = model.config.audio_encoder
        self.rate_hz = int(codec.sampling_rate)
        self.frame_hz = int(codec.frame_rate)
        self.channels = int(model.decoder.config.audio_channels)
        record = cuda_graph if model.device.type == "cuda" else None
        pick = sampling(settings.temperature, settings.top_k)
        self._decoder = Decoder(model.decoder, pick, settings.guidance, record)
        self._decoder.check_recording()

    @torch.inference_mode()
    def generate(self, tasks: Sequence[Task], watch: Watch) -> list[Samples]:
        """Make the tasks' windows in one batch."""
        device = self._model.device
        asked = self._processor(text=[task.prompt for task in tasks], padding=True, return_tensors="pt").to(device)
        text = encoded(self._model, asked)
        codes = self._decoder.codes(
            text,
            asked["attention_mask"],
            self._heard([task.context for task in tasks]),
            max(task.frames for task in tasks),
            seed_states([task.seed for task in tasks], device),
            watch,
        )
        return [*self._played(codes).float().cpu().numpy().transpose(0, 2, 1)]

    def _heard(self, contexts: Sequence[Samples]) -> Tensor:
        """Return codes [B, K, P] of equally long sounds; the two channels' codebooks take turns."""
        sound = torch.from_numpy(np.stack(contexts)).transpose(1, 2).to(self._model.device, self._model.dtype)
        if sound.shape[-1] == 0:
            shape = (len(contexts), self._model.decoder.num_codebooks, 0)
            return torch.zeros(shape, dtype=torch.int64, device=sound.device)
        codes = [self._model.audio_encoder.encode(sound[:, i : i + 1]).audio_codes[0] for i in range(self.channels)]
        return torch.stack(codes, dim=2).flatten(1, 2)

    def _played(self, codes: Tensor) -> Tensor:
        """Return the sound [B, channels, n] of codes [B, K, P]."""
        played = []
        for channel in range(self.channels):
            own = codes[None, :, channel :: self.channels]
            played.append(self._model.audio_encoder.decode(own, audio_scales=[None] * len(codes)).audio_values)
        return torch.cat(played, dim=1)


def encoded(model: Any, asked: Any) -> Tensor:
    """Return a batch of tokenized prompts as the decoder reads them: [B, T, features], 0 where there is no text."""
    text = model.text_encoder(input_ids=asked["input_ids"], attention_mask=asked["attention_mask"]).last_hidden_state
    if hasattr(model, "enc_to_dec_proj"):
        text = model.enc_to_dec_proj(text)
    masked: Tensor = text * asked["attention_mask"][..., None]
    return masked


def load_musicgen(settings: MusicgenSettings, lock: Path = DEFAULT_LOCK) -> WindowedComposer:
    """Load a directory or a locked model. Raises `UserError` when it is not there, not whole, or too large."""
    folder = model_folder(settings.model, lock)
    # Not accelerate's "auto", which would spread a model over devices: the steps want all of it in one place.
    device = "cuda" if settings.device == "auto" and torch.cuda.is_available() else settings.device
    try:
        model = load_model(MusicgenForConditionalGeneration, folder, "MusicGen", dtype=settings.dtype, device=device)
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"The model {settings.model} does not fit into the memory of this device; please choose a smaller one, or "
            "another dtype or device.",
            code="out_of_memory",
        ) from error
    processor = load_beside(MusicgenProcessor, folder, "MusicGen")
    return WindowedComposer(MusicgenGenerator(model, processor, settings), settings)
