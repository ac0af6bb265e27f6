"""What people do in Telegram: write, send files, press buttons, react, leave. Each act makes its real update."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fakes.telegram.markup import Visible, clean
from tests.fakes.telegram.methods import Query, new_query_id
from tests.fakes.telegram.server import FakeTelegram
from tests.fakes.telegram.world import Chat, Media, MediaKind, Message, Status, User

_TYPES: dict[MediaKind, tuple[str, str]] = {
    "audio": ("song.mp3", "audio/mpeg"),
    "voice": ("voice.oga", "audio/ogg"),
    "video_note": ("note.mp4", "video/mp4"),
    "video": ("clip.mp4", "video/mp4"),
    "document": ("file.bin", "application/octet-stream"),
    "photo": ("photo.jpg", "image/jpeg"),
}


@dataclass(frozen=True)
class Person:
    """Somebody with a Telegram client."""

    service: FakeTelegram
    user: User

    @property
    def private(self) -> Chat:
        """The chat of this person with the bot; made, as on a press of Start, when it is new."""
        world = self.service.world
        members: dict[int, Status] = {self.user.id: "member", world.bot.id: "member"}
        return world.chats.setdefault(self.user.id, Chat(self.user.id, "private", self.user.name, members))

    def says(
        self,
        chat: Chat,
        text: str,
        *,
        reply_to: Message | None = None,
        topic: int | None = None,
        anonymously: bool = False,
        as_channel: Chat | None = None,
    ) -> Message:
        """Write a message."""
        return self._post(chat, text, None, reply_to, topic, anonymously, as_channel)

    def sends(
        self,
        chat: Chat,
        kind: MediaKind,
        data: bytes,
        *,
        caption: str = "",
        name: str | None = None,
        duration: int | None = None,
        title: str | None = None,
        reply_to: Message | None = None,
        topic: int | None = None,
        anonymously: bool = False,
    ) -> Message:
        """Send a file, recording or picture."""
        default, type = _TYPES[kind]
        file = self.service.world.add_file(name or default, type, data)
        media = Media(kind, file, title=title, duration=duration)
        return self._post(chat, caption, media, reply_to, topic, anonymously, None)

    def edits(self, message: Message, text: str) -> None:
        """Change an own message."""
        message.seen = Visible(clean(text).strip())
        message.edit_date = int(self.service.now())
        self._push("edited_message", message)

    def deletes(self, message: Message) -> None:
        """Take a message away; bots are not told."""
        message.deleted = True
        self.service.world.changed()

    def presses(self, message: Message, label: str) -> Query:
        """Press the button whose label contains `label`."""
        return self.presses_data(message, message.button(label).callback_data or "")

    def presses_data(self, message: Message, data: str) -> Query:
        """Press a button with any data, as a changed client can."""
        query = Query(new_query_id(), self.user, message, data, self.service.now())
        self.service.methods.queries[query.id] = query
        self.service.push(
            "callback_query",
            {
                "id": query.id,
                "from": self.user.json(),
                "message": message.json(),
                "chat_instance": str(message.chat.id),
                "data": data,
            },
        )
        return query

    def reacts(self, message: Message, emoji: str | None) -> None:
        """Set this person's reaction, or take it back; bots hear of it where they are admin."""
        old = message.reactions.pop(self.user.id, None)
        if emoji is not None:
            message.reactions[self.user.id] = emoji
        if self.service.world.bot.id in message.chat.admins():
            self.service.push(
                "message_reaction",
                {
                    "chat": message.chat.json(),
                    "message_id": message.id,
                    "user": self.user.json(),
                    "date": int(self.service.now()),
                    "old_reaction": _reaction(old),
                    "new_reaction": _reaction(emoji),
                },
            )

    def upgrades(self, chat: Chat) -> Chat:
        """Make a supergroup of a group: the same people under a new number; bots are told in both."""
        world = self.service.world
        new = Chat(-1_001_000_000_000 - len(world.chats), "supergroup", chat.name, dict(chat.statuses))
        world.chats[new.id] = new
        chat.migrated_to = new.id
        for where, note in ((chat, {"migrate_to_chat_id": new.id}), (new, {"migrate_from_chat_id": chat.id})):
            message = world.add_message(where, self.user, Visible(""))
            self.service.push("message", message.json() | note)
        return new

    def blocks_the_bot(self) -> None:
        """Block the bot in the private chat."""
        change_bot(self.service, self.private, "kicked", self.user)

    def _post(
        self,
        chat: Chat,
        text: str,
        media: Media | None,
        reply_to: Message | None,
        topic: int | None,
        anonymously: bool,
        as_channel: Chat | None,
    ) -> Message:
        world = self.service.world
        sender = self.user
        sender_chat = None
        if anonymously:
            sender, sender_chat = world.anonymous_admin, chat
        elif as_channel is not None:
            sender, sender_chat = world.channel_identity, as_channel
        message = world.add_message(
            chat,
            sender,
            Visible(clean(text).strip()),
            media=media,
            reply_to=reply_to,
            topic=topic,
            sender_chat=sender_chat,
        )
        self._push("message", message)
        return message

    def _push(self, kind: str, message: Message) -> None:
        if self._reaches_the_bot(message):
            self.service.push(kind, message.json())

    def _reaches_the_bot(self, message: Message) -> bool:
        """Apply privacy mode: in a group the bot gets commands and replies to itself, and everything as an admin."""
        bot = self.service.world.bot
        status = message.chat.status(bot.id)
        if status in ("left", "kicked"):
            return False
        if message.chat.type == "private" or status == "administrator":
            return True
        return message.text.startswith("/") or (message.reply_to is not None and message.reply_to.sender is bot)


def change_bot(service: FakeTelegram, chat: Chat, status: Status, by: User) -> None:
    """Add, promote, or remove the bot; it is told."""
    bot = service.world.bot
    old = service.methods._member(chat, bot)
    chat.statuses[bot.id] = status
    service.push(
        "my_chat_member",
        {
            "chat": chat.json(),
            "from": by.json(),
            "date": int(service.now()),
            "old_chat_member": old,
            "new_chat_member": service.methods._member(chat, bot),
        },
    )


def person(service: FakeTelegram, name: str, *, language: str | None = "en", username: str | None = None) -> Person:
    """Add somebody."""
    return Person(service, service.world.add_user(name, username=username, language=language))


def group(
    service: FakeTelegram,
    name: str,
    *people: Person,
    admin: Person | None = None,
    topics: tuple[int, ...] = (),
    bot_is_admin: bool = False,
) -> Chat:
    """Add a supergroup with the bot in it."""
    world = service.world
    statuses: dict[int, Status] = {p.user.id: "member" for p in people}
    if admin is not None:
        statuses[admin.user.id] = "creator"
    statuses[world.bot.id] = "administrator" if bot_is_admin else "member"
    chat = Chat(-1_001_000_000_000 - len(world.chats), "supergroup", name, statuses, topics=set(topics))
    world.chats[chat.id] = chat
    return chat


def _reaction(emoji: str | None) -> list[dict[str, str]]:
    return [] if emoji is None else [{"type": "emoji", "emoji": emoji}]
