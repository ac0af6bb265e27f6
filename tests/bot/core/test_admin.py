"""What admins can do, what others cannot, and what is written down about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot import admin, commands
from bot.contract import Actor, Place, Upload
from bot.press import press
from db import audit
from tests.fakes.chat import ANNA, BEN, BOSS, GROUP, HOME, MEI, OWNER, Room, button, file_of, room, texts

SERVER = Place("discord", "10", "channel", server="77")
OTHER_CHANNEL = Place("discord", "11", "channel", server="77")
OTHER_SERVER = Place("discord", "20", "channel", server="78")
ADMIN = Actor("discord", "1", "Ada", admin=True)
MEMBER = Actor("discord", "2", "Max", roles=frozenset({"501"}))


async def compose(at: Room, actor: Actor, place: Place) -> str:
    """Return what is said to somebody who asks for music; "" when it is accepted."""
    reply = await commands.compose(at.desk, actor, place, "A calm day.")
    return "" if reply.job is not None else texts(reply)


async def set_here(at: Room, name: str, value: str, place: Place = SERVER) -> str:
    return texts(await admin.change(at.desk, ADMIN, place, name, value))


async def test_only_admins_of_this_very_moment(here: Room) -> None:
    for actor, place in ((ANNA, GROUP), (replace(BOSS, admin=False), GROUP), (BOSS, HOME)):
        for reply in (
            await admin.show(here.desk, actor, place),
            await admin.change(here.desk, actor, place, "links", "off"),
            await admin.pause(here.desk, actor, place),
            await admin.drain(here.desk, actor, place),
            await admin.resume(here.desk, actor, place),
            await admin.cancel(here.desk, actor, place, 1),
            await admin.block(here.desk, actor, place, "5"),
            await admin.unblock(here.desk, actor, place, "5"),
            await admin.delete(here.desk, actor, place, 1),
            await admin.health(here.desk, actor, place),
        ):
            assert texts(reply) == "Only admins of this server or chat can do that."
    shown = texts(await admin.show(here.desk, BOSS, GROUP))
    assert "Settings here" in shown and "links: on" in shown and "paused: off" in shown
    assert "Settings here" in texts(await admin.show(here.desk, OWNER, HOME))


async def test_what_holds_everywhere_is_the_owners(here: Room) -> None:
    for reply in (
        await admin.pause(here.desk, BOSS, GROUP, everywhere=True),
        await admin.drain(here.desk, BOSS, GROUP, everywhere=True),
        await admin.block(here.desk, BOSS, GROUP, "5", everywhere=True),
    ):
        assert "Only the owner" in texts(reply)
    crowd = replace(OWNER, shared=True)
    assert "Only admins" in texts(await admin.show(here.desk, crowd, GROUP))


async def test_settings_hold_for_the_whole_server_and_no_other(here: Room) -> None:
    assert "links is now: off" in await set_here(here, "links", "off")
    for place, sentence in ((SERVER, "switched off"), (OTHER_CHANNEL, "switched off")):
        reply = await commands.story(here.desk, MEMBER, place, "https://a.example/x")
        assert sentence in texts(reply)
    assert (await commands.story(here.desk, MEMBER, OTHER_SERVER, "https://a.example/x")).job is not None
    assert "links is now: (default)" in await set_here(here, "links", "")
    assert (await commands.story(here.desk, MEMBER, SERVER, "https://a.example/x")).job is not None


async def test_who_may_and_where(here: Room) -> None:
    await set_here(here, "channels", "<#10>")
    assert "Please use the channel" in await compose(here, MEMBER, OTHER_CHANNEL)
    assert await compose(here, ADMIN, OTHER_CHANNEL) == ""
    assert await compose(here, MEMBER, SERVER) == ""
    await set_here(here, "roles", "<@&502>, <@&503>")
    assert "only chosen people" in await compose(here, MEMBER, SERVER)
    await set_here(here, "people", "<@2>")
    assert await compose(here, MEMBER, SERVER) == ""
    await set_here(here, "people", "default")
    await set_here(here, "roles", "501")
    assert await compose(here, MEMBER, SERVER) == ""


async def test_limits_of_a_place(here: Room) -> None:
    await set_here(here, "per_person", "1")
    assert await compose(here, MEMBER, SERVER) == ""
    assert "1 is the most for one person" in await compose(here, MEMBER, SERVER)
    assert await compose(here, MEMBER, OTHER_SERVER) == ""
    await set_here(here, "per_chat", "1")
    assert "1 is the most for one chat" in await compose(here, ADMIN, SERVER)
    await set_here(here, "max_seconds", "20")
    reply = await commands.compose(here.desk, ADMIN, OTHER_CHANNEL, "A calm day.", seconds=30)
    assert "20 s is the most" in texts(reply)
    song = Upload("x.mp3", 4, file_of(b"song"), duration_s=30.0)
    assert "20 s is the most" in texts(await commands.story(here.desk, ADMIN, OTHER_CHANNEL, song))


async def test_the_languages_of_a_place(here: Room) -> None:
    await set_here(here, "language", "zh-TW")
    assert texts(await commands.help(here.desk, MEMBER, SERVER)).startswith("TuneTale 說明")
    assert texts(await commands.help(here.desk, MEMBER, OTHER_SERVER)).startswith("TuneTale\n")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("colour", "red", "There is no setting colour"),
        ("paused", "on", "There is no setting paused"),
        ("links", "maybe", "Please say on or off."),
        ("max_seconds", "0", "whole number from 1 to 3600"),
        ("max_seconds", "١٢", "whole number from 1 to 3600"),
        ("per_person", "5.5", "whole number"),
        ("language", "tlh", "is not known"),
        ("people", "@everyone", "takes ids or mentions"),
        ("channels", "12 or 13", "takes ids or mentions"),
    ],
)
async def test_settings_that_make_no_sense(here: Room, name: str, value: str, sentence: str) -> None:
    assert sentence in await set_here(here, name, value)
    assert name + " is now" not in texts(await admin.show(here.desk, ADMIN, SERVER))


async def test_pause_here_refuses_new_requests_and_finishes_old_ones(here: Room) -> None:
    assert await compose(here, ANNA, GROUP) == ""
    assert "Paused here" in texts(await admin.pause(here.desk, BOSS, GROUP))
    assert "has paused" in await compose(here, ANNA, GROUP)
    assert await compose(here, ANNA, HOME) == ""
    await here.finish()
    assert "taken here again" in texts(await admin.resume(here.desk, BOSS, GROUP))
    assert await compose(here, ANNA, GROUP) == ""


async def test_the_owner_pauses_and_drains_everything_also_after_a_restart(tmp_path: Path) -> None:
    async with room(tmp_path) as here:
        await admin.pause(here.desk, OWNER, HOME, everywhere=True)
        reply = await commands.compose(here.desk, ANNA, GROUP, "A calm day.")
        assert reply.job is not None and "paused at the moment" in texts(reply)
        assert await here.queue.claim() is None
    async with room(tmp_path) as here:
        assert await here.queue.claim() is None
        await admin.drain(here.desk, OWNER, HOME, everywhere=True)
        assert "takes no new requests" in await compose(here, ANNA, GROUP)
        assert await here.queue.claim() is not None
        await admin.resume(here.desk, OWNER, HOME, everywhere=True)
        assert await compose(here, ANNA, GROUP) == ""


async def test_block_ends_jobs_here_survives_forgetting_and_can_be_taken_back(here: Room) -> None:
    await compose(here, BEN, GROUP)
    sure = await admin.block(here.desk, BOSS, GROUP, BEN.person)
    assert await compose(here, BEN, GROUP) == ""  # not before the yes
    assert "is blocked" in texts(await press(here.desk, BOSS, GROUP, button(sure, "yes")))
    assert await here.desk.overview.depth() == (0, 0)
    assert "ask an admin" in await compose(here, BEN, GROUP)
    assert await compose(here, BEN, HOME) == ""
    await here.queue.forget("telegram", BEN.person)
    assert "ask an admin" in await compose(here, BEN, GROUP)
    assert "may come in again" in texts(await admin.unblock(here.desk, BOSS, GROUP, BEN.person))
    assert "not blocked here" in texts(await admin.unblock(here.desk, BOSS, GROUP, BEN.person))
    assert await compose(here, BEN, GROUP) == ""
    assert "cannot block yourself" in texts(await admin.block(here.desk, BOSS, GROUP, BOSS.person))


async def test_admins_reach_jobs_and_pairs_of_their_place_only(here: Room) -> None:
    await compose(here, ANNA, GROUP)
    elsewhere = Place("telegram", "-200", "group")
    assert "no such request" in texts(await admin.cancel(here.desk, BOSS, elsewhere, 1))
    assert "is cancelled" in texts(await admin.cancel(here.desk, BOSS, GROUP, 1))
    await compose(here, ANNA, GROUP)
    await here.finish()
    assert "deleted" in texts(await admin.delete(here.desk, BOSS, elsewhere, 1))
    sure = await admin.delete(here.desk, BOSS, GROUP, 1)
    assert "It is deleted." in texts(await press(here.desk, BOSS, GROUP, button(sure, "yes")))


async def test_everything_is_written_down_without_names(here: Room) -> None:
    await admin.change(here.desk, BOSS, GROUP, "people", "1234567")
    await admin.change(here.desk, BOSS, GROUP, "per_chat", "7")
    await admin.pause(here.desk, BOSS, GROUP)
    sure = await admin.block(here.desk, BOSS, GROUP, "7654321")
    await press(here.desk, BOSS, GROUP, button(sure, "yes"))
    visit = await here.desk.visit(BOSS, GROUP)
    rows = await here.desk.ledger.read(lambda conn: audit.newest(conn, visit.scope_id, 9))
    assert [(row.action, row.detail) for row in rows] == [
        ("block", ""), ("pause", ""), ("set", "per_chat = 7"), ("set", "people")
    ]  # fmt: skip
    assert {row.person_id for row in rows} == {visit.person_id}
    await here.queue.forget("telegram", BOSS.person)
    rows = await here.desk.ledger.read(lambda conn: audit.newest(conn, visit.scope_id, 9))
    assert [row.person_id for row in rows] == [None] * 4
    assert "per_chat = 7" in texts(await admin.show(here.desk, BOSS, GROUP))


async def test_health_for_admin_and_owner(here: Room) -> None:
    await compose(here, ANNA, GROUP)
    assert texts(await admin.health(here.desk, BOSS, GROUP)) == "Here: 1 waiting, 0 running."
    here.desk.messengers["telegram"] = here.messenger
    whole = texts(await admin.health(here.desk, OWNER, HOME))
    assert "Everywhere: 1 waiting, 0 running; mode open." in whole and "telegram: lag 0.2 s" in whole


async def test_a_person_in_chinese(here: Room) -> None:
    assert texts(await admin.show(here.desk, MEI, GROUP)) == "只有這裡的管理員可以這樣做。"
