"""What Telegram's refusals mean to the core. Knows the library's exceptions and the service's words for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, NetworkError, RetryAfter

from bot.contract import Gone, RetryLater
from bot.telegram.limiter import Busy
from engine.errors import Transient, TuneTaleError

UNCHANGED = "message is not modified"
_GONE = (
    "chat not found",
    "message to edit not found",
    "message to delete not found",
    "message can't be edited",
    "message can't be deleted",
    "message_id_invalid",
    "message thread not found",
    "topic_closed",
    "topic_deleted",
    "not enough rights",
    "have no rights",
    "chat_write_forbidden",
    "chat_restricted",
    "need administrator rights",
    "user is deactivated",
    "peer_id_invalid",
    "group chat was deactivated",
    "there is no text in the message",
)
"""Beginnings or parts of what Telegram says when something will never work (tdlib/telegram-bot-api, Client.cpp)."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the core knows: `Gone`, `RetryLater`, `Transient`; whatever else Telegram refuses is our fault."""
    try:
        yield
    except Busy:
        raise Transient("There are too many messages for this chat at the moment.", code="busy") from None
    except RetryAfter as refused:
        after = refused.retry_after
        seconds = after.total_seconds() if isinstance(after, timedelta) else float(after)
        raise RetryLater(f"Telegram asks to wait for {seconds:.0f} seconds.", seconds) from None
    except ChatMigrated:  # messages of before keep the group's old number, under which nothing can be changed
        raise Gone("The group has become a supergroup; its old messages cannot be changed.") from None
    except Forbidden as refused:
        raise Gone(f"Telegram does not let us write there: {refused.message}.") from None
    except InvalidToken:  # its message may hold the token
        raise Transient("Telegram refuses the bot's token.", code="bad_token") from None
    except BadRequest as refused:
        if any(sign in refused.message.lower() for sign in _GONE):
            raise Gone(f"Telegram does not find it any more: {refused.message}.") from None
        raise TuneTaleError(f"Telegram refused the message: {refused.message}.", code="refused") from refused
    except NetworkError as failed:
        raise Transient(f"Telegram cannot be reached: {failed.message}.", code="no_telegram") from None


def unchanged(error: BadRequest) -> bool:
    """Return whether an edit was refused because the message is like that already."""
    return UNCHANGED in error.message.lower()
