"""What a bot may send, field by field, with Discord's limits (resources/message.mdx, components/reference.mdx).

A field that is not listed here is a violation; a value beyond a limit is refused as Discord does (50035).
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from tests.fakes.discord.world import ApiError

T = TypeVar("T")
CustomId = Annotated[str, Field(min_length=1, max_length=100)]


class UnknownField(Exception):
    """The bot sent a field that Discord does not document, or that this fake does not know."""


class Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# --- components -----------------------------------------------------------------------------------------------------


class Emoji(Wire):
    id: str | None = None
    name: str
    animated: bool = False


class Button(Wire):
    type: Literal[2]
    id: int | None = None
    style: Literal[1, 2, 3, 4, 5]
    label: str | None = Field(None, max_length=80)
    emoji: Emoji | None = None
    custom_id: CustomId | None = None
    url: str | None = Field(None, max_length=512)
    disabled: bool = False

    @model_validator(mode="after")
    def link_or_id(self) -> Button:
        assert (self.style == 5) == (self.url is not None) == (self.custom_id is None), "custom_id or url"
        assert self.label or self.emoji, "A button has a label or an emoji"
        return self


class Choice(Wire):
    label: str = Field(min_length=1, max_length=100)
    value: str = Field(min_length=1, max_length=100)
    description: str | None = Field(None, max_length=100)
    default: bool = False


class Select(Wire):
    type: Literal[3]
    id: int | None = None
    custom_id: CustomId
    options: list[Choice] = Field(min_length=1, max_length=25)
    placeholder: str | None = Field(None, max_length=150)
    min_values: int = Field(1, ge=0, le=25)
    max_values: int = Field(1, ge=1, le=25)
    disabled: bool = False
    required: bool = True


class Row(Wire):
    type: Literal[1]
    id: int | None = None
    components: list[Annotated[Button | Select, Field(discriminator="type")]] = Field(min_length=1, max_length=5)

    @model_validator(mode="after")
    def fits(self) -> Row:
        assert len(self.components) == 1 or all(one.type == 2 for one in self.components), "One select fills a row"
        return self


class TextInput(Wire):
    type: Literal[4]
    id: int | None = None
    custom_id: CustomId
    style: Literal[1, 2]
    label: str | None = Field(None, max_length=45)
    placeholder: str | None = Field(None, max_length=100)
    value: str | None = Field(None, max_length=4000)
    required: bool = True
    min_length: int | None = Field(None, ge=0, le=4000)
    max_length: int | None = Field(None, ge=1, le=4000)


class FileUpload(Wire):
    type: Literal[19]
    id: int | None = None
    custom_id: CustomId
    min_values: int = Field(1, ge=0, le=10)
    max_values: int = Field(1, ge=1, le=10)
    required: bool = True


class RadioGroup(Wire):
    type: Literal[21]
    id: int | None = None
    custom_id: CustomId
    options: list[Choice] = Field(min_length=2, max_length=10)
    required: bool = True


class Label(Wire):
    type: Literal[18]
    id: int | None = None
    label: str = Field(min_length=1, max_length=45)
    description: str | None = Field(None, max_length=100)
    component: Annotated[TextInput | Select | FileUpload | RadioGroup, Field(discriminator="type")]


class Modal(Wire):
    custom_id: CustomId
    title: str = Field(min_length=1, max_length=45)
    components: list[Label] = Field(min_length=1, max_length=5)


# --- messages -------------------------------------------------------------------------------------------------------


class EmbedFooter(Wire):
    text: str = Field(max_length=2048)


class EmbedMedia(Wire):
    url: str = Field(max_length=2048)


class EmbedAuthor(Wire):
    name: str = Field(max_length=256)
    url: str | None = None


class EmbedField(Wire):
    name: str = Field(min_length=1, max_length=256)
    value: str = Field(min_length=1, max_length=1024)
    inline: bool = False


class Embed(Wire):
    type: Literal["rich"] = "rich"
    title: str | None = Field(None, max_length=256)
    description: str | None = Field(None, max_length=4096)
    url: str | None = None
    color: int | None = Field(None, ge=0, le=0xFFFFFF)
    timestamp: str | None = None
    footer: EmbedFooter | None = None
    image: EmbedMedia | None = None
    thumbnail: EmbedMedia | None = None
    author: EmbedAuthor | None = None
    fields: list[EmbedField] = Field(default_factory=list, max_length=25)
    flags: int = 0

    @property
    def weight(self) -> int:
        """Characters that count towards the sum of 6000."""
        texts = [self.title, self.description, self.footer and self.footer.text, self.author and self.author.name]
        return sum(len(text or "") for text in texts) + sum(len(f.name) + len(f.value) for f in self.fields)


class AllowedMentions(Wire):
    parse: list[Literal["roles", "users", "everyone"]] = Field(default_factory=list)
    roles: list[Any] = Field(default_factory=list, max_length=100)
    users: list[Any] = Field(default_factory=list, max_length=100)
    replied_user: bool = False


class Reference(Wire):
    type: Literal[0] = 0
    message_id: Any
    channel_id: Any = None
    guild_id: Any = None
    fail_if_not_exists: bool = True


class Attachment(Wire):
    id: int | str
    filename: str | None = Field(None, min_length=1, max_length=260)
    description: str | None = Field(None, max_length=1024)
    title: str | None = None
    is_spoiler: bool = False


class Outgoing(Wire):
    """A message as it is created, edited, or answered with; None and absent differ only in edits."""

    content: str | None = Field(None, max_length=2000)
    embeds: list[Embed] | None = Field(None, max_length=10)
    components: list[Row] | None = Field(None, max_length=5)
    attachments: list[Attachment] | None = Field(None, max_length=10)
    allowed_mentions: AllowedMentions | None = None
    flags: int | None = None
    tts: Literal[False] = False

    @model_validator(mode="after")
    def within_the_sums(self) -> Outgoing:
        assert sum(embed.weight for embed in self.embeds or []) <= 6000, "Embed size exceeds maximum size of 6000"
        ids = [one.custom_id for row in self.components or [] for one in row.components if one.custom_id]
        assert len(ids) == len(set(ids)), "Component custom id cannot be duplicated"
        return self


class NewMessage(Outgoing):
    nonce: str | None = Field(None, max_length=25)
    enforce_nonce: bool = False
    message_reference: Reference | None = None


class Answer(Outgoing):
    """The body of a first answer: of a message, or empty for a deferred one."""


class Callback(Wire):
    """4 message, 5 deferred message, 6 deferred update, 7 update, 9 modal."""

    type: Literal[4, 5, 6, 7, 9]
    data: dict[str, Any] | None = None


class DirectChannel(Wire):
    recipient_id: int | str


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def read(shape: type[T], body: Any) -> T:
    """Check what the bot sent. Raises `UnknownField`, or `ApiError` 50035 for a value out of bounds."""
    key: Any = shape  # hashable, also where it is list[Command]
    try:
        found: T = _adapter(key).validate_python(body)
    except ValidationError as error:
        unknown = [item for item in error.errors() if item["type"] == "extra_forbidden"]
        if unknown:
            raise UnknownField(", ".join(".".join(map(str, item["loc"])) for item in unknown)) from None
        errors = {".".join(map(str, item["loc"])): item["msg"] for item in error.errors()}
        raise ApiError(400, 50035, "Invalid Form Body", errors) from None
    return found
