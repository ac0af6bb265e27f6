"""The data of a job, from request to result, and its versioned JSON. Knows no queue, no process and no model.

The JSON of results is the product's public contract: fields are added, never renamed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version as _package_version
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from engine.errors import Fault

Language = Literal["en", "zh-TW"]
AudioFormat = Literal["ogg", "mp3", "wav", "flac"]

SCHEMA = 1
VERSION = _package_version("tunetale")


# --- who asks --------------------------------------------------------------------------------------------------

Platform = Literal["console", "discord", "telegram", "house"]
"""Where requests come from; "house" is TuneTale itself, which makes plain stories for the blind test."""


@dataclass(frozen=True)
class Asker:
    """Where a request came from and where its answer goes; ids are the platform's own, as text."""

    platform: Platform
    person: str
    chat: str
    reply_to: str | None = None


# --- what is asked for -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileSource:
    """A file on this machine; `name` is what the person called it and is only ever shown."""

    path: str
    name: str
    type: Literal["file"] = "file"


@dataclass(frozen=True)
class LinkSource:
    """An http(s) link."""

    url: str
    type: Literal["link"] = "link"


Source = Annotated[FileSource | LinkSource, Field(discriminator="type")]


@dataclass(frozen=True)
class StoryRequest:
    """Music in, story out. `words` None means the default for the length of the music; `seed` None the input's own;
    `candidates` None what the storyteller writes by default."""

    source: Source
    language: Language = "en"
    words: int | None = None
    seed: int | None = None
    candidates: int | None = None
    title: str | None = None
    max_seconds: float | None = None
    """Longest music that is accepted where it was asked, if that is less than `MediaLimits.max_seconds`."""
    plain: bool = False
    """Write with flat emotion, whatever the music feels like: a control for listening tests."""
    kind: Literal["story"] = "story"


@dataclass(frozen=True)
class ComposeRequest:
    """Story in, music out. `sketches` says how often a composer that can sketch listens before it composes; 0: it
    composes at once, None: as the settings say. `max_bytes` is the largest audio file where it was asked; None: any."""

    text: str
    seconds: float = 60.0
    seed: int | None = None
    format: AudioFormat = "ogg"
    sketches: int | None = None
    max_bytes: int | None = None
    kind: Literal["compose"] = "compose"


@dataclass(frozen=True)
class EmotionRequest:
    """Music in, curve and beats out."""

    source: Source
    kind: Literal["emotion"] = "emotion"


@dataclass(frozen=True)
class TextEmotionRequest:
    """Texts in, valence, arousal and dominance out. With `split` each text is cut into sentences, else kept whole."""

    texts: tuple[str, ...]
    split: bool = True
    kind: Literal["text_emotion"] = "text_emotion"


Request = Annotated[StoryRequest | ComposeRequest | EmotionRequest | TextEmotionRequest, Field(discriminator="kind")]


# --- what comes back -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MusicFacts:
    """The piece of music that was given."""

    title: str
    duration_s: float
    sha256: str


@dataclass(frozen=True)
class CurveData:
    """An emotion curve as plain numbers."""

    rate_hz: float
    start_s: float
    valence: tuple[float, ...]
    arousal: tuple[float, ...]


@dataclass(frozen=True)
class PlainBeat:
    """A beat of a piece of music."""

    start_s: float
    end_s: float
    valence: float
    arousal: float
    word: str


@dataclass(frozen=True)
class StoryBeat(PlainBeat):
    """A beat and how the paragraph that belongs to it reads, on the music's scale."""

    paragraph: int
    story_valence: float
    story_arousal: float


@dataclass(frozen=True)
class MusicBeat(PlainBeat):
    """A beat that was asked for and how the music was heard there."""

    heard_valence: float
    heard_arousal: float


@dataclass(frozen=True)
class Alignment:
    """How well a pair fits: mean distance on the plane, Pearson r over beats, share of worse random stories."""

    distance: float
    valence_r: float | None
    arousal_r: float | None
    better_than_shuffled: float
    by: str


@dataclass(frozen=True)
class StoryText:
    """Title and paragraphs."""

    title: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Sentence:
    """One sentence with its coordinates in [-1, 1]; None for an empty line."""

    text: str
    valence: float | None
    arousal: float | None
    dominance: float | None = None


