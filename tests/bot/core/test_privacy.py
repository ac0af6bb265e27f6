"""What is kept about a person, all of it, and that nothing is left of it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bot import admin, commands, privacy
from bot.contract import Actor, Document, Place, Posted, Reply, Upload
from bot.press import press
from bot.upkeep import DAY_S, HOUR_S, tidy
from db import about, people
from db.migrate import migrate, shipped
from engine.errors import UserError
from tests.fakes.chat import ANNA, BEN, BOSS, CONFIG, GROUP, HOME, Room, button, file_of, room, texts

KEPT = {"audit", "campaign"}
"""Tables that keep a row and forget who it was; their column becomes null."""


def document(reply: Reply) -> dict[str, Any]:
    (found,) = [part for part in reply.parts if isinstance(part, Document)]
    assert found.data is not None
    tables: dict[str, Any] = json.loads(found.data)["tables"]
    return tables


async def live(at: Room) -> None:
    """Leave traces of Anna: a story with its recording and answer, a waiting request, a language, a vote."""
    song = Upload("song.mp3", 4, file_of(b"song"))
    reply = await commands.story(at.desk, ANNA, GROUP, song)
    await at.desk.posted(reply.job, Posted("-100", "5"), reply.language)
    await at.finish()
    await at.deliver()
    await commands.compose(at.desk, BEN, GROUP, "Ben's own calm day.")
    await at.finish()
    await commands.compose(at.desk, ANNA, HOME, "A secret calm day.")
    await commands.language(at.desk, ANNA, HOME, "en")
    await press(at.desk, ANNA, GROUP, "rate:2:4")
    await press(at.desk, BEN, GROUP, "rate:1:3")


async def test_my_data_is_all_of_mine_and_only_mine(here: Room) -> None:
    assert texts(await privacy.mydata(here.desk, ANNA, HOME)) == "Nothing is kept about you."
    await live(here)
    reply = await privacy.mydata(here.desk, ANNA, HOME)
    tables = document(reply)
    assert reply.private and {"person", "job", "pair", "outbox", "upload", "vote", "chat", "sent_part"} <= set(tables)
    assert [row["args"]["kind"] for row in tables["job"]] == ["story", "compose"]
    assert tables["job"][0]["result"]["story"]["title"] == "The *Lamp*"
    assert tables["person"][0]["language"] == "en"
    assert [row["score"] for row in tables["vote"]] == [4]  # not Ben's vote on her pair
    assert "Ben" not in json.dumps(tables) and {row["key"] for row in tables["chat"]} == {"-100", "1"}


async def test_forgetting_asks_first_and_leaves_nothing(here: Room) -> None:
    await live(here)
    running = await here.claim()
    sure = await privacy.forgetme(here.desk, ANNA, HOME)
    assert "cannot be undone" in texts(sure)
    assert texts(await press(here.desk, ANNA, HOME, button(sure, "yes"))) == "Everything about you is deleted."
    assert await here.desk.ledger.read(lambda conn: people.find(conn, "telegram", ANNA.person)) is None
    assert "Nothing is kept" in texts(await privacy.mydata(here.desk, ANNA, HOME))
    assert list(here.desk.inbox.folder.iterdir()) == [] and not (here.folder / "1-1").exists()
    assert not Path(running.folder).exists()  # what ran lost its lease and its folder
    assert await here.queue.heartbeat([running.token]) == frozenset()
    for word in ("secret", "song.mp3", "Lamp"):
        assert word not in await here.desk.ledger.read(everything)
    assert document(await privacy.mydata(here.desk, BEN, HOME))["job"]  # Ben keeps what is his


def everything(conn: sqlite3.Connection) -> str:
    names = [name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return repr([conn.execute(f'SELECT * FROM "{name}"').fetchall() for name in names])


async def test_forgetting_admins_keeps_what_they_did(here: Room) -> None:

    await admin.pause(here.desk, BOSS, GROUP)
    sure = await privacy.forgetme(here.desk, BOSS, GROUP)
    await press(here.desk, BOSS, GROUP, button(sure, "yes"))
    assert "pause" in texts(await admin.show(here.desk, BOSS, GROUP))


@pytest.fixture
def conn() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.execute("PRAGMA foreign_keys = ON")
    migrate(conn, Path("store"), shipped())
    return conn


def test_every_table_that_names_a_person_lets_go_of_them(conn: sqlite3.Connection) -> None:
    """By the schema alone, so that a table added later cannot be left out."""
    named = about.person_columns(conn)
    assert {"job", "pair", "turn", "upload", "audit", "vote"} <= set(named)
    for table, columns in named.items():
        rules = {row[3]: row[6] for row in conn.execute(f"PRAGMA foreign_key_list({table})") if row[2] == "person"}
        for column in columns:
            assert rules[column] == ("SET NULL" if table in KEPT else "CASCADE"), (table, column)


def test_every_table_says_what_forgetting_does() -> None:
    for migration in shipped():
        for before in migration.sql.split("CREATE TABLE ")[:-1]:
            comment = before[before.rindex("\n\n") :]
            names_nobody = "holds for the whole program" in comment or "set for the whole program" in comment
            assert names_nobody or "forgetme" in comment, comment


def test_no_column_that_could_name_a_person_escapes_the_foreign_keys(conn: sqlite3.Connection) -> None:
    for table in about.links(conn):
        columns = [row[1] for row in conn.execute(f"PRAGMA table_info({table})")]
        linked = about.person_columns(conn).get(table, [])
        for column in columns:
            if "person" in column or column in ("rater", "maker", "author", "user_id"):
                assert column in linked, (table, column)


async def test_retention_lets_go_of_what_is_old(here: Room) -> None:
    await live(here)
    here.clock.advance(200 * DAY_S)
    assert await tidy(here.desk) == 0
    here.clock.advance(166 * DAY_S)
    assert await tidy(here.desk) > 0
    tables = document(await privacy.mydata(here.desk, ANNA, HOME))
    assert [job["state"] for job in tables["job"]] == ["queued"]  # what waits is not old
    assert "upload" not in tables and list(here.desk.inbox.folder.iterdir()) == []


async def sent(at: Room, actor: Actor, place: Place, data: bytes = b"song") -> Path:
    """Send a recording; return where it lies."""
    before = set(at.desk.inbox.folder.glob("*"))
    await commands.story(at.desk, actor, place, Upload("song.mp3", len(data), file_of(data)))
    (path,) = set(at.desk.inbox.folder.glob("*")) - before or {at.desk.inbox.folder / sha256(data).hexdigest()}
    return path


async def test_a_recording_is_kept_under_its_content_once_for_all(here: Room) -> None:
    first, second = await sent(here, ANNA, GROUP), await sent(here, BEN, GROUP)
    assert first == second and first.name == sha256(b"song").hexdigest() and first.read_bytes() == b"song"
    sure = await privacy.forgetme(here.desk, ANNA, HOME)
    await press(here.desk, ANNA, HOME, button(sure, "yes"))
    assert first.exists(), "it is Ben's as well"
    sure = await privacy.forgetme(here.desk, BEN, GROUP)
    await press(here.desk, BEN, GROUP, button(sure, "yes"))
    assert not first.exists()


@pytest.mark.parametrize(("place", "word"), [(GROUP, "is kept for 365 days"), (HOME, "is not kept for rating")])
async def test_the_answer_says_what_becomes_of_the_recording_and_so_it_is(here: Room, place: Place, word: str) -> None:
    path = await sent(here, ANNA, place)
    job = await here.finish()
    await here.deliver()
    assert word in texts(here.messenger.letters[-1].reply)
    here.clock.advance(0.9 * HOUR_S)
    await tidy(here.desk)
    assert path.exists(), "for “Again”"
    here.clock.advance(0.2 * HOUR_S)
    await tidy(here.desk)
    assert path.exists() == (place is GROUP)
    again = texts(await commands.again(here.desk, ANNA, place, job))
    assert ("no longer kept" in again) == (place is HOME)


async def test_a_published_pair_keeps_its_recording(here: Room) -> None:
    path = await sent(here, ANNA, HOME)
    await here.finish()
    await here.desk.ledger.write(lambda conn: conn.execute("INSERT INTO publication VALUES (1, 0)"))
    here.clock.advance(2 * HOUR_S)
    await tidy(here.desk)
    assert path.exists()
    here.clock.advance(366 * DAY_S)
    await tidy(here.desk)
    assert not path.exists()


async def test_after_a_failure_the_recording_goes_as_well(here: Room) -> None:
    path = await sent(here, ANNA, GROUP)
    await here.fail(UserError("It is silent.", code="silent"))
    await here.deliver()
    assert "is not kept for rating" in texts(here.messenger.letters[-1].reply)
    here.clock.advance(1.1 * HOUR_S)
    await tidy(here.desk)
    assert not path.exists()


async def test_a_deleted_pair_takes_its_recording_along(here: Room) -> None:
    path = await sent(here, ANNA, GROUP)
    await here.finish()
    await here.queue.take_away(1)
    here.clock.advance(1.1 * HOUR_S)
    await tidy(here.desk)
    assert not path.exists()


async def test_beyond_the_quota_the_oldest_files_go_first_and_no_live_one(tmp_path: Path) -> None:
    config = replace(CONFIG, retention=replace(CONFIG.retention, most_bytes=25_000))
    async with room(tmp_path, config) as here:
        old = await sent(here, ANNA, GROUP, b"a" * 10_000)
        await here.finish()
        here.clock.advance(60)
        young = await sent(here, BEN, GROUP, b"b" * 10_000)
        waiting = await sent(here, BEN, GROUP, b"c" * 10_000)
        assert await tidy(here.desk) > 0
        assert [path.exists() for path in (old, young, waiting)] == [False, True, True]
        here.desk.config = replace(config, retention=replace(config.retention, most_bytes=20_000))
        await tidy(here.desk)
        assert not (here.folder / "1-1").exists(), "then results go"
        assert young.exists() and waiting.exists()


async def test_an_upload_that_waits_is_not_old(here: Room) -> None:
    song = Upload("song.mp3", 4, file_of(b"song"))
    await commands.story(here.desk, ANNA, GROUP, song)
    here.clock.advance(1000 * DAY_S)
    await tidy(here.desk)
    assert len(list(here.desk.inbox.folder.iterdir())) == 1


async def test_the_policy_in_view(here: Room) -> None:
    text = texts(await privacy.privacy(here.desk, ANNA, HOME))
    assert "365 days" in text and "/forgetme" in text and "/consent" in text
