"""What an update says, in the core's words: who, where, with which file. Asks nobody and answers nothing."""

from __future__ import annotations

from dataclasses import dataclass

from telegram import (
    Audio,
    Chat,
    Document,
    InaccessibleMessage,
    MaybeInaccessibleMessage,
    Message,
    User,
    Video,
    VideoNote,
    Voice,
)
from telegram.constants import ChatID, ChatType, FileSizeLimit, MessageEntityType

from bot.contract import Actor, Place, Posted
from bot.telegram.options import link

FETCHABLE_BYTES = int(FileSizeLimit.FILESIZE_DOWNLOAD)
"""Largest file that Telegram's own server gives to a bot; one's own server gives all."""
CHANNEL_IDENTITY = int(ChatID.FAKE_CHANNEL)
"""The one account that stands for everybody who writes as a channel."""
ANONYMOUS_ADMIN = int(ChatID.ANONYMOUS_ADMIN)
"""The one account that stands for all anonymous admins of all groups."""
SERVICE = int(ChatID.SERVICE_CHAT)
"""Telegram itself, which also forwards a channel's posts to its discussion group."""

Attachment = Audio | Voice | VideoNote | Video | Document


@dataclass(frozen=True)
class Speaker:
    """Who wrote a message: a person, or an identity that many share."""

    id: int
    name: str
    locale: str | None
    shared: bool

    def actor(self, *, admin: bool) -> Actor:
        """Return the actor, with what the service says about their rights now."""
        return Actor("telegram", str(self.id), self.name, admin=admin, locale=self.locale, shared=self.shared)


def speaker(user: User | None, sender_chat: Chat | None = None) -> Speaker | None:
    """Return who speaks; None for bots and for Telegram itself."""
    if sender_chat is not None or user is None:
        shared = ANONYMOUS_ADMIN if user is not None and user.id == ANONYMOUS_ADMIN else CHANNEL_IDENTITY
        name = "" if sender_chat is None else sender_chat.effective_name or ""
        return None if user is not None and user.id == SERVICE else Speaker(shared, name, None, shared=True)
    if user.id in (ANONYMOUS_ADMIN, CHANNEL_IDENTITY):
        return Speaker(user.id, user.full_name, None, shared=True)
    if user.is_bot or user.id == SERVICE:
        return None
    return Speaker(user.id, user.full_name, user.language_code, shared=False)


def place(message: MaybeInaccessibleMessage) -> Place:
    """Return where a message stands. A forum topic is a place of its own with the settings of its group."""
    chat, topic = message.chat, topic_of(message)
    key = str(chat.id) if topic is None else f"{chat.id}:{topic}"
    about = str(message.message_id)
    if topic is not None:
        return Place("telegram", key, "thread", server=str(chat.id), message=about)
    if chat.type == ChatType.PRIVATE:
        return Place("telegram", key, "private", message=about)
    return Place("telegram", key, "channel" if chat.type == ChatType.CHANNEL else "group", message=about)


def topic_of(message: MaybeInaccessibleMessage) -> int | None:
    """Return the forum topic of a message; None outside of forums and in a forum's General topic."""
    if isinstance(message, InaccessibleMessage) or not isinstance(message, Message) or not message.is_topic_message:
        return None
    return message.message_thread_id


def address(chat: str) -> tuple[int, int | None]:
    """Read a place's chat: the chat and the topic in it."""
    number, _, topic = chat.partition(":")
    return int(number), int(topic) if topic else None


def posted(message: MaybeInaccessibleMessage) -> Posted:
    """Return the address of a message; message ids are unique in a chat, whatever the topic."""
    return Posted(str(message.chat.id), str(message.message_id))


def text_of(message: Message) -> str:
    """Return text or caption."""
    return message.text or message.caption or ""


def music_in(message: Message) -> Attachment | None:
    """Return the file of a message that may hold music."""
    return message.audio or message.voice or message.video_note or message.video or message.document


def sounds(message: Message) -> bool:
    """Return whether a message is plainly a recording, also where nobody said what it is for."""
    document = message.document
    return bool(message.audio or message.voice) or bool(document and (document.mime_type or "").startswith("audio/"))


def text_file_in(message: Message) -> Document | None:
    """Return the text file of a message."""
    document = message.document
    if document is None:
        return None
    plain = (document.mime_type or "").startswith("text/") or (document.file_name or "").lower().endswith(
        (".txt", ".md")
    )
    return document if plain else None


def link_in(message: Message) -> str | None:
    """Return the first link of a message, also one behind a word."""
    hidden = [e.url for e in (*message.entities, *message.caption_entities) if e.type == MessageEntityType.TEXT_LINK]
    return link(text_of(message)) or next((url for url in hidden if url), None)


def name_of(attachment: Attachment) -> str:
    """Return what a file is called."""
    title = attachment.title if isinstance(attachment, Audio) else None
    if not isinstance(attachment, Voice | VideoNote) and attachment.file_name:
        return attachment.file_name
    return title or {Voice: "voice.ogg", VideoNote: "video-note.mp4", Video: "video.mp4"}.get(type(attachment), "file")


def seconds_of(attachment: Attachment) -> float | None:
    """Return the length of a recording, as Telegram says."""
    return None if isinstance(attachment, Document) or attachment.duration is None else _seconds(attachment.duration)


def _seconds(duration: object) -> float:
    return float(duration.total_seconds()) if hasattr(duration, "total_seconds") else float(str(duration))
