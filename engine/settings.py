"""What an owner can set about the engine. Plain data with defaults; `bot.config` reads it from TOML.

Travels to the worker as JSON, so it never holds a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter


@dataclass(frozen=True)
class MediaLimits:
    """What is accepted as music."""

    min_seconds: float = 3.0
    """Shorter pieces have no curve worth telling."""
    max_seconds: float = 900.0
    """Longest piece that is decoded."""
    max_bytes: int = 200_000_000
    """Largest file that is opened."""
    decode_timeout_s: float = 60.0
    """Wall-clock seconds for the decoding child."""
    links: bool = True
    """Whether links are fetched at all."""
    link_hosts: tuple[str, ...] = ()
    """Hosts for which yt-dlp's generic extractor may be used, beside the known sites."""


@dataclass(frozen=True)
class TextLimits:
    """What is accepted as a story."""

    max_chars: int = 20_000
    """Longest text."""


PROFILES: dict[str, dict[str, str]] = {
    "embedded": {"storyteller": "embedded", "describer": "rules", "composer": "embedded"},
    "full": {"storyteller": "transformers", "describer": "rules", "composer": "musicgen"},
}
"""The backends of a profile: "embedded" works with no download, "full" wants weights and a graphics card."""


@dataclass(frozen=True)
class StageSettings:
    """Which backend does which stage; "profile" leaves it to the profile. A backend's own settings are beside these."""

    profile: Literal["embedded", "full"] = "embedded"
    music_emotion: Literal["embedded"] = "embedded"
    text_emotion: Literal["embedded"] = "embedded"
    storyteller: Literal["profile", "embedded", "transformers", "openai"] = "profile"
    describer: Literal["profile", "rules", "t5"] = "profile"
    composer: Literal["profile", "embedded", "musicgen", "audiocraft"] = "profile"
    soundfont: str = ""
    """Path of a SoundFont (.sf2) for the embedded composer; empty: the one that comes with the installation."""
    sketches: Annotated[int, Field(ge=0, le=16)] = 1
    """How often the embedded composer, having read many drafts, plays one to itself and listens before it composes;
    0: it composes at once."""

    def backend(self, stage: Literal["storyteller", "describer", "composer"]) -> str:
        """Return the backend of a stage: the one that was set, or the profile's."""
        chosen: str = getattr(self, stage)
        return PROFILES[self.profile][stage] if chosen == "profile" else chosen


@dataclass(frozen=True)
class ModelSettings:
    """Where models of the hub are kept account of."""

    lock: str = "models.lock"
    """File that `tunetale models fetch` writes: commit and hashes, which every load must match."""


@dataclass(frozen=True)
class WritingSettings:
    """How a language model is asked for a story, whichever backend runs it."""

    candidates: Annotated[int, Field(ge=1, le=16)] = 4
    """Stories written at once, of which the best is kept, where the request does not say."""
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = 0.9
    """0 always takes the likeliest token."""
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    """Only the likeliest tokens that together have this probability may be drawn; 1: all."""
    rewrites: Annotated[int, Field(ge=0, le=10)] = 1
    """How often the worst paragraph of the best story is written anew."""


@dataclass(frozen=True)
class LlamaSettings:
    """How a model is loaded and run, when the storyteller is "transformers"."""

    model: str = "meta-llama/Llama-3.2-3B-Instruct"
    """Directory, or hub name of a model that has been fetched; any instruct model with a chat template."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    device: str = "auto"
    """As accelerate's device map: auto, cpu, cuda, cuda:1."""
    batching: Literal["auto", "continuous", "windowed"] = "auto"
    """How stories of concurrent jobs share the model; "auto": continuous where model and device support it."""
    batch: Annotated[int, Field(ge=1, le=256)] = 16
    """Candidates that are written at once."""
    wait_s: Annotated[float, Field(ge=0.0)] = 0.05
    """How long the first story of a windowed batch waits for company."""


@dataclass(frozen=True)
class ServerSettings:
    """Where the model is, when the storyteller is "openai": any server that speaks this protocol."""

    url: str = "http://127.0.0.1:11434/v1"
    """Base address; the default is Ollama's on this machine."""
    model: str = "llama3.2"
    """Name of the model as the server knows it."""
    api_key_file: str = ""
    """File that holds the key; empty: none."""
    api_key_variable: str = ""
    """Environment variable that holds the key; empty: none."""
    timeout_s: Annotated[float, Field(gt=0.0)] = 60.0
    """Longest silence of the server."""
    parallel: Annotated[int, Field(ge=1, le=64)] = 4
    """Stories that one job has written at once."""
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    """How often a refused, failed or broken-off answer is asked for again."""


@dataclass(frozen=True)
class ModerationSettings:
    """Words and phrases that no story of this installation may contain; a final * stands for any ending."""

    en: tuple[str, ...] = ()
    zh_tw: tuple[str, ...] = ()


