"""How a reply becomes Telegram messages: which parts, in which order, with which limits. Pure; sends nothing.

Texts come first, then music, then files, then the picture: the last message carries the buttons, the rating row and
the ping, so that they stand at the bottom of the chat where people are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot import markup, tokens
from bot.contract import Audio, Button, Document, Picture, Reply, Text

TOAST_UNITS = 200
"""UTF-16 units of the answer to a pressed button (core.telegram.org/bots/api#answercallbackquery)."""
ALERT_UNITS = 60
"""Longer answers are shown as an alert that waits for OK, because a toast is gone before it is read."""
ALT_UNITS = 960
"""Of a caption's 1024; the rest is for the ping."""
LABEL_UNITS = 40
"""Longer labels are cut off on phones."""


@dataclass(frozen=True)
class Outgoing:
    """One message; `html` is its text or caption."""

    html: str = ""
    media: Audio | Picture | Document | None = None
    keyboard: InlineKeyboardMarkup | None = None


def messages(reply: Reply) -> tuple[Outgoing, ...]:
    """Return the messages of a reply in the order in which they are sent; the last one carries the buttons."""
    found = [Outgoing(page) for page in markup.telegram_pages(texts(reply))]
    for kind in (Audio, Document, Picture):
        for part in reply.parts:
            if isinstance(part, kind):
                found.append(Outgoing(_alt(part), part))
    keys = keyboard(reply)
    if found and keys is not None:
        found[-1] = Outgoing(found[-1].html, found[-1].media, keys)
    return tuple(found)


def texts(reply: Reply) -> tuple[Text, ...]:
    """Return the texts of a reply."""
    return tuple(part for part in reply.parts if isinstance(part, Text))


def only_text(reply: Reply) -> bool:
    """Return whether a reply shows no file, picture or sound."""
    return all(isinstance(part, Text) for part in reply.parts)


def keyboard(reply: Reply) -> InlineKeyboardMarkup | None:
    """Return the buttons of a reply, with the rating row above them; None without any."""
    rows: list[Sequence[Button]] = list(reply.buttons)
    if reply.pair is not None:
        rows.insert(0, tokens.rating_row(reply.pair))
    if not rows:
        return None
    return InlineKeyboardMarkup([[_key(button) for button in row] for row in rows])


def toast(reply: Reply) -> str | None:
    """Return a reply as the answer to a press; None when it does not fit there."""
    if reply.buttons or reply.pair is not None or not reply.parts or not only_text(reply):
        return None
    plain = "\n".join(markup.clean(part.text) for part in texts(reply))
    return plain if markup.len_utf16(plain) <= TOAST_UNITS else None


def alerts(text: str) -> bool:
    """Return whether the answer to a press has to wait until it is read."""
    return markup.len_utf16(text) > ALERT_UNITS


def _alt(part: Audio | Picture | Document) -> str:
    """Return a picture's words as its caption: Telegram has no alternative texts."""
    if not isinstance(part, Picture) or not part.alt:
        return ""
    return markup.telegram_pages((Text(markup.clip(part.alt, ALT_UNITS)),))[0]


def _key(button: Button) -> InlineKeyboardButton:
    label = markup.clip(button.label, LABEL_UNITS)
    return InlineKeyboardButton(label, callback_data=button.token, style="danger" if button.danger else None)
