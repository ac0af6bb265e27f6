"""The small decisions: what a refusal means, who acts where, what a form says, how fast requests go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import discord
import pytest

from bot.contract import Document, Gone, Reply, RetryLater, Text, Upload
from bot.discord.files import link_in
from bot.discord.modals import Filled, StoryModal, filled
from bot.discord.pace import Pace
from bot.discord.sheets import MAX_FILES, MAX_REQUEST, sheets_of
from bot.discord.slash_admin import ids
from bot.discord.trouble import meaning
from engine.errors import Transient, UserError
from tests.bot.discord.conftest import Bot, Script, replying
from tests.bot.discord.test_answers import words
from tests.fakes.discord.people import NotOffered, Person
from tests.fakes.discord.server import Server
from tests.fakes.discord.world import BOT_PERMISSIONS, Channel, Guild


def http(status: int, code: int = 0, headers: dict[str, str] | None = None) -> discord.HTTPException:
    kinds = {403: discord.Forbidden, 404: discord.NotFound}
    kind = kinds.get(status, discord.DiscordServerError if status >= 500 else discord.HTTPException)
    return kind(Mock(status=status, reason="", headers=headers or {}), {"code": code, "message": ""})


@pytest.mark.parametrize(
    ("error", "kind", "pause_s"),
    [
        (http(404, 10008), Gone, None),
        (http(403, 50001), Gone, None),
        (http(401, 50027), Gone, None),
        (http(400, 50083), Gone, None),
        (http(401), RetryLater, 60.0),
        (http(429, headers={"Retry-After": "7"}), RetryLater, 7.0),
        (http(429), RetryLater, 5.0),
        (discord.RateLimited(200.5), RetryLater, 200.5),
        (http(503), Transient, None),
        (aiohttp.ClientConnectionError(), Transient, None),
        (TimeoutError(), Transient, None),
        (OSError(), Transient, None),
    ],
)
def test_meanings(error: Exception, kind: type[Exception], pause_s: float | None) -> None:
    found = meaning(error)
    assert type(found) is kind
    if isinstance(found, RetryLater):
        assert found.retry_in_s == pause_s


def test_our_own_mistakes_are_not_explained_away() -> None:
    for error in (http(400, 50035), ValueError("boom")):
        with pytest.raises(type(error)):
            meaning(error)


def test_sheets_share_files_within_the_limits(tmp_path: Path) -> None:
    small = [Document(f"{i}.txt", data=b"x") for i in range(MAX_FILES + 1)]
    sheets = sheets_of(Reply((Text("Hello"), *small)))
    assert [len(sheet.files) for sheet in sheets] == [MAX_FILES, 1]
    assert [sheet.content for sheet in sheets] == ["Hello", ""]
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(MAX_REQUEST // 2)
    assert [len(sheet.files) for sheet in sheets_of(Reply((Document("a", big), Document("b", big))))] == [1, 1]


def test_a_mention_stands_first_and_is_counted() -> None:
    sheets = sheets_of(Reply((Text("word " * 1000),)), "<@123> ")
    assert sheets[0].content.startswith("<@123> word") and all(len(sheet.content) <= 2000 for sheet in sheets)
    assert sheets_of(Reply((Document("a.txt", data=b"x"),)), "<@123> ")[0].content == "<@123>"


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("listen: https://example.org/a.mp3.", "https://example.org/a.mp3"),
        ("(<http://example.org/x?y=1>)", "http://example.org/x?y=1"),
        ("ftp://example.org no link", None),
    ],
)
def test_links_in_messages(text: str, link: str | None) -> None:
    assert link_in(text) == link


def test_mentions_become_ids() -> None:
    assert ids("<#12> <@34>, <@!56> <@&78> x") == "12 34, 56 78 x"


async def test_a_form_needs_no_memory() -> None:
    modal = StoryModal("en", seconds=12.5, seed=4_000_000_000, format="wav")
    sent = modal.to_dict()
    fields = [label["component"]["custom_id"] for label in sent["components"]]
    answer = [{"type": 18, "component": {"custom_id": name, "value": f"{name}."}} for name in fields]
    data = {"custom_id": sent["custom_id"], "components": answer}
    assert filled(data) == Filled("text.more.", 12.5, 4_000_000_000, "wav")


@pytest.mark.parametrize("id", ["", "compose", "compose:1.2.3::", "compose:::exe:", "other:::", "compose:x::"])
def test_a_forged_form_is_no_form(id: str) -> None:
    assert filled({"custom_id": id, "components": []}) is None
    assert filled({"custom_id": "compose:::nothing", "components": [{}]}) == Filled("", None, None, None)


async def test_a_long_story_by_form(server: Server, bot: Bot, mei: Person, hall: Channel, script: Script) -> None:
    seen: list[Any] = []
    script("commands.compose", replying(words("Composing"), seen))
    async with bot():
        asked = mei.command(hall, "compose", seconds=30.0)
        await server.until(lambda: asked.answered == "modal")
    async with bot():  # the form was open while the bot was restarted
        mei.submit(asked, text="x" * 4000, more="y" * 4000)
        await server.until(lambda: mei.reads(hall) == "Composing")
    assert seen[0][2] == ("x" * 4000 + "y" * 4000,) and seen[0][3]["seconds"] == 30.0


async def test_files_are_fetched_as_they_are(
    server: Server, bot: Bot, mei: Person, hall: Channel, script: Script, tmp_path: Path
) -> None:
    fetched: list[Any] = []

    async def case(desk: Any, actor: Any, place: Any, source: Upload, **options: Any) -> Reply:
        try:
            await source.fetch(tmp_path / "song")
            fetched.append((source.name, source.size, (tmp_path / "song").read_bytes()))
        except (UserError, Transient) as error:
            fetched.append(error.code)
        return words("Thanks")

    script("commands.story", case)
    good = server.world.file("song.ogg", b"0123456789" * 20_000, content_type="audio/ogg")
    larger = server.world.file("more.ogg", b"x" * 1000, claimed_size=999)
    gone = server.world.file("gone.ogg", b"x")
    del server.world.files[gone.id]
    async with bot():
        for file in (good, larger, gone):
            asked = mei.command(hall, "story", audio=file)
            await server.until(lambda asked=asked: asked.answered and not asked.thinking)  # type: ignore[misc]
    assert fetched == [("song.ogg", 200_000, b"0123456789" * 20_000), "too_large", "file_gone"]


async def test_menus_find_what_is_in_a_message(
    server: Server, bot: Bot, mei: Person, hall: Channel, script: Script
) -> None:
    seen: list[Any] = []
    script("commands.story", replying(words("Story"), seen))
    script("commands.compose", replying(words("Music"), seen))
    song = server.world.file("song.mp3", b"x")
    text = server.world.file("story.txt", b"Once", content_type="text/plain; charset=utf-8")
    with_song = mei.say(hall, "see https://example.org", song)
    with_link = mei.say(hall, "see https://example.org")
    with_text = mei.say(hall, "", text)
    empty = mei.say(hall, "")
    async with bot():
        for menu, message in (
            ("Story from this audio", with_song),
            ("Story from this audio", with_link),
            ("Story from this audio", empty),
            ("Compose from this message", with_link),
            ("Compose from this message", with_text),
            ("Compose from this message", empty),
        ):
            asked = mei.menu(menu, message)
            await server.until(lambda asked=asked: asked.answered and not asked.thinking)  # type: ignore[misc]
    given = [call[2][0] for call in seen]
    assert [one.name if isinstance(one, Upload) else one for one in given] == [
        "song.mp3",
        "https://example.org",
        "see https://example.org",
        "story.txt",
    ]
    assert [call[1].message for call in seen] == [str(m.id) for m in (with_song, with_link, with_link, with_text)]
    assert "no recording and no link" in mei.reads(hall) and "no text in this message" in mei.reads(hall)


async def test_places(server: Server, bot: Bot, mei: Person, school: Guild, hall: Channel, script: Script) -> None:
    seen: list[Any] = []
    script("commands.story", replying(words("x"), seen))
    thread = server.world.thread(hall, "thread")
    silent = server.world.channel(school, "silent")
    silent.bot_permissions = type(BOT_PERMISSIONS)(BOT_PERMISSIONS.value, send_messages=False)
    mei.user.installed = True
    elsewhere = server.world.channel(server.world.guild("Elsewhere", [mei.user], bot_in=False), "lobby")
    friends = server.world.group("friends", [mei.user, server.world.user("Wei")])
    stranger = Person(server, server.world.user("Stranger"))
    async with bot():
        for channel in (hall, thread, silent, server.world.dm(mei.user), elsewhere, friends):
            asked = mei.command(channel, "story", link="https://example.org")
            await server.until(lambda asked=asked: asked.answered == "message")  # type: ignore[misc]
        with pytest.raises(NotOffered):
            stranger.command(friends, "story", link="https://example.org")
    found = [(place.kind, place.server is not None, place.can_post) for _, place, _, _ in seen]
    assert found == [
        ("group", True, True),
        ("thread", True, True),
        ("group", True, False),
        ("private", False, True),
        ("group", True, False),
        ("group", False, False),
    ]


async def test_requests_keep_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    time = [100.0]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        time[0] += seconds + 0.05  # woken late, as on a busy loop

    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: time[0])
    monkeypatch.setattr("bot.discord.pace.asyncio.sleep", sleep)
    pace = Pace(per_s=10.0)
    for _ in range(3):
        await pace.turn()
    assert slept == pytest.approx([0.1, 0.1])  # being late is never made up for
    time[0] = 200.0
    for _ in range(2):
        await pace.turn()
    assert slept == pytest.approx([0.1, 0.1, 0.1])  # nor is a quiet moment saved up


async def test_answers_to_interactions_are_not_held_up() -> None:
    turns: list[str] = []

    class Counting(Pace):
        async def turn(self) -> None:
            turns.append("x")

    pace = Counting()
    before = pace.trace().on_request_start[0]
    for path in ("/api/v10/interactions/1/t/callback", "/api/v10/webhooks/1/t/messages/@original", "/attachments/1"):
        await before(Mock(), Mock(), Mock(url=Mock(path=path)))
    assert turns == []
    await before(Mock(), Mock(), Mock(url=Mock(path="/api/v10/channels/1/messages")))
    assert turns == ["x"]
