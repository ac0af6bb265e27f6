"""A MusicGen with random weights and a tokenizer of its own, saved as a directory that `from_pretrained` loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    EncodecConfig,
    EncodecFeatureExtractor,
    EncodecModel,
    MusicgenConfig,
    MusicgenForConditionalGeneration,
    MusicgenProcessor,
    T5Config,
    T5EncoderModel,
)
from transformers.models.musicgen import MusicgenDecoderConfig, MusicgenForCausalLM

from engine.tiny.words import word_tokenizer

WORDS = ("a", "sad", "happy", "calm", "tune", "slow", "fast", "in", "major", "minor", "key")
CODES = 32
CODEBOOKS = 4


def save_tiny_musicgen(folder: Path, *, stereo: bool = False) -> Path:
    """Write model, tokenizer and feature extractor; 2 kHz sound of 50 frames a second. Same bytes each time."""
    torch.manual_seed(5)
    tokenizer = word_tokenizer(WORDS)
    codec = EncodecModel(
        EncodecConfig(
            sampling_rate=2_000,
            audio_channels=1,
            num_filters=4,
            hidden_size=8,
            codebook_size=CODES,
            upsampling_ratios=[5, 4, 2],
            target_bandwidths=[1.0],
            num_lstm_layers=1,
            normalize=False,
            use_causal_conv=False,
        )
    )
    quantizer: Any = codec.quantizer
    for layer in quantizer.layers:  # a fresh codebook holds zeros, and every code would sound the same
        layer.codebook.embed.normal_()
    text = T5EncoderModel(
        T5Config(vocab_size=len(tokenizer), d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2, pad_token_id=0)
    )
    decoder = MusicgenForCausalLM(
        MusicgenDecoderConfig(
            vocab_size=CODES,
            hidden_size=16,
            ffn_dim=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_codebooks=CODEBOOKS * (2 if stereo else 1),
            audio_channels=2 if stereo else 1,
            pad_token_id=CODES,
            bos_token_id=CODES,
            max_position_embeddings=2048,
        )
    )
    config = MusicgenConfig(text_encoder=text.config, audio_encoder=codec.config, decoder=decoder.config)
    model = MusicgenForConditionalGeneration(config=config, text_encoder=text, audio_encoder=codec, decoder=decoder)
    generation = model.generation_config
    generation.pad_token_id = generation.bos_token_id = generation.decoder_start_token_id = CODES
    generation.do_sample, generation.guidance_scale, generation.max_length = True, 3.0, 100
    model.save_pretrained(folder)
    processor: Any = MusicgenProcessor  # untyped in the library
    processor(
        EncodecFeatureExtractor(
            feature_size=2 if stereo else 1, sampling_rate=2_000, padding_side="left", return_attention_mask=True
        ),
        tokenizer,
    ).save_pretrained(folder)
    return folder
