"""Telegram as people see it: who is where, and the messages on their screens. Knows no HTTP and no limits."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.telegram.calls import Button
from tests.fakes.telegram.markup import Visible, utf16_units

Status = Literal["creator", "administrator", "member", "left", "kicked"]
MediaKind = Literal["audio", "voice", "video_note", "video", "document", "photo"]

ANONYMOUS_ADMIN = 1087968824
"""The one account behind which all anonymous admins of all groups write."""
CHANNEL_IDENTITY = 136817688
"""The one account that stands for whoever writes as a channel."""
GENERAL_TOPIC = 1


@dataclass
class User:
    id: int
    name: str
    username: str | None = None
    language: str | None = None
    is_bot: bool = False

    def json(self) -> dict[str, Any]:
        values: dict[str, Any] = {"id": self.id, "is_bot": self.is_bot, "first_name": self.name}
        if self.username is not None:
            values["username"] = self.username
        if self.language is not None:
            values["language_code"] = self.language
        return values


@dataclass
class Chat:
    id: int
    type: Literal["private", "group", "supergroup", "channel"]
    name: str
    statuses: dict[int, Status] = field(default_factory=dict)
    anonymous: set[int] = field(default_factory=set)
    topics: set[int] = field(default_factory=set)
    muted_bot: bool = False
    """Whether the bot may not write here."""
    migrated_to: int | None = None

    def status(self, user_id: int) -> Status:
        return self.statuses.get(user_id, "left")

    def admins(self) -> list[int]:
        return [user_id for user_id, status in self.statuses.items() if status in ("creator", "administrator")]

    def json(self) -> dict[str, Any]:
        named = {"first_name": self.name} if self.type == "private" else {"title": self.name}
        return {"id": self.id, "type": self.type, **named} | ({"is_forum": True} if self.topics else {})


@dataclass
class StoredFile:
    """A file on the service; `file_id` is what bots know it by."""

    file_id: str
    name: str
    type: str
    data: bytes

    @property
    def path(self) -> str:
        return f"files/{self.file_id}/{self.name}"


@dataclass
class Media:
    """What a message shows beside its text."""

    kind: MediaKind
    file: StoredFile
    title: str | None = None
    performer: str | None = None
    duration: int | None = None
    cover: StoredFile | None = None

    def json(self) -> Any:
        values: dict[str, Any] = {
            "file_id": self.file.file_id,
            "file_unique_id": f"u{self.file.file_id}",
            "file_size": len(self.file.data),
        }
        match self.kind:
            case "photo":
                return [values | {"width": 90, "height": 60}, values | {"width": 900, "height": 600}]
            case "video_note":
                return values | {"length": 240, "duration": self.duration or 1}
            case "voice":
                return values | {"duration": self.duration or 1, "mime_type": self.file.type}
            case "video":
                values |= {"width": 640, "height": 360}
        values |= {"file_name": self.file.name, "mime_type": self.file.type}
        if self.kind != "document":
            values |= {"duration": self.duration or 1}
        if self.kind == "audio":
            values |= {k: v for k, v in (("title", self.title), ("performer", self.performer)) if v is not None}
        return values


@dataclass
class Message:
    """A message as it stands on everybody's screen now."""

    chat: Chat
    id: int
    sender: User
    date: int
    seen: Visible
    media: Media | None = None
    buttons: list[list[Button]] = field(default_factory=list)
    reply_to: Message | None = None
    topic: int | None = None
    sender_chat: Chat | None = None
    edit_date: int | None = None
    deleted: bool = False
    reactions: dict[int, str] = field(default_factory=dict)
    notified: bool = True
    """Whether it made a sound; edits never do."""

    @property
    def text(self) -> str:
        """Text or caption."""
        return self.seen.text

    def labels(self) -> list[str]:
        return [button.text for row in self.buttons for button in row]

    def button(self, label: str) -> Button:
        found = [button for row in self.buttons for button in row if label in button.text]
        assert found, f"no button {label!r} among {self.labels()} under {self.text!r}"
        return found[0]

    def json(self, *, replies: bool = True) -> dict[str, Any]:
        values: dict[str, Any] = {"message_id": self.id, "date": self.date, "chat": self.chat.json()}
        values["from"] = self.sender.json()
        if self.sender_chat is not None:
            values["sender_chat"] = self.sender_chat.json()
        if self.edit_date is not None:
            values["edit_date"] = self.edit_date
        if self.topic is not None:
            values |= {"message_thread_id": self.topic, "is_topic_message": True}
        if replies and self.reply_to is not None and not self.reply_to.deleted:
            values["reply_to_message"] = self.reply_to.json(replies=False)
        if self.media is not None:
            values[self.media.kind] = self.media.json()
        if self.seen.text:
            values["text" if self.media is None else "caption"] = self.seen.text
        if found := entities(self.seen):
            values["entities" if self.media is None else "caption_entities"] = found
        if self.buttons:
            values["reply_markup"] = {
                "inline_keyboard": [[b.model_dump(exclude_none=True) for b in row] for row in self.buttons]
            }
        return values


def entities(seen: Visible) -> list[dict[str, Any]]:
    """Return the entities of a text: those that it was sent with, commands, and links."""
    text = seen.text
    found = [(m.start(), m.end(), {"type": "bot_command"}) for m in re.finditer(r"(?<![\w/])/\w+(?:@\w+)?", text)]
    found += [(m.start(), m.end(), {"type": "url"}) for m in re.finditer(r"https?://\S+", text)]
    for entity in seen.entities:
        url = {} if entity.url is None else {"url": entity.url}
        found.append((entity.offset, entity.offset + entity.length, {"type": entity.type, **url}))
    return [
        {**values, "offset": utf16_units(text[:start]), "length": utf16_units(text[start:end])}
        for start, end, values in sorted(found, key=lambda item: item[:2])
    ]


class World:
    """All users, chats, messages and files; `changed` is called after whatever somebody can see."""

    def __init__(self, now: Callable[[], float], changed: Callable[[], None]) -> None:
        self.now = now
        self.changed = changed
        self.users: dict[int, User] = {}
        self.chats: dict[int, Chat] = {}
        self.messages: dict[tuple[int, int], Message] = {}
        self.files: dict[str, StoredFile] = {}
        self.bot = self.add_user("TuneTale", username="tunetale_bot", is_bot=True)
        self._ids = itertools.count(1)
        self.anonymous_admin = User(ANONYMOUS_ADMIN, "Group", "GroupAnonymousBot", is_bot=True)
        self.channel_identity = User(CHANNEL_IDENTITY, "Channel", "Channel_Bot", is_bot=True)

    def add_user(
        self, name: str, *, username: str | None = None, language: str | None = None, is_bot: bool = False
    ) -> User:
        user = User(1_000_001 + len(self.users), name, username, language, is_bot)
        self.users[user.id] = user
        return user

    def add_file(self, name: str, type: str, data: bytes) -> StoredFile:
        file = StoredFile(f"F{len(self.files) + 1}", name, type, data)
        self.files[file.file_id] = file
        return file

    def add_message(self, chat: Chat, sender: User, seen: Visible, **more: Any) -> Message:
        message = Message(chat, next(self._ids), sender, int(self.now()), seen, **more)
        self.messages[chat.id, message.id] = message
        self.changed()
        return message

    def in_chat(self, chat: Chat) -> Iterator[Message]:
        """Return the messages that stand in a chat, oldest first."""
        return (m for (chat_id, _), m in self.messages.items() if chat_id == chat.id and not m.deleted)