@dataclass(frozen=True)
class StorySentences:
    """The story that was given, sentence by sentence."""

    sentences: tuple[Sentence, ...]


@dataclass(frozen=True)
class StoryFiles:
    """Names inside the job's folder; absolute paths once delivered."""

    story: str | None = None
    card: str | None = None
    readalong: str | None = None
    json: str | None = None


@dataclass(frozen=True)
class MusicFiles:
    """Names inside the job's folder; absolute paths once delivered."""

    audio: str | None = None
    midi: str | None = None
    card: str | None = None
    json: str | None = None


@dataclass(frozen=True)
class StoryResult:
    """What `story` gives."""

    language: Language
    seed: int
    models: dict[str, str]
    music: MusicFacts
    curve: CurveData
    beats: tuple[StoryBeat, ...]
    story: StoryText
    alignment: Alignment
    card_alt: str
    files: StoryFiles = field(default_factory=StoryFiles)
    elapsed_s: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kind: Literal["story"] = "story"
    schema: int = SCHEMA
    version: str = VERSION


@dataclass(frozen=True)
class ComposeResult:
    """What `compose` gives; `curve` is the music as heard by the music model."""

    seed: int
    models: dict[str, str]
    story: StorySentences
    description: str
    beats: tuple[MusicBeat, ...]
    curve: CurveData
    alignment: Alignment
    card_alt: str
    files: MusicFiles = field(default_factory=MusicFiles)
    elapsed_s: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kind: Literal["music"] = "music"
    schema: int = SCHEMA
    version: str = VERSION


@dataclass(frozen=True)
class EmotionResult:
    """What `emotion SOURCE` gives."""

    models: dict[str, str]
    music: MusicFacts
    curve: CurveData
    beats: tuple[PlainBeat, ...]
    elapsed_s: dict[str, float] = field(default_factory=dict)
    kind: Literal["emotion"] = "emotion"
    schema: int = SCHEMA
    version: str = VERSION


@dataclass(frozen=True)
class TextEmotionResult:
    """What `emotion --text` gives: one row per sentence, or per text when not split."""

    models: dict[str, str]
    sentences: tuple[Sentence, ...]
    elapsed_s: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kind: Literal["emotion"] = "emotion"
    schema: int = SCHEMA
    version: str = VERSION


Result = StoryResult | ComposeResult | EmotionResult | TextEmotionResult

_REQUEST: TypeAdapter[Request] = TypeAdapter(Request)
_RESULT: TypeAdapter[Result] = TypeAdapter(Result)


def request_to_json(request: Request) -> str:
    """Return the request as JSON, as kept in the store."""
    return _REQUEST.dump_json(request).decode()


def request_from_json(text: str) -> Request:
    """Read a request; raises `pydantic.ValidationError` on anything that is not one."""
    return _REQUEST.validate_json(text)


def result_to_json(result: Result) -> str:
    """Return the result as one line of JSON without NaN."""
    return _RESULT.dump_json(result).decode()


def result_from_json(text: str) -> Result:
    """Read a result; raises `pydantic.ValidationError` on anything that is not one."""
    return _RESULT.validate_json(text)


# --- how far it is ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """Where a running job stands."""

    stage: str
    fraction: float


JobState = Literal["queued", "running", "done", "dead", "cancelled"]


@dataclass(frozen=True)
class Job:
    """A job as the queue knows it; times are seconds since the epoch, UTC."""

    id: int
    asker: Asker
    request: Request
    state: JobState
    attempt: int
    created: float
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True)
class Lease:
    """The right to work on a job, until `until`; every change of the job's state must show `token`."""

    token: str
    job: Job
    until: float
    deadline: float
    folder: str


@dataclass(frozen=True)
class Answer:
    """What a finished job has to say to its asker: either a result and the folder of its files, or an error.

    `nonce` is the same each time the answer is given out, `attempt` counts those times from 1.
    """

    id: int
    job_id: int
    asker: Asker
    nonce: str
    attempt: int
    result: Result | None = None
    folder: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    fault: Fault | None = None
    incident: str | None = None
