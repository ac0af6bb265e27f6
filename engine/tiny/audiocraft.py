"""The tiny MusicGen in audiocraft's form: the same weights as `engine.tiny.musicgen` saves, under audiocraft's names.

Names follow transformers' `convert_musicgen_transformers.py`, read backwards. Runs anywhere; needs no audiocraft.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from transformers import MusicgenForConditionalGeneration, T5Tokenizer

from engine.hub import AUDIOCRAFT_FILES
from engine.lockfile import LockedFile, LockedModel, sha256_of, write_lock
from engine.tiny.musicgen import WORDS, save_tiny_musicgen
from engine.tiny.words import SPECIAL

LOCKED_AS = "tiny/musicgen"
_NAMES = (
    (r"^decoder\.model\.decoder\.embed_tokens", "emb"),
    (r"^decoder\.model\.decoder\.layer_norm", "out_norm"),
    (r"^decoder\.model\.decoder", "transformer"),
    (r"^decoder\.lm_heads", "linears"),
    (r"^enc_to_dec_proj", "condition_provider.conditioners.description.output_proj"),
    (r"encoder_attn_layer_norm", "norm_cross"),
    (r"encoder_attn", "cross_attention"),
    (r"self_attn_layer_norm", "norm1"),
    (r"final_layer_norm", "norm2"),
    (r"fc(\d)", r"linear\1"),
)


def save_tiny_audiocraft(folder: Path) -> Path:
    """Write `plain` (transformers' form), its parts, `audiocraft` and `models.lock` into a folder; return it."""
    plain = save_tiny_musicgen(folder / "plain")
    model: Any = MusicgenForConditionalGeneration.from_pretrained(plain)
    # transformers makes no projection where text encoder and decoder are equally wide; audiocraft always has one.
    width = model.decoder.config.hidden_size
    state = {"condition_provider.conditioners.description.output_proj.weight": torch.eye(width)}
    state["condition_provider.conditioners.description.output_proj.bias"] = torch.zeros(width)
    for name, value in model.state_dict().items():
        if name.startswith(("decoder.", "enc_to_dec_proj.")) and "embed_positions" not in name:
            state[_renamed(name)] = value
    model.text_encoder.save_pretrained(folder / "t5")
    _tokenizer().save_pretrained(folder / "t5")
    model.audio_encoder.save_pretrained(folder / "codec")
    target = folder / "audiocraft"
    target.mkdir()
    config = json.dumps(_configuration(model.decoder.config, str(folder / "t5")))
    torch.save({"best_state": _with_joined_projections(state), "xp.cfg": config}, target / AUDIOCRAFT_FILES[0])
    torch.save({"pretrained": str(folder / "codec")}, target / AUDIOCRAFT_FILES[1])
    files = {name: LockedFile(sha256_of(target / name), (target / name).stat().st_size) for name in AUDIOCRAFT_FILES}
    write_lock(folder / "models.lock", {LOCKED_AS: LockedModel("0" * 40, "MIT", files)})
    return folder


def _tokenizer() -> Any:
    """Return a tokenizer of T5's own class, which audiocraft insists on, with the words and ids of the plain one."""
    words = [(f"▁{word}", -1.0) for word in WORDS]
    kind: Any = T5Tokenizer
    return kind(vocab=[(piece, 0.0) for piece in SPECIAL.values()] + words, extra_ids=0)


def _renamed(name: str) -> str:
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _with_joined_projections(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state with query, key and value weights below each other."""
    joined = {name: value for name, value in state.items() if not re.search(r"\.[qkv]_proj\.weight$", name)}
    for name in state:
        if name.endswith(".q_proj.weight"):
            stem = name.removesuffix("q_proj.weight")
            joined[f"{stem}in_proj_weight"] = torch.cat([state[f"{stem}{part}_proj.weight"] for part in "qkv"])
    return joined


def _configuration(decoder: Any, text: str) -> dict[str, Any]:
    """Return what a published checkpoint says of itself, as far as loading reads it."""
    return {
        "lm_model": "transformer_lm",
        "codebooks_pattern": {"modeling": "delay", "delay": {"delays": list(range(decoder.num_codebooks))}},
        "attribute_dropout": {},
        "classifier_free_guidance": {"training_dropout": 0.3, "inference_coef": 3.0},
        "transformer_lm": {
            "dim": decoder.hidden_size,
            "num_heads": decoder.num_attention_heads,
            "num_layers": decoder.num_hidden_layers,
            "hidden_scale": decoder.ffn_dim // decoder.hidden_size,
            "n_q": decoder.num_codebooks,
            "card": decoder.vocab_size,
            "dropout": 0.0,
            "activation": "gelu",
            "norm_first": True,
            "bias_ff": False,
            "bias_attn": False,
            "bias_proj": False,
            "causal": True,
            "memory_efficient": True,
            "cross_attention": True,
        },
        "fuser": {"cross_attention_pos_emb": False, "sum": [], "prepend": [], "cross": ["description"]}
        | {"input_interpolate": []},
        "conditioners": {"description": {"model": "t5", "t5": {"name": text, "finetune": False}}}
        | {"args": {"merge_text_conditions_p": 0.25, "drop_desc_p": 0.5}},
        "dataset": {"segment_duration": 30},
        "interleave_stereo_codebooks": {"use": False, "per_timestep": False},
        "compression_model_n_q": None,
    }
