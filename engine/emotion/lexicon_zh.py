"""Chinese text → valence, arousal, dominance by an emotion lexicon. The weaker path: it counts words, it does not read.

Words of `engine/assets/lexicon_zh.tsv` (traditional Chinese as written in Taiwan, values on [-1, 1], English gloss) are
found by longest match from left to right, which needs no word segmentation; words of value 0 0 0 stand in it only so
that 好像 is not read as 好. Negation and intensifiers work as in VADER (Hutto & Gilbert 2014, ICWSM): within the same
clause, just before the word. Pure after loading.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.emotion.sentences import split
from engine.emotion.text_input import count_han
from engine.errors import UserError

LEXICON = Path(__file__).parent.parent / "assets" / "lexicon_zh.tsv"
_HEADER = "word\tenglish\tvalence\tarousal\tdominance"

_NOT = (
    "不",
    "沒",
    "沒有",
    "未",
    "未曾",
    "別",
    "無",
    "非",
    "並非",
    "並不",
    "不再",
    "不會",
    "不能",
    "不曾",
    "不要",
    "不必",
)
_NEVER = ("不用", "毫無", "毫不", "絕不", "從不", "從未", "勿", "莫", "不是", "不太", "不怎麼", "再也不", "不肯")
_NEGATIONS = frozenset((*_NOT, *_NEVER))
_INTENSIFIERS = {
    **dict.fromkeys(("極", "極其", "極度", "極為", "無比", "萬分", "超級", "太過"), 1.5),
    **dict.fromkeys(("非常", "十分", "太", "最", "超", "好不", "格外", "異常", "徹底", "完全", "深深", "如此"), 1.3),
    **dict.fromkeys(("很", "真", "真的", "更", "更加", "好", "多麼", "那麼", "這麼", "特別", "相當", "越來越"), 1.15),
    **dict.fromkeys(
        ("有點", "有些", "有一點", "一點", "稍微", "略", "略微", "微微", "些許", "還算", "不太", "比較"), 0.6
    ),
}
_CLAUSE_ENDS = frozenset('，。！？；：、,.!?;:…⋯「」『』“”"\n')
_REACH = 3
"""So many characters that mean nothing here may stand between a negation or intensifier and its word."""

_NEGATED = np.array([-0.5, 0.5, -0.5])
"""不開心 is less sad than 開心 is happy, and calmer (VADER's factor for negated valence is -0.74)."""
_EXCLAMATION_AROUSAL = 0.15
"""Arousal of an exclamation mark, per sentence."""

# Word values are strong, ratings of whole sentences are not. Evidence is summed and held back by a prior of neutral
# words, more in long sentences; then it gets the standard deviation of the English model over the parallel sentences
# (`engine/assets/parallel_zh.tsv`), and the mean of EmoBank's ratings where there is no evidence.
_PRIOR_WORDS = 1.5
_PRIOR_PER_CHARACTER = 0.03
_GAIN = np.array([1.15, 0.79, 0.70])
_CENTRE = np.array([-0.01, 0.02, 0.03])


@dataclass(frozen=True)
class LexiconZh:
    """The lexicon: word → (valence, arousal, dominance)."""

    words: dict[str, tuple[float, float, float]]

    @classmethod
    def load(cls, path: Path = LEXICON) -> LexiconZh:
        """Read the table. Raises `UserError` when it is missing or damaged."""
        try:
            header, *lines = path.read_text(encoding="utf-8").splitlines()
            if header != _HEADER:
                raise ValueError(header)
            words = {}
            for line in lines:
                word, _, *values = line.split("\t")
                valence, arousal, dominance = (float(value) for value in values)
                words[word] = (valence, arousal, dominance)
        except (OSError, ValueError) as error:
            raise UserError(
                f"The Chinese emotion lexicon is missing or damaged ({path}); reinstall tunetale.",
                code="damaged_lexicon",
            ) from error
        return cls(words)

    def score(self, text: str) -> NDArray[np.float32]:
        """Return valence, arousal, dominance of `text`, float32 [3] in [-1, 1]: its sentences' mean by length."""
        sentences = split(text)
        if not sentences:
            return _CENTRE.astype(np.float32)
        lengths = [max(1, count_han(sentence)) for sentence in sentences]
        values = np.average([self._sentence(sentence) for sentence in sentences], axis=0, weights=lengths)
        return np.asarray(np.clip(values, -1.0, 1.0), dtype=np.float32)

    def _sentence(self, sentence: str) -> NDArray[np.float64]:
        found = self.emotions(sentence)
        total = np.sum(found, axis=0) if found else np.zeros(3)
        prior = _PRIOR_WORDS + _PRIOR_PER_CHARACTER * count_han(sentence)
        value = total / (len(found) + prior)
        if "！" in sentence or "!" in sentence:
            value[1] += _EXCLAMATION_AROUSAL
        return _CENTRE + _GAIN * value

    def emotions(self, sentence: str) -> list[NDArray[np.float64]]:
        """Return the values of the emotion words in `sentence`, in order, changed by what stands before each."""
        found: list[NDArray[np.float64]] = []
        factor, negated, gap = 1.0, False, 0
        position = 0
        while position < len(sentence):
            word = self._longest(sentence, position)
            position += len(word)
            if word == "好" and position < len(sentence) and any(self._value(self._longest(sentence, position))):
                factor, gap = factor * _INTENSIFIERS[word], 0  # 好開心: very; 好 alone: good
            elif any(self._value(word)):
                value = np.array(self._value(word)) * factor
                found.append(value * _NEGATED if negated else value)
                factor, negated, gap = 1.0, False, 0
            elif word in _NEGATIONS or word in _INTENSIFIERS:
                factor *= _INTENSIFIERS.get(word, 1.0)
                negated ^= word in _NEGATIONS
                gap = 0
            else:
                gap += len(word)
                if word in _CLAUSE_ENDS or gap > _REACH:
                    factor, negated, gap = 1.0, False, 0
        return found

    def _value(self, token: str) -> tuple[float, float, float]:
        return self.words.get(token, (0.0, 0.0, 0.0))

    def _longest(self, sentence: str, position: int) -> str:
        """Return the longest known word at `position`, else the one character there."""
        for length in range(min(self._longest_word, len(sentence) - position), 1, -1):
            token = sentence[position : position + length]
            if token in self.words or token in _NEGATIONS or token in _INTENSIFIERS:
                return token
        return sentence[position]

    @cached_property
    def _longest_word(self) -> int:
        return max(map(len, (*self.words, *_NEGATIONS, *_INTENSIFIERS)))
