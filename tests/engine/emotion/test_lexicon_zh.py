from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.emotion.lexicon_zh import LEXICON, LexiconZh
from engine.errors import UserError

ZH = LexiconZh.load()
NEUTRAL = ZH.score("這本書放在桌上。")


def valence(text: str) -> float:
    return float(ZH.score(text)[0])


def arousal(text: str) -> float:
    return float(ZH.score(text)[1])


def test_the_table_is_large_unique_and_within_its_scale() -> None:
    lines = LEXICON.read_text(encoding="utf-8").splitlines()[1:]
    assert len(ZH.words) == len(lines) >= 600
    values = np.array(list(ZH.words.values()))
    assert np.abs(values).max() <= 1.0
    assert (values != 0).any(axis=1).sum() >= 600
    assert all(line.split("\t")[1] for line in lines), "every word has its English gloss"


@pytest.mark.parametrize(
    "word", ["開心", "難過", "憤怒", "平靜", "恐懼", "孤單", "死", "笑", "哭", "陽光", "黑暗", "風暴", "擁抱"]
)
def test_words_of_stories_are_known(word: str) -> None:
    assert any(ZH.words[word])


def test_the_quadrants_fall_where_they_belong() -> None:
    joy, fear, grief, peace = (
        "大家高興地歡呼！",
        "怪物來了，他嚇得尖叫！",
        "她孤單又疲憊，默默流淚。",
        "微風輕輕吹過寧靜的湖面。",
    )
    assert valence(joy) > 0.1 and arousal(joy) > arousal(peace)
    assert valence(fear) < -0.1 and arousal(fear) > arousal(grief)
    assert valence(grief) < -0.1
    assert valence(peace) > 0.1 and arousal(peace) < NEUTRAL[1]


def test_negation_turns_and_weakens() -> None:
    assert valence("我開心。") > NEUTRAL[0] > valence("我不開心。") > -valence("我開心。")
    assert valence("我不是不喜歡你。") > NEUTRAL[0], "two negations cancel"
    assert valence("他沒有生氣。") > valence("他生氣。")


def test_negation_ends_with_its_clause_and_reach() -> None:
    assert valence("不，我很開心。") == pytest.approx(valence("嗯，我很開心。"), abs=0.01)
    assert valence("他不在那座山上快樂地玩。") > NEUTRAL[0]


def test_intensifiers_scale() -> None:
    assert valence("他非常難過。") < valence("他難過了。") < valence("他有點難過。") < NEUTRAL[0]
    assert valence("我好開心。") > valence("我是開心。")
    assert valence("這樣好。") > NEUTRAL[0], "alone it means good"


def test_compounds_shield_their_characters() -> None:
    assert ZH.emotions("好像剛好差不多") == []
    assert valence("不錯。") > NEUTRAL[0]


def test_a_word_counts_less_in_a_longer_sentence() -> None:
    long = "他在那個下午走過街道的時候看見一個開心的人站在商店的門口等車"
    assert NEUTRAL[0] < valence(long) < valence("他開心。")


def test_an_exclamation_mark_raises_arousal_only() -> None:
    assert arousal("下雨了！") > arousal("下雨了。")
    assert valence("下雨了！") == valence("下雨了。")


def test_a_text_is_the_mean_of_its_sentences_by_length() -> None:
    short, long = "他笑了。", "後來一場可怕的大火燒毀了整個村莊。"
    weights = [3, 16]
    expected = np.average([ZH.score(short), ZH.score(long)], axis=0, weights=weights)
    np.testing.assert_allclose(ZH.score(short + long), expected, atol=1e-6)


def test_any_text_stays_in_range_and_is_finite() -> None:
    for text in ("", "！！！", "死" * 500, "非常" * 50 + "開心", "不" * 99 + "好", "abc 好"):
        values = ZH.score(text)
        assert values.dtype == np.float32 and values.shape == (3,)
        assert np.isfinite(values).all() and np.abs(values).max() <= 1.0


def test_a_damaged_table_is_refused_in_one_sentence(tmp_path: Path) -> None:
    missing, renamed, broken = tmp_path / "a.tsv", tmp_path / "b.tsv", tmp_path / "c.tsv"
    renamed.write_text("word\tvalence\n好\t1\n", encoding="utf-8")
    broken.write_text("word\tenglish\tvalence\tarousal\tdominance\n好\tgood\tx\t0\t0\n", encoding="utf-8")
    for path in (missing, renamed, broken):
        with pytest.raises(UserError, match="reinstall tunetale") as caught:
            LexiconZh.load(path)
        assert caught.value.code == "damaged_lexicon"
