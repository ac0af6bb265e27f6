"""Six emoji that Telegram allows as reactions, as the scale 0–5: its numbers are no reactions. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from telegram import ReactionType, ReactionTypeEmoji
from telegram.constants import ReactionEmoji

SCALE: Final = (
    ReactionEmoji.THUMBS_DOWN,
    ReactionEmoji.YAWNING_FACE,
    ReactionEmoji.NEUTRAL_FACE,
    ReactionEmoji.OK_HAND_SIGN,
    ReactionEmoji.THUMBS_UP,
    ReactionEmoji.HUNDRED_POINTS_SYMBOL,
)
"""0 (not similar) to 5 (very similar); every other emoji is just an emoji."""


def scores(reactions: Iterable[ReactionType]) -> set[int]:
    """Return the scores among reactions."""
    shown = {reaction.emoji for reaction in reactions if isinstance(reaction, ReactionTypeEmoji)}
    return {score for score, emoji in enumerate(SCALE) if emoji in shown}
