"""The few sentences that stand on the card as well as in every reply. Knows results; knows no platform."""

from __future__ import annotations

from collections.abc import Iterable

from engine.jobs import Alignment, Language

_ALIGNMENT = {
    "en": "TuneTale's own measure of the fit: mean distance {distance:.2f} on the plane from -1 to 1, "
    "closer than {percent} % of other stories.",
    "zh-TW": "TuneTale 自己量測的契合度：在 -1 到 1 的平面上平均距離 {distance:.2f}，比 {percent} % 的其他故事更接近。",
}
_MADE = {"en": "Made with {models}. Seed {seed}.", "zh-TW": "製作：{models}。種子 {seed}。"}


def alignment_sentence(alignment: Alignment, language: Language) -> str:
    """Say in one plain sentence how well a pair fits, by our own measure."""
    percent = min(99, round(100 * alignment.better_than_shuffled))  # "100 %" would speak of stories nobody compared
    return _ALIGNMENT[language].format(distance=alignment.distance, percent=percent)


def made_sentence(models: Iterable[str], seed: int, language: Language) -> str:
    """Say which models made a result, and with which seed."""
    separator = "、" if language == "zh-TW" else ", "
    return _MADE[language].format(models=separator.join(models), seed=seed)
