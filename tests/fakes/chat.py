"""A chat platform in memory, and a desk on a real queue and store whose jobs a test finishes by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bot.config import Config
from bot.contract import Actor, Gone, Letter, Note, Place, Posted, Reply, Text
from bot.deliver import Postman, deliver
from bot.desk import Desk
from bot.follow import Follower, Pace
from bot.tokens import read
from db.store import Store
from engine.errors import TuneTaleError
from engine.jobs import (
    Alignment,
    ComposeResult,
    CurveData,
    Lease,
    MusicBeat,
    MusicFacts,
    MusicFiles,
    Platform,
    Request,
    Result,
    Sentence,
    StoryBeat,
    StoryFiles,
    StoryRequest,
    StoryResult,
    StorySentences,
    StoryText,
)
from engine.policy import Policy
from engine.queue import Queue
from tests.fakes.clock import FakeClock

ANNA = Actor("telegram", "1", "Anna")
MEI = Actor("telegram", "2", "Mei", locale="zh-hant")
BEN = Actor("telegram", "4", "Ben")
BOSS = Actor("telegram", "3", "Boss", admin=True)
OWNER = Actor("telegram", "9", "Owner")
GROUP = Place("telegram", "-100", "group")
HOME = Place("telegram", "1", "private")
CONFIG = replace(Config(), limits=replace(Config().limits, owners=("telegram:9",)))
PAGES = 3
"""Messages of each letter."""


@dataclass
class FakeMessenger:
    """Keeps what it was given; `broken` chats and `troubles` (raised once each, in order) are up to the test."""

    platform: Platform = "telegram"
    broken: set[str] = field(default_factory=set)
    troubles: list[Exception] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    edits: list[tuple[Posted, Reply]] = field(default_factory=list)
    shown: list[Posted] = field(default_factory=list)
    """Every message of every letter, PAGES each."""
    calls: int = 0
    largest: int = 50_000_000

    async def post(self, letter: Letter, note: Note) -> Posted:
        self._check(letter.chat)
        self.letters.append(letter)
        for index in range(PAGES):
            self.shown.append(Posted(letter.chat, f"{1000 + len(self.shown)}"))
            await note(index, self.shown[-1].message)
        return self.shown[-1]

    async def edit(self, posted: Posted, reply: Reply) -> None:
        self._check(posted.chat)
        self.edits.append((posted, reply))

    async def private_chat(self, person: str) -> str:
        self._check(person)
        return person

    def most_bytes(self, chat: str) -> int:
        return self.largest

    def lag_s(self) -> float | None:
        return 0.25

    def _check(self, chat: str) -> None:
        self.calls += 1
        if self.troubles:
            raise self.troubles.pop(0)
        if chat in self.broken:
            raise Gone(f"chat {chat} is gone")


@dataclass(frozen=True)
class Room:
    """A desk with everything around it."""

    desk: Desk
    queue: Queue
    clock: FakeClock
    messenger: FakeMessenger
    follower: Follower
    postman: Postman
    folder: Path

    async def claim(self) -> Lease:
        lease = await self.queue.claim()
        assert lease is not None
        return lease

    async def finish(self) -> int:
        """Do the next job as an engine would, and return it."""
        lease = await self.claim()
        await self.queue.finish(lease.token, make(lease))
        return lease.job.id

    async def fail(self, error: TuneTaleError) -> int:
        lease = await self.claim()
        await self.queue.fail(lease.token, error)
        return lease.job.id

    async def deliver(self) -> int:
        return await deliver(self.queue, self.postman)


@asynccontextmanager
async def room(folder: Path, config: Config = CONFIG, policy: Policy | None = None) -> AsyncIterator[Room]:
    clock, messenger = FakeClock(), FakeMessenger()
    async with await Store.open(folder / "store.sqlite") as store:
        queue = Queue(store, folder / "files", clock=clock, policy=policy)
        (folder / "files").mkdir(exist_ok=True)
        await queue.recover()
        desk = Desk(queue, queue.ledger, config, clock)
        await desk.restore()
        pace = Pace(clock)
        follower = Follower(desk, messenger, pace)
        yield Room(desk, queue, clock, messenger, follower, Postman(desk, messenger, follower, pace), folder / "files")


def make(lease: Lease) -> Result:
    """Write a small result into the job's folder."""
    return make_in(Path(lease.folder), lease.job.request)


def make_in(folder: Path, request: Request) -> Result:
    """Write a small result into a folder."""
    (folder / "card.png").write_bytes(b"png")
    curve = CurveData(2.0, 0.25, (0.1, 0.2), (0.3, 0.4))
    alignment = Alignment(0.1, 0.5, None, 0.9, "text-1")
    models = {"music_emotion": "listener-1", "storyteller": "teller-1"}
    seed = 7 if getattr(request, "seed", None) is None else request.seed  # type: ignore[union-attr]
    assert seed is not None
    if isinstance(request, StoryRequest):
        (folder / "readalong.vtt").write_text("WEBVTT\n")
        return StoryResult(
            request.language, seed, models, MusicFacts("Song", 61.0, "ab"), curve,
            (StoryBeat(0.0, 61.0, 0.1, 0.3, "calm", 0, 0.2, 0.3),),
            StoryText("The *Lamp*", ("It was @everyone’s lamp.",)), alignment, "A card.",
            StoryFiles(card="card.png", readalong="readalong.vtt"), {"listen": 1.5, "write": 0.5},
        )  # fmt: skip
    (folder / "music.mp3").write_bytes(b"mp3")
    return ComposeResult(
        seed, models, StorySentences((Sentence("It was calm.", 0.1, 0.2),)), "slow strings",
        (MusicBeat(0.0, 60.0, 0.1, 0.3, "calm", 0.2, 0.3),), curve, alignment, "A card.",
        MusicFiles(audio="music.mp3", card="card.png"), {"compose": 2.0},
    )  # fmt: skip


def texts(reply: Reply) -> str:
    """Return all that a reply says."""
    return "\n".join(part.text for part in reply.parts if isinstance(part, Text))


def button(reply: Reply, verb: str) -> str:
    """Return the token of the one button with a verb."""
    found = [each.token for row in reply.buttons for each in row if read(each.token).verb == verb]  # type: ignore[union-attr]
    assert len(found) == 1, found
    return found[0]


def file_of(data: bytes) -> Callable[[Path], Awaitable[None]]:
    """Return a fetch that writes `data`."""

    async def fetch(path: Path) -> None:
        path.write_bytes(data)

    return fetch
