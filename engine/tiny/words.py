"""A tokenizer of whole words, for the tiny models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
"""As T5's, in the order of their ids."""


def word_tokenizer(words: Sequence[str]) -> Any:
    """Return a tokenizer whose ids are SPECIAL's 0 to 2, then the words' in order; it ends each text with </s>."""
    pad, end, unknown = SPECIAL.values()
    pieces = Tokenizer(WordLevel({word: i for i, word in enumerate((pad, end, unknown, *words))}, unk_token=unknown))
    pieces.pre_tokenizer = Whitespace()
    pieces.post_processor = TemplateProcessing(single=f"$A {end}", special_tokens=[(end, 1)])
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=pieces, model_max_length=512, **SPECIAL)
