"""What each method of the Bot API does to the world, and what it says when it cannot. Knows no HTTP."""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telegram.constants import ReactionEmoji

from tests.fakes.telegram import calls, markup
from tests.fakes.telegram.calls import InlineKeyboard, Upload
from tests.fakes.telegram.errors import ApiError, bad
from tests.fakes.telegram.markup import Visible
from tests.fakes.telegram.uploads import Uploads
from tests.fakes.telegram.world import Chat, Media, Message, StoredFile, User, World

MAX_TEXT, MAX_CAPTION = 4096, 1024
"""UTF-16 units after entity parsing."""
MAX_DATA_BYTES = 64
MAX_DOWNLOAD = 20 << 20
QUERY_S = 150.0
"""Seconds for which a pressed button waits for the bot."""
DELETABLE_S = 48 * 3600.0
"""How long a message can be deleted by who is no admin (core.telegram.org/bots/api#deletemessage)."""


@dataclass
class Query:
    """A pressed button, from the press to the end of its spinner."""

    id: str
    user: User
    message: Message
    data: str
    at: float
    answered: bool = False
    text: str | None = None
    alert: bool = False


class Methods:
    """The methods, each named as in `calls` with underscores. `fault` records what no correct bot does."""

    def __init__(self, world: World, fault: Callable[[str], None], *, local: bool = False) -> None:
        self.world = world
        self.local = local
        self.queries: dict[str, Query] = {}
        self.commands: dict[str, dict[str, str]] = {}
        self.actions: list[tuple[int, str]] = []
        self._fault = fault
        self._disk = Path(tempfile.mkdtemp(prefix="fake-telegram-")) if local else Path()
        self._uploads = Uploads(world, fault, local=local)

    def perform(self, call: calls.Call, attached: Mapping[str, Upload]) -> Any:
        """Do what a call asks for and return its result as JSON. Raises `ApiError`."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(call).__name__).lower()
        method = getattr(self, name)
        return method(call, attached) if attached or "media" in type(call).model_fields else method(call)

    # --- about the bot --------------------------------------------------------------------------------------------

    def get_me(self, call: calls.GetMe) -> Any:
        flags = dict.fromkeys(
            ("can_read_all_group_messages", "supports_inline_queries", "can_connect_to_business"), False
        )
        return self.world.bot.json() | flags | {"can_join_groups": True}

    def set_my_commands(self, call: calls.SetMyCommands) -> bool:
        if len(call.commands) > 100:
            raise bad("BOT_COMMANDS_TOO_MUCH")
        for command in call.commands:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", command.command):
                raise bad("BOT_COMMAND_INVALID")
            if not 1 <= len(command.description) <= 256:
                raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
        if call.language_code is not None and not re.fullmatch(r"[a-z]{2}", call.language_code):
            raise bad("LANG_CODE_INVALID")
        self.commands[call.language_code or ""] = {c.command: c.description for c in call.commands}
        return True

    # --- sending --------------------------------------------------------------------------------------------------

    def send_message(self, call: calls.SendMessage) -> Any:
        return self._send(call, self._text(call.text, call.parse_mode)).json()

    def send_photo(self, call: calls.SendPhoto) -> Any:
        media = self._uploads.media("photo", call.photo)
        return self._send(call, self._caption(call.caption, call.parse_mode), media=media).json()

    def send_document(self, call: calls.SendDocument) -> Any:
        media = self._uploads.media("document", call.document)
        return self._send(call, self._caption(call.caption, call.parse_mode), media=media).json()

    def send_audio(self, call: calls.SendAudio) -> Any:
        cover = None if call.thumbnail is None else self._uploads.cover(call.thumbnail)
        media = self._uploads.media("audio", call.audio, call.title, call.performer, call.duration, cover)
        return self._send(call, self._caption(call.caption, call.parse_mode), media=media).json()

    def send_media_group(self, call: calls.SendMediaGroup, attached: Mapping[str, Upload]) -> Any:
        kinds = {item.type for item in call.media}
        if not 2 <= len(call.media) <= 10 or len(kinds) > 1:
            raise bad("there must be 2 to 10 media of one kind in an album")
        sent = []
        for item in call.media:
            message = calls.SendMessage(
                chat_id=call.chat_id,
                text="",
                message_thread_id=call.message_thread_id,
                reply_parameters=call.reply_parameters,
            )
            seen = self._caption(item.caption, item.parse_mode)
            sent.append(self._send(message, seen, media=self._uploads.described(item, attached)).json())
        return sent

    def send_chat_action(self, call: calls.SendChatAction) -> bool:
        self._writable(call.chat_id)
        self.actions.append((call.chat_id, call.action))
        return True

    # --- changing -------------------------------------------------------------------------------------------------

    def edit_message_text(self, call: calls.EditMessageText) -> Any:
        message = self._own(call.chat_id, call.message_id)
        if message.media is not None:
            raise bad("there is no text in the message to edit")
        return self._edit(message, self._text(call.text, call.parse_mode), None, call.reply_markup)

    def edit_message_caption(self, call: calls.EditMessageCaption) -> Any:
        message = self._own(call.chat_id, call.message_id)
        if message.media is None:
            raise bad("there is no caption in the message to edit")
        return self._edit(message, self._caption(call.caption, call.parse_mode), message.media, call.reply_markup)

    def edit_message_media(self, call: calls.EditMessageMedia, attached: Mapping[str, Upload]) -> Any:
        message = self._own(call.chat_id, call.message_id)
        media = self._uploads.described(call.media, attached)
        return self._edit(message, self._caption(call.media.caption, call.media.parse_mode), media, call.reply_markup)

    def edit_message_reply_markup(self, call: calls.EditMessageReplyMarkup) -> Any:
        message = self._own(call.chat_id, call.message_id)
        return self._edit(message, message.seen, message.media, call.reply_markup)

    def delete_message(self, call: calls.DeleteMessage) -> bool:
        chat = self._writable(call.chat_id)
        message = self.world.messages.get((chat.id, call.message_id))
        if message is None or message.deleted:
            raise bad("message to delete not found")
        if message.sender is not self.world.bot and chat.type != "private" and self.world.bot.id not in chat.admins():
            raise bad("message can't be deleted")
        if self.world.bot.id not in chat.admins() and self.world.now() - message.date > DELETABLE_S:
            raise bad("message can't be deleted for everyone")
        message.deleted = True
        self.world.changed()
        return True

    def delete_messages(self, call: calls.DeleteMessages) -> bool:
        for message_id in call.message_ids:
            if (message := self.world.messages.get((call.chat_id, message_id))) is not None:
                message.deleted = True
        self.world.changed()
        return True

    def set_message_reaction(self, call: calls.SetMessageReaction) -> bool:
        chat = self._writable(call.chat_id)
        message = self.world.messages.get((chat.id, call.message_id))
        if message is None or message.deleted:
            raise bad("message to react not found")
        wanted = [reaction.emoji for reaction in call.reaction or ()]
        if len(wanted) > 1:
            raise bad("REACTIONS_TOO_MANY")
        if wanted and wanted[0] not in set(ReactionEmoji):
            raise bad("REACTION_INVALID")
        message.reactions.pop(self.world.bot.id, None)
        if wanted:
            message.reactions[self.world.bot.id] = wanted[0]
        self.world.changed()
        return True

    # --- asking ---------------------------------------------------------------------------------------------------

    def get_chat(self, call: calls.GetChat) -> Any:
        more = {
            "accent_color_id": 0,
            "max_reaction_count": 11,
            "accepted_gift_types": dict.fromkeys(
                ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"),
                False,
            ),
        }
        return self._known(call.chat_id).json() | more

    def get_chat_member(self, call: calls.GetChatMember) -> Any:
        chat = self._writable(call.chat_id)
        if (user := self.world.users.get(call.user_id)) is None:
            raise bad("user not found")
        return self._member(chat, user)

    def get_chat_administrators(self, call: calls.GetChatAdministrators) -> Any:
        chat = self._writable(call.chat_id)
        if chat.type == "private":
            raise bad("there are no administrators in the private chat")
        admins = [self.world.users[user_id] for user_id in chat.admins()]
        return [self._member(chat, user) for user in admins if not user.is_bot]

    def answer_callback_query(self, call: calls.AnswerCallbackQuery) -> bool:
        query = self.queries.get(call.callback_query_id)
        if query is None or query.answered or self.world.now() - query.at > QUERY_S:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        if call.text is not None and len(call.text) > 200:
            raise bad("MESSAGE_TOO_LONG")
        query.answered, query.text, query.alert = True, call.text, call.show_alert
        self.world.changed()
        return True

    def get_file(self, call: calls.GetFile) -> Any:
        if (file := self.world.files.get(call.file_id)) is None:
            raise bad("wrong file_id or the file is temporarily unavailable")
        if len(file.data) > MAX_DOWNLOAD and not self.local:
            raise bad("file is too big")
        unique = {"file_id": file.file_id, "file_unique_id": f"u{file.file_id}"}
        return unique | {"file_size": len(file.data), "file_path": self._path(file)}

    def _path(self, file: StoredFile) -> str:
        """Return where a file is fetched; a local server says where it lies on this machine."""
        if not self.local:
            return file.path
        path = self._disk / file.file_id
        path.write_bytes(file.data)
        return str(path)

    def leave_chat(self, call: calls.LeaveChat) -> bool:
        self._writable(call.chat_id).statuses[self.world.bot.id] = "left"
        return True

    # --- inside ---------------------------------------------------------------------------------------------------

    def _known(self, chat_id: int) -> Chat:
        chat = self.world.chats.get(chat_id)
        if chat is None and chat_id in self.world.users:
            raise ApiError(403, "Forbidden: bot can't initiate conversation with a user")
        if chat is None:
            raise bad("chat not found")
        if chat.migrated_to is not None:
            raise bad("group chat was upgraded to a supergroup chat", migrate_to_chat_id=chat.migrated_to)
        return chat

    def _writable(self, chat_id: int) -> Chat:
        chat = self._known(chat_id)
        status = chat.status(self.world.bot.id)
        if chat.type == "private" and status == "kicked":
            raise ApiError(403, "Forbidden: bot was blocked by the user")
        if status == "kicked":
            raise ApiError(403, f"Forbidden: bot was kicked from the {chat.type} chat")
        if status == "left":
            raise ApiError(403, f"Forbidden: bot is not a member of the {chat.type} chat")
        return chat

    def _send(self, call: calls._Send, seen: Visible, media: Media | None = None) -> Message:
        chat = self._writable(call.chat_id)
        if chat.muted_bot:
            raise bad("not enough rights to send text messages to the chat")
        topic = call.message_thread_id
        if topic is not None and topic not in chat.topics:
            raise bad("message thread not found")
        reply = None
        if (wanted := call.reply_parameters) is not None:
            reply = self.world.messages.get((chat.id, wanted.message_id))
            if reply is None or reply.deleted:
                reply = None
                if not wanted.allow_sending_without_reply:
                    raise bad("message to be replied not found")
        buttons = self._buttons(call.reply_markup)
        notified = not call.disable_notification
        return self.world.add_message(
            chat, self.world.bot, seen, media=media, buttons=buttons, reply_to=reply, topic=topic, notified=notified
        )

    def _own(self, chat_id: int, message_id: int) -> Message:
        message = self.world.messages.get((self._writable(chat_id).id, message_id))
        if message is None or message.deleted:
            raise bad("message to edit not found")
        if message.sender is not self.world.bot:
            raise bad("message can't be edited")
        return message

    def _edit(self, message: Message, seen: Visible, media: Media | None, keyboard: InlineKeyboard | None) -> Any:
        buttons = self._buttons(keyboard)
        if (message.seen, message.media, message.buttons) == (seen, media, buttons):
            raise bad(
                "message is not modified: specified new message content and reply markup are exactly the same as a "
                "current content and reply markup of the message"
            )
        message.seen, message.media, message.buttons = seen, media, buttons
        message.edit_date = int(self.world.now())
        self.world.changed()
        return message.json()

    def _text(self, text: str, mode: str | None) -> Visible:
        seen = self._parsed(text, mode)
        if not seen.text:
            raise bad("message text is empty")
        if markup.utf16_units(seen.text) > MAX_TEXT:
            raise bad("message is too long")
        return seen

    def _caption(self, text: str | None, mode: str | None) -> Visible:
        seen = self._parsed(text or "", mode)
        if markup.utf16_units(seen.text) > MAX_CAPTION:
            raise bad("message caption is too long")
        return seen

    def _parsed(self, text: str, mode: str | None) -> Visible:
        try:
            return markup.plain(text) if mode is None else markup.parse(text)
        except markup.CannotParse as error:
            raise bad(f"can't parse entities: {error}") from None

    def _buttons(self, keyboard: InlineKeyboard | None) -> list[list[calls.Button]]:
        rows = [] if keyboard is None else keyboard.inline_keyboard
        for button in (button for row in rows for button in row):
            if not button.text.strip():
                raise bad("text buttons are unallowed in the inline keyboard")
            if (button.callback_data is None) == (button.url is None):
                self._fault(f"button {button.text!r} does nothing")
            if not len((button.callback_data or "x").encode()) <= MAX_DATA_BYTES:
                raise bad("BUTTON_DATA_INVALID")
        if any(len(row) > 8 for row in rows) or sum(map(len, rows)) > 100:
            self._fault("more than 8 buttons in a row or 100 in all")
        return rows

    def _member(self, chat: Chat, user: User) -> Any:
        status = chat.status(user.id)
        values: dict[str, Any] = {"status": status, "user": user.json()}
        if status in ("creator", "administrator"):
            values["is_anonymous"] = user.id in chat.anonymous
        if status == "administrator":
            values |= dict.fromkeys(
                (
                    "can_be_edited",
                    "can_manage_chat",
                    "can_delete_messages",
                    "can_manage_video_chats",
                    "can_restrict_members",
                    "can_promote_members",
                    "can_change_info",
                    "can_invite_users",
                    "can_post_stories",
                    "can_edit_stories",
                    "can_delete_stories",
                ),
                True,
            )
        if status == "kicked":
            values["until_date"] = 0
        return values


def new_query_id() -> str:
    return str(secrets.randbits(62))
