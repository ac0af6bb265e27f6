import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.emotion.words import EmotionWord, Words

WORDS = Words.load()
UNIT = st.floats(-1, 1)


def _word(term: str, valence: float, arousal: float, shown: bool = True) -> EmotionWord:
    return EmotionWord(term, valence, arousal, 0.0, f"《{term}》", term, shown)


def test_the_table_has_the_151_terms_of_the_paper() -> None:
    assert len(WORDS) == 151
    happy = WORDS["happy"]
    assert (happy.valence, happy.arousal, happy.dominance) == (0.81, 0.51, 0.46)
    sad = WORDS["sad"]
    assert (sad.valence, sad.arousal, sad.dominance) == (-0.63, -0.27, -0.33)


def test_every_term_has_its_own_chinese_word() -> None:
    terms = [word.term for word in WORDS.nearest((0, 0), 151)]
    chinese = [WORDS.translate(term, "zh-TW") for term in terms]
    assert len(set(chinese)) == len(terms)
    assert all(2 <= len(word) <= 6 and all("一" <= c <= "鿿" for c in word) for word in chinese)


@given(UNIT, UNIT)
def test_nearest_is_what_a_plain_search_finds(valence: float, arousal: float) -> None:
    def away(word: EmotionWord) -> float:
        return math.dist((word.valence, word.arousal), (valence, arousal))

    found = WORDS.nearest((valence, arousal), 3)
    everything = sorted((away(word), word.term) for word in WORDS.nearest((0, 0), 151))
    assert [away(word) for word in found] == pytest.approx([distance for distance, _ in everything[:3]])


def test_equal_distances_keep_the_order_of_the_table() -> None:
    words = Words([_word("b", 0.1, 0), _word("a", 0, 0.1), _word("c", -0.1, 0)])
    assert [word.term for word in words.nearest((0, 0), 3)] == ["b", "a", "c"]


def test_a_word_that_is_not_shown_is_never_chosen_but_known() -> None:
    words = Words([_word("hidden", 0.5, 0.5, shown=False), _word("far", -1, -1)])
    assert words.nearest((0.5, 0.5))[0].term == "far"
    assert words.translate("hidden", "zh-TW") == "《hidden》"
    unfit = WORDS["sexually excited"]
    assert WORDS.nearest((unfit.valence, unfit.arousal))[0].term != unfit.term


@pytest.mark.parametrize(
    ("term", "card", "sentence", "chinese"),
    [
        ("triumphant", "triumphant", "triumphant", "意氣風發"),
        ("pain", "pain", "in pain", "痛苦"),
        ("cold anger", "cold anger", "coldly angry", "怒意冰冷"),
    ],
)
def test_a_word_on_a_card_and_in_a_sentence(term: str, card: str, sentence: str, chinese: str) -> None:
    assert WORDS.translate(term, "en") == card
    assert WORDS.phrase(term, "en") == sentence
    assert WORDS.translate(term, "zh-TW") == WORDS.phrase(term, "zh-TW") == chinese


def test_an_unknown_term_is_an_error() -> None:
    with pytest.raises(KeyError):
        WORDS.translate("hangry", "en")


def test_places_are_a_copy() -> None:
    WORDS.places()[:] = 9
    assert WORDS.nearest((0.81, 0.51))[0].term == "happy"
