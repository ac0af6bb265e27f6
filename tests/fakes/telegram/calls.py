"""The Bot API methods that a bot may call here, field by field (Bot API 10). An unknown or mistyped field is a fault.

Only what the product is meant to use is listed: to use more, add it here together with what the service does with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

Html = Literal["HTML"] | None


class Part(BaseModel):
    """A JSON object, exactly."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


class Upload(Part):
    """A file in the body of a call."""

    name: str
    data: bytes
    type: str


class Button(Part):
    text: str
    callback_data: str | None = None
    url: str | None = None
    style: Literal["danger", "success", "primary"] | None = None


class InlineKeyboard(Part):
    inline_keyboard: list[list[Button]]


class ReplyParameters(Part):
    message_id: int
    allow_sending_without_reply: bool = False


class LinkPreviewOptions(Part):
    is_disabled: bool


class Media(Part):
    type: Literal["photo", "audio", "document"]
    media: str
    caption: str | None = None
    parse_mode: Html = None
    title: str | None = None
    performer: str | None = None
    duration: int | None = None
    thumbnail: str | None = None


class ReactionEmoji(Part):
    type: Literal["emoji"]
    emoji: str


class Command(Part):
    command: str
    description: str


class Scope(Part):
    type: Literal["default", "all_private_chats", "all_group_chats", "all_chat_administrators"]


class Call(Part):
    """One call of a method."""


class _ToChat(Call):
    chat_id: int


class _Send(_ToChat):
    message_thread_id: int | None = None
    reply_parameters: ReplyParameters | None = None
    reply_markup: InlineKeyboard | None = None
    disable_notification: bool = False
    protect_content: bool = False


class _Captioned(_Send):
    caption: str | None = None
    parse_mode: Html = None


class GetMe(Call): ...


class GetUpdates(Call):
    offset: int | None = None
    limit: int = 100
    timeout: int = 0
    allowed_updates: list[str] | None = None


class SetWebhook(Call):
    url: str
    secret_token: str | None = None
    allowed_updates: list[str] | None = None
    max_connections: int = 40
    drop_pending_updates: bool = False


class DeleteWebhook(Call):
    drop_pending_updates: bool = False


class SetMyCommands(Call):
    commands: list[Command]
    scope: Scope | None = None
    language_code: str | None = None


class SendMessage(_Send):
    text: str
    parse_mode: Html = None
    link_preview_options: LinkPreviewOptions | None = None


class SendPhoto(_Captioned):
    photo: Upload | str


class SendDocument(_Captioned):
    document: Upload | str
    disable_content_type_detection: bool = False


class SendAudio(_Captioned):
    audio: Upload | str
    title: str | None = None
    performer: str | None = None
    duration: int | None = None
    thumbnail: Upload | None = None


class SendMediaGroup(_ToChat):
    media: list[Media]
    message_thread_id: int | None = None
    reply_parameters: ReplyParameters | None = None
    disable_notification: bool = False
    protect_content: bool = False


class EditMessageText(_ToChat):
    message_id: int
    text: str
    parse_mode: Html = None
    link_preview_options: LinkPreviewOptions | None = None
    reply_markup: InlineKeyboard | None = None


class EditMessageCaption(_ToChat):
    message_id: int
    caption: str | None = None
    parse_mode: Html = None
    reply_markup: InlineKeyboard | None = None


class EditMessageMedia(_ToChat):
    message_id: int
    media: Media
    reply_markup: InlineKeyboard | None = None


class EditMessageReplyMarkup(_ToChat):
    message_id: int
    reply_markup: InlineKeyboard | None = None


class DeleteMessage(_ToChat):
    message_id: int


class DeleteMessages(_ToChat):
    message_ids: list[int]


class SendChatAction(_ToChat):
    action: Literal["typing", "upload_photo", "upload_document", "record_voice", "upload_voice"]
    message_thread_id: int | None = None


class SetMessageReaction(_ToChat):
    message_id: int
    reaction: list[ReactionEmoji] | None = None
    is_big: bool = False


class GetChat(_ToChat): ...


class GetChatMember(_ToChat):
    user_id: int


class GetChatAdministrators(_ToChat): ...


class LeaveChat(_ToChat): ...


class AnswerCallbackQuery(Call):
    callback_query_id: str
    text: str | None = None
    show_alert: bool = False
    cache_time: int = 0


class GetFile(Call):
    file_id: str


def _models(base: type[Call]) -> dict[str, type[Call]]:
    found = {}
    for model in base.__subclasses__():
        if not model.__name__.startswith("_"):
            found[model.__name__[0].lower() + model.__name__[1:]] = model
        found |= _models(model)
    return found


CALLS = _models(Call)
"""Every method that is served, by its name in the address."""


def read_call(method: str, form: Mapping[str, Any]) -> tuple[Call, dict[str, Upload]]:
    """Read a call from its form, with the files that are attached under names of their own.

    Raises `pydantic.ValidationError`, KeyError for an unknown method, `json.JSONDecodeError` for a field.
    """
    model = CALLS[method]
    values: dict[str, Any] = {}
    attached: dict[str, Upload] = {}
    for name, value in form.items():
        if isinstance(value, Upload):
            target = values if name in model.model_fields else attached
            target[name] = value
        else:
            values[name] = value if _is_text(model, name) else json.loads(value)
    for name, value in list(values.items()):
        if isinstance(value, str) and (found := re.fullmatch(r"attach://(.+)", value)) and found[1] in attached:
            values[name] = attached.pop(found[1])
    return model.model_validate(values), attached


def _is_text(model: type[Call], name: str) -> bool:
    field = model.model_fields.get(name)
    if field is None:
        return True
    options = get_args(field.annotation) or (field.annotation,)
    return (
        str in options
        or Upload in options
        or any(isinstance(literal, str) for option in options for literal in get_args(option))
    )
