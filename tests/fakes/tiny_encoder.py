"""A random BERT (or RoBERTa) of a few thousand parameters with its tokenizer, saved as any Hugging Face model is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, RobertaConfig, RobertaModel

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


def save_tiny_encoder(folder: Path, kind: Literal["bert", "roberta"] = "bert", seed: int = 0) -> Path:
    """Write the model and its tokenizer into `folder` and return it."""
    vocabulary = {
        word: number for number, word in enumerate([*_SPECIAL, *_WORDS.split(), *"abcdefghijklmnopqrstuvwxyz.!?,"])
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "bert":
            BertModel(BertConfig(vocab_size=len(vocabulary), **_SIZES)).save_pretrained(folder)
        else:
            RobertaModel(RobertaConfig(vocab_size=len(vocabulary), **_SIZES)).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast: Any = PreTrainedTokenizerFast
    fast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    return folder
