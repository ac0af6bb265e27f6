"""Tiny Llamas on disk: one with random weights, and one that recites a text. Both load as any other model does.

They have a tokenizer and a chat template of their own, in Llama 3's manner. Knows nothing of stories.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CONTEXT = 8_192
"""Tokens that the models take: enough for any prompt in single bytes."""
SURE = 60.0
"""How much larger the score of the next token is than any other when reciting; Gumbel noise stays far below."""

_BEGIN, _END, _PAD = "<|begin_of_text|>", "<|eot_id|>", "<|pad|>"
_HEADER_START, _HEADER_END = "<|start_header_id|>", "<|end_header_id|>"
_SPECIAL = [_BEGIN, _END, _PAD, _HEADER_START, _HEADER_END]
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
_CORPUS = [
    "Write a story about a lamp, a harbour and the sea.",
    "The feeling of each paragraph.",
    "請用繁體中文寫一個故事。",
]
_VOCABULARY = 320


def save_random(folder: Path, seed: int = 0) -> Path:
    """Save a Llama of two small layers with random weights, and return `folder`."""
    tokenizer = _tokenizer(())
    config = _config(tokenizer, hidden=64, layers=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        torch.nn.init.normal_(model.lm_head.weight, std=0.3)  # far from uniform, so that sampling has something to do
    return _save(model, tokenizer, folder)


def save_reciting(folder: Path, pieces: Sequence[str]) -> Path:
    """Save a Llama that answers every conversation with `pieces`, which must differ; return `folder`.

    Each piece is a token. Embedding and output are a table from each token to the next, and what lies between them adds
    nothing: attention and feed-forward run, with output weights of zero.
    """
    if len(set(pieces)) != len(pieces):
        raise ValueError("a piece occurs twice: what comes after it would not be known")
    tokenizer = _tokenizer(pieces)
    size = -(-len(tokenizer) // 32) * 32
    config = _config(tokenizer, hidden=size, layers=1)
    model = LlamaForCausalLM(config)
    ids: Any = tokenizer(f"{_HEADER_END}\n\n", add_special_tokens=False)["input_ids"]
    chain = [ids[-1], *map(tokenizer.convert_tokens_to_ids, pieces), tokenizer.eos_token_id]
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(config.vocab_size, size))
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        table = model.lm_head.weight.zero_()
        table[tokenizer.eos_token_id] = SURE / size**0.5  # after anything else the answer ends
        for token, following in pairwise(chain):
            table[:, token] = 0.0
            table[following, token] = SURE / size**0.5  # the norm before it makes a unit vector sqrt(size) long
    return _save(model, tokenizer, folder)


def _tokenizer(pieces: Sequence[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY, special_tokens=_SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    tokenizer.add_tokens(list(pieces))
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token=_BEGIN, eos_token=_END, pad_token=_PAD, padding_side="left"
    )
    fast.chat_template = _TEMPLATE
    return fast


def _config(tokenizer: PreTrainedTokenizerFast, hidden: int, layers: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )


def _save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
