"""The words between the core and a chat platform: who asks where, what is answered, what a platform must be able to do.

Frozen data and one protocol. Knows no platform library, no markup, no store; ids are the platform's own, as text.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from engine.errors import Transient, TuneTaleError
from engine.jobs import Job, JobState, Language, Platform

# --- who asks where --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Actor:
    """The person who did something, as the platform vouches for them at that very moment."""

    platform: Platform
    person: str
    name: str = ""
    """What to call them; only ever shown, never stored."""
    admin: bool = False
    """Whether they may administer the place they speak in: asked of the platform at use, never remembered."""
    locale: str | None = None
    """The platform's language tag, such as `en-GB`, `zh-TW`, `zh-hant`."""
    roles: frozenset[str] = frozenset()
    """Ids of the roles they have there (Discord)."""
    shared: bool = False
    """An identity that many people share (an anonymous admin, a channel): it has no language, data or vote."""


@dataclass(frozen=True)
class Place:
    """Where something was done."""

    platform: Platform
    chat: str
    kind: Literal["private", "group", "channel", "thread"]
    server: str | None = None
    """The Discord guild; None elsewhere. Settings belong to the server where there is one, otherwise to the chat."""
    can_post: bool = True
    """Whether a result can be posted there later, without the command's own token."""
    message: str | None = None
    """The message that asked, which the answer replies to where the platform can."""


# --- what comes with a command ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Upload:
    """A file that lies on the platform and can be fetched."""

    name: str
    """As the person calls it; only ever shown."""
    size: int | None
    """Bytes, as the platform says; checked again while fetching."""
    fetch: Callable[[Path], Awaitable[None]]
    """Writes the file at a path, streaming; raises `UserError` or `Transient`. Called at most once."""
    most_bytes: int | None = None
    """The largest file that the platform lets a bot fetch (Telegram's getFile: 20 MB); None: no limit of its own."""
    duration_s: float | None = None
    """Length in seconds, where the platform knows it."""


# --- what is answered ------------------------------------------------------------------------------------------

Style = Literal["plain", "heading", "quote", "small", "code", "chat"]


@dataclass(frozen=True)
class Text:
    """A block of text, never markup. `quote` holds the words of a person or a model, `chat` the id of a chat."""

    text: str
    style: Style = "plain"


@dataclass(frozen=True)
class Audio:
    """Music that plays where it is shown."""

    path: Path
    name: str
    """File name for people, safe and with an ending."""
    title: str
    performer: str
    duration_s: float
    cover: Path | None = None
    """A PNG."""


@dataclass(frozen=True)
class Picture:
    """A PNG with what it shows in words, which a platform without alternative texts shows as text."""

    path: Path
    name: str
    alt: str


@dataclass(frozen=True)
class Document:
    """A file to keep: the read-along, the result as JSON, an export. Has either a path or data."""

    name: str
    path: Path | None = None
    data: bytes | None = None


Part = Text | Audio | Picture | Document


@dataclass(frozen=True)
class Button:
    """Something to press; `token` comes back through `bot.press.press` (at most 64 bytes, see `bot.tokens`)."""

    label: str
    token: str
    danger: bool = False


@dataclass(frozen=True)
class Reply:
    """What to say. A platform splits, escapes (`bot.markup`) and sends it; it adds nothing of its own."""

    parts: tuple[Part, ...] = ()
    buttons: tuple[tuple[Button, ...], ...] = ()
    """Rows of at most five."""
    private: bool = False
    """For the eyes of the actor only: ephemeral, a direct message, or an answer to the press."""
    replaces: bool = False
    """Takes the place of the message whose button was pressed."""
    job: int | None = None
    """A request was accepted: once posted, tell `Desk.posted`, and this message follows the job."""
    pair: int | None = None
    """People can rate this message: Discord seeds 0️⃣–5️⃣, Telegram adds the row `bot.tokens.rating_row(pair)`."""
    erase: tuple[Posted, ...] = ()
    """Messages of ours to delete, as far as the platform lets us."""
    language: Language = "en"
    """The language it is in, for what a platform must add itself."""


@dataclass(frozen=True)
class Posted:
    """A message of ours on a platform."""

    chat: str
    message: str

    def __str__(self) -> str:
        return f"{self.chat}/{self.message}"

    @classmethod
    def read(cls, text: str) -> Posted:
        """Read what `str` wrote."""
        chat, _, message = text.rpartition("/")
        return cls(chat, message)


@dataclass(frozen=True)
class Status:
    """Where a job stands, for people."""

    job: int
    kind: str
    state: JobState
    position: int | None = None
    """Which in turn it is (1: next), while it waits."""
    eta_s: float | None = None
    """Seconds until its answer, from what past jobs took; None before there are any."""
    stage: str | None = None
    """One of `engine.report.STAGES`, while it runs."""
    percent: int | None = None
    """Of that stage."""
    elapsed_s: float = 0.0
    """Since it was asked for."""


# --- what a platform does --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Letter:
    """A reply on its way to a place, outside any command. Sending it again must not show it twice."""

    chat: str
    reply: Reply
    nonce: str
    """16 characters, the same at each attempt; append `-<n>` for the n-th message of a long one."""
    reply_to: str | None = None
    """The message that asked, to reply to where the platform can."""
    progress: Posted | None = None
    """The message that followed the job: turn it into (the beginning of) the answer, or take it away."""
    mention: str | None = None
    """The person to ping; None when the answer goes to their private chat."""
    sent: Mapping[int, str] = field(default_factory=dict)
    """What an earlier attempt got out: index of the message -> its id. Do not send these again."""


Note = Callable[[int, str], Awaitable[None]]
"""Called by `Messenger.post` after each of a letter's messages with its index and id; on the disk when it returns."""


class Messenger(Protocol):
    """What the core asks of a platform: small, because everything else is decided before."""

    @property
    def platform(self) -> Platform:
        """The name under which its requests are submitted."""
        ...

    async def post(self, letter: Letter, note: Note) -> Posted:
        """Send a letter and return the message that carries its buttons (and ratings).

        Raises `Gone` when nobody will ever get it there, `RetryLater` or another `Transient` when it may work later.
        """
        ...

    async def edit(self, posted: Posted, reply: Reply) -> None:
        """Change a progress message. Raises `Gone` when it is no more, `RetryLater` when the platform says so."""
        ...

    async def private_chat(self, person: str) -> str:
        """Return the id of the private chat with a person. Raises `Gone` when the platform does not allow it."""
        ...

    def most_bytes(self, chat: str) -> int:
        """Return the largest file that can be sent to a chat."""
        ...

    def lag_s(self) -> float | None:
        """Return how far the platform's events are behind, in seconds; None while there is no connection."""
        ...


class Gone(TuneTaleError):
    """The message, chat or person is not there any more, or we are not allowed there."""

    code = "gone"
    fault = "outside"


class RetryLater(Transient):
    """The platform asks for a pause of `retry_in_s` seconds; nothing of this kind is sent to it before."""

    code = "retry_later"

    def __init__(self, message: str, retry_in_s: float) -> None:
        super().__init__(message)
        self.retry_in_s = retry_in_s


__all__ = [
    "Actor",
    "Audio",
    "Button",
    "Document",
    "Gone",
    "Job",
    "Letter",
    "Messenger",
    "Note",
    "Part",
    "Picture",
    "Place",
    "Posted",
    "Reply",
    "RetryLater",
    "Status",
    "Text",
    "Upload",
]
