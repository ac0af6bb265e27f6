"""Text → valence, arousal, dominance. Knows which path reads which language; knows nothing of stories, music or jobs.

English goes through a BERT-family encoder with the adapter and head that this project trained. Chinese goes through the
emotion lexicon, the weaker path, unless the encoder was trained as multilingual.

A text's values are the same, byte for byte, alone and in any batch: each text is padded to a length that follows from
the text alone, so that every kernel sees it in the same shape, and no kernel used here mixes rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.emotion.encoder import Encoder
from engine.emotion.int8 import has_int8, to_int8
from engine.emotion.lexicon_zh import LexiconZh
from engine.emotion.regressor import Regressor, fast_dtype, load_regressor
from engine.emotion.sentences import split
from engine.emotion.text_input import is_chinese

ASSETS = Path(__file__).parent.parent / "assets"

_LENGTH_STEP = 2
"""Token lengths are padded to multiples of this: large batches of one shape, about 6 % padding."""
_BATCH_TOKENS = 1024
"""Tokens per forward pass; larger passes are not faster on a CPU."""
_HEAD_ROWS = 16
"""The head always works on so many rows, because matrix products of few rows take another path and round otherwise."""


@dataclass(frozen=True, eq=False)
class Scores:
    """One row per text: `values` float32 [n, 3] valence, arousal, dominance in [-1, 1]; `by_lexicon` bool [n] says
    which were scored by the weaker Chinese path."""

    values: NDArray[np.float32]
    by_lexicon: NDArray[np.bool_]


@dataclass(frozen=True)
class _Piece:
    """A stretch of a text that fits the encoder."""

    text: int
    ids: tuple[int, ...]


class TextEmotion:
    """Scores texts. Safe to use from several threads: it changes nothing after it is loaded."""

    def __init__(self, model: Regressor, encoder: Encoder, lexicon: LexiconZh, dtype: torch.dtype) -> None:
        if dtype == torch.int8:
            to_int8(model.encoder, model.ranges)
        else:
            model.encoder.to(dtype)
        self._model = model
        self._tokenizer, self._pad_id = encoder.tokenizer, encoder.pad_id
        self._lexicon = lexicon
        config = model.config
        self._centre = np.array(config.centre, dtype=np.float32)
        self._spread = np.array(config.spread, dtype=np.float32)
        self.name = f"{Path(config.encoder).name} + TuneTale {'head' if config.variant == 'frozen' else 'tuning'}"

    @property
    def network(self) -> torch.nn.Module:
        """The encoder."""
        return self._model.encoder

    @classmethod
    def load(cls, folder: Path = ASSETS / "text_emotion", *, dtype: torch.dtype | None = None) -> TextEmotion:
        """Load the weights in `folder`; `dtype` None takes the fastest of int8, bfloat16 and float32 on this processor.

        Raises `UserError` with one sentence where weights are missing, damaged, of another version, or made for an
        encoder that is not the installed one (by SHA-256).
        """
        model, encoder = load_regressor(folder)
        fastest = torch.int8 if model.ranges and has_int8() else fast_dtype()
        return cls(model, encoder, LexiconZh.load(), dtype or fastest)

    def score(self, texts: Sequence[str]) -> Scores:
        """Score each text as a whole; one longer than the encoder's limit is the mean of its sentences, by tokens."""
        by_lexicon = np.array(
            [not self._model.config.multilingual and is_chinese(text) for text in texts], dtype=np.bool_
        )
        values = np.zeros((len(texts), 3), dtype=np.float32)
        for index in np.flatnonzero(by_lexicon).tolist():
            values[index] = self._lexicon.score(texts[index])
        rows = np.flatnonzero(~by_lexicon).tolist()
        if rows:
            values[rows] = self._read([texts[index] for index in rows])
        return Scores(values, by_lexicon)

    def _read(self, texts: Sequence[str]) -> NDArray[np.float32]:
        pieces = list(self._pieces(texts))
        found = self._forward(pieces) * self._spread + self._centre
        owners = np.array([piece.text for piece in pieces])
        lengths = np.array([len(piece.ids) for piece in pieces], dtype=np.float64)
        values = np.stack(
            [np.average(found[owners == text], axis=0, weights=lengths[owners == text]) for text in range(len(texts))]
        )
        return np.asarray(np.clip(values, -1.0, 1.0), dtype=np.float32)

    def _pieces(self, texts: Sequence[str]) -> Iterator[_Piece]:
        for number, (text, whole) in enumerate(zip(texts, self._tokenizer.encode_batch(list(texts)), strict=True)):
            if not whole.overflowing:
                yield _Piece(number, tuple(whole.ids))
                continue
            for sentence in self._tokenizer.encode_batch(list(split(text)) or [text]):
                for part in (sentence, *sentence.overflowing):
                    yield _Piece(number, tuple(part.ids))

    def _forward(self, pieces: Sequence[_Piece]) -> NDArray[np.float64]:
        """Return the standardised outputs, [pieces, 3]."""
        by_length: dict[int, list[int]] = {}
        for index, piece in enumerate(pieces):
            # Always at least one padding token: libraries take a short cut where there is none, and round otherwise.
            length = (len(piece.ids) // _LENGTH_STEP + 1) * _LENGTH_STEP
            by_length.setdefault(length, []).append(index)
        result = np.empty((len(pieces), 3), dtype=np.float64)
        for length, members in sorted(by_length.items()):
            size = max(1, _BATCH_TOKENS // length)
            for first in range(0, len(members), size):
                chosen = members[first : first + size]
                result[chosen] = self._batch([pieces[index].ids for index in chosen], length)
        return result

    @torch.inference_mode()
    def _batch(self, rows: Sequence[Sequence[int]], length: int) -> NDArray[np.float64]:
        ids = torch.full((len(rows), length), self._pad_id)
        mask = torch.zeros((len(rows), length), dtype=torch.bool)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = True
        features = self._model.features(ids, mask)
        missing = -len(features) % _HEAD_ROWS
        blocks = torch.split(torch.nn.functional.pad(features, (0, 0, 0, missing)), _HEAD_ROWS)
        outputs = torch.cat([self._model.head(block) for block in blocks])
        return outputs[: len(rows), :3].double().numpy()
