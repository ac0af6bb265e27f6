"""A random BERT, RoBERTa or XLM-RoBERTa of a few thousand parameters, saved with its tokenizer as any other is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

_WORDS = "the a he she and happy glad love sad died fear angry calm sea king house not very ran cried smiled"
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 80,
    "pad_token_id": 0,
}


Kind = Literal["bert", "roberta", "xlm-roberta"]
_KINDS: dict[str, tuple[Any, Any]] = {
    "bert": (BertConfig, BertModel),
    "roberta": (RobertaConfig, RobertaModel),
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaModel),
}


def save_tiny_encoder(folder: Path, kind: Kind = "bert", seed: int = 0) -> Path:
    """Write the model and its tokenizer into `folder` and return it."""
    tokenizer = _unigram() if kind == "xlm-roberta" else _word_pieces()
    config, model = _KINDS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model(config(vocab_size=tokenizer.get_vocab_size(), **_SIZES)).save_pretrained(folder)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast: Any = PreTrainedTokenizerFast
    fast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    return folder


def _word_pieces() -> Tokenizer:
    """Return a tokenizer as BERT has it."""
    words = dict.fromkeys([*_SPECIAL, *_WORDS.split(), *"abcdefghijklmnopqrstuvwxyz.!?,"])  # each once
    tokenizer = Tokenizer(models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _unigram() -> Tokenizer:
    """Return a tokenizer as XLM-RoBERTa has it: SentencePiece's unigram model, which also knows Chinese."""
    pieces = [f"▁{word}" for word in _WORDS.split()] + [*"▁abcdefghijklmnopqrstuvwxyz.!?,", *"她哭了開心。"]
    tokenizer = Tokenizer(models.Unigram([*((word, 0.0) for word in _SPECIAL), *((one, -3.0) for one in pieces)], 1))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer
