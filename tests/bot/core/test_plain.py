"""Plain stories: made by the house when there is time, dealt as controls, gone with the pair they belong to."""

from __future__ import annotations

from pathlib import Path

from bot import commands
from bot.deliver import deliver
from bot.plain import HOUSE, PlainStories
from db import deals, people
from engine.errors import UserError
from engine.jobs import FileSource, StoryRequest
from tests.bot.core.test_ballot import make_pairs
from tests.fakes.chat import ANNA, BEN, GROUP, HOME, Room

COUNTS = [f"SELECT count(*) FROM {table}" for table in ("pair", "plain", "job")]


async def test_a_plain_story_is_made_when_nobody_waits(here: Room) -> None:
    (base,) = await make_pairs(here, 1)
    house = PlainStories(here.desk)
    await commands.compose(here.desk, BEN, GROUP, "It was a quiet night.")
    assert await house.make_one() is None  # somebody waits
    await here.finish()
    job = await house.make_one()
    assert job is not None
    assert await house.make_one() is None  # one at a time
    found = await here.queue.job(job)
    assert found is not None and isinstance(found.request, StoryRequest)
    assert found.request.plain and found.request.title is None and found.asker.person == HOUSE
    assert isinstance(found.request.source, FileSource) and Path(found.request.source.path).is_file()

    await here.finish()
    assert await deliver(here.queue, house) == 1
    assert await house.make_one() is not None  # the newest went first; now the other
    await here.finish()
    await deliver(here.queue, house)
    assert await house.make_one() is None
    visit = await here.desk.visit(BEN, GROUP)
    assert visit.person_id is not None
    person, scope = visit.person_id, visit.scope_id
    rows = await here.desk.ledger.read(lambda conn: deals.choices(conn, person, scope, None))
    assert [row.pair_id for row in rows] == [base]  # a plain story is no pair to rate, and Ben's own is not for him
    assert rows[0].plain_id is not None


async def test_the_plain_story_goes_with_its_pair(here: Room) -> None:
    await make_pairs(here, 1)
    house = PlainStories(here.desk)
    job = await house.make_one()
    await here.finish()
    await deliver(here.queue, house)
    anna = await here.desk.ledger.read(lambda conn: people.find(conn, "telegram", ANNA.person))
    assert anna is not None
    await here.desk.ledger.write(lambda conn: people.forget(conn, anna))
    assert job is not None and await here.queue.job(job) is None
    counts = await here.desk.ledger.read(lambda conn: [conn.execute(sql).fetchone() for sql in COUNTS])
    assert counts == [(0,), (0,), (0,)]


async def test_a_pair_that_went_meanwhile_takes_the_job_along(here: Room) -> None:
    await make_pairs(here, 1)
    house = PlainStories(here.desk)
    job = await house.make_one()
    await here.finish()
    await here.desk.ledger.write(lambda conn: conn.execute("UPDATE pair SET deleted = 1 WHERE id = 1").rowcount)
    assert await deliver(here.queue, house) == 0
    assert job is not None and await here.queue.job(job) is None


async def test_a_failed_one_is_not_tried_again(here: Room) -> None:
    await make_pairs(here, 1)
    house = PlainStories(here.desk)
    assert await house.make_one() is not None
    await here.fail(UserError("no", code="not_audio"))
    await deliver(here.queue, house)
    assert await house.make_one() is None


async def test_not_of_private_music_nor_of_audio_that_is_gone_nor_while_paused(here: Room) -> None:
    house = PlainStories(here.desk)
    await make_pairs(here, 1, place=HOME)
    assert await house.make_one() is None
    await make_pairs(here, 1)
    await here.desk.set_mode("drain")
    assert await house.make_one() is None
    await here.desk.set_mode("open")
    for file in here.desk.inbox.folder.iterdir():
        file.unlink()
    assert await house.make_one() is None
