"""What a language model is to the storyteller: conversations in, texts out. Knows no story and no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]

Told = Callable[[float], None]
"""Called with the share of the texts (0 to 1) that is written, at least a few times a second; raises `Cancelled`."""

LONGEST_TOKENS = 4_096
"""Longest answer that is ever asked for."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str

    def plain(self) -> dict[str, str]:
        """Return the message as chat templates and servers want it."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True)
class Ask:
    """A conversation that wants an answer of at most `max_tokens` tokens; `seed` is below 2**63."""

    messages: tuple[Message, ...]
    seed: int
    max_tokens: int


class Chat(Protocol):
    """A language model that several threads may ask at once."""

    @property
    def name(self) -> str:
        """Name of backend and model, as shown to people."""
        ...

    def write(self, asks: Sequence[Ask], told: Told) -> list[str]:
        """Return the answer to each ask, in order; what comes may be anything.

        Raises `UserError` when the model cannot answer such a thing, `Transient` when it cannot answer now, and
        whatever `told` raises, soon after it does.
        """
        ...