@dataclass(frozen=True)
class T5Settings:
    """Which T5 describes, when it is the describer."""

    model: str = ""
    """Directory that `tunetale train describer` wrote, or hub name of a T5 that was trained on stories and captions."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    device: str = "auto"
    """As accelerate's device map: auto, cpu, cuda, cuda:1."""


@dataclass(frozen=True)
class MusicgenSettings:
    """How MusicGen is loaded and asked, when it is the composer, by transformers or by audiocraft."""

    model: str = "facebook/musicgen-small"
    """Directory or hub name: small, medium, large, their stereo versions, or one of your own."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    device: str = "auto"
    """As accelerate's device map: auto, cpu, cuda, cuda:1."""
    guidance: Annotated[float, Field(ge=1.0, le=20.0)] = 3.0
    """Classifier-free guidance: how strictly the prompt is followed; 1 switches it off."""
    temperature: Annotated[float, Field(gt=0.0, le=2.0)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 250
    """How many of the likeliest tokens may be drawn; 0: all."""
    window_s: Annotated[float, Field(ge=10.0, le=30.0)] = 30.0
    """Longest stretch that is made at once, what it continues included; the model was trained on 30 s."""
    context_s: Annotated[float, Field(ge=1.0, le=9.0)] = 8.0
    """How much of what was made before a window continues."""
    batch: Annotated[int, Field(ge=1, le=64)] = 8
    """Windows of concurrent jobs that are made together."""
    wait_s: Annotated[float, Field(ge=0.0)] = 0.05
    """How long the first window of a batch waits for company."""


@dataclass(frozen=True)
class AudiocraftSettings:
    """Where audiocraft's environment is; how it composes stands in `MusicgenSettings`."""

    environment: str = ""
    """Folder that `tunetale setup audiocraft` makes; empty: beside the environment in which this program runs."""


@dataclass(frozen=True)
class VaultSettings:
    """Whether files are sealed on the disk."""

    key_file: str = ""
    """File with an age key, which only its owner may read; empty: files lie in the clear."""


@dataclass(frozen=True)
class WorkerSettings:
    """How the worker process runs."""

    slots: int = 2
    """Jobs that one worker runs side by side."""
    threads: int = 1
    """Threads for tensor arithmetic in the worker; the jobs are what runs in parallel."""
    lease_s: float = 15.0
    """A worker that has not been heard of for so long has lost its jobs."""
    deadline_s: float = 300.0
    """A job that runs longer is ended."""
    start_timeout_s: float = 90.0
    """Seconds until a worker must have loaded its models."""
    grace_s: float = 20.0
    """Seconds that running jobs get to finish when the program stops."""


@dataclass(frozen=True)
class EngineSettings:
    """Everything the engine needs to know."""

    media: MediaLimits = field(default_factory=MediaLimits)
    text: TextLimits = field(default_factory=TextLimits)
    stages: StageSettings = field(default_factory=StageSettings)
    models: ModelSettings = field(default_factory=ModelSettings)
    writing: WritingSettings = field(default_factory=WritingSettings)
    llama: LlamaSettings = field(default_factory=LlamaSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    moderation: ModerationSettings = field(default_factory=ModerationSettings)
    t5: T5Settings = field(default_factory=T5Settings)
    musicgen: MusicgenSettings = field(default_factory=MusicgenSettings)
    audiocraft: AudiocraftSettings = field(default_factory=AudiocraftSettings)
    vault: VaultSettings = field(default_factory=VaultSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """Names of the environment variables that a worker needs although they hold a secret."""
        variable = self.server.api_key_variable
        return (variable,) if variable and self.stages.backend("storyteller") == "openai" else ()

    @property
    def hub_models(self) -> tuple[str, ...]:
        """Names of the models that the chosen backends load from the hub's cache, without those in a directory."""
        chosen = {
            "transformers": self.llama.model,
            "t5": self.t5.model,
            "musicgen": self.musicgen.model,
        }
        backends = [self.stages.backend(stage) for stage in ("storyteller", "describer", "composer")]
        names = [chosen[backend] for backend in backends if backend in chosen]
        return tuple(name for name in names if name and not Path(name).is_dir())

    @property
    def candidates(self) -> int:
        """Stories that are written where nobody says how many: one from fragments, which are chosen well already."""
        return 1 if self.stages.backend("storyteller") == "embedded" else self.writing.candidates


_SETTINGS: TypeAdapter[EngineSettings] = TypeAdapter(EngineSettings)


def settings_to_json(settings: EngineSettings) -> str:
    """Return the settings as JSON for a worker process."""
    return _SETTINGS.dump_json(settings).decode()


def settings_from_json(text: str) -> EngineSettings:
    """Read what `settings_to_json` wrote."""
    return _SETTINGS.validate_json(text)
