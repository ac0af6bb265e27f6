"""A T5 with random weights that writes eight or more words of captions, saved as `from_pretrained` loads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import T5Config, T5ForConditionalGeneration

from engine.tiny.words import word_tokenizer

WORDS = "a sad happy calm tense slow fast soft loud piano strings drums in minor major key"


def save_tiny_t5(folder: Path) -> Path:
    """Write model and tokenizer. Same bytes each time."""
    torch.manual_seed(3)
    tokenizer = word_tokenizer(WORDS.split())
    sizes: Any = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    config: Any = T5Config(vocab_size=len(tokenizer), pad_token_id=0, eos_token_id=1, **sizes)
    config.decoder_start_token_id = 0
    model: Any = T5ForConditionalGeneration(config)
    generation = model.generation_config
    generation.decoder_start_token_id, generation.min_new_tokens = 0, 8
    generation.suppress_tokens = [0, 2]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
