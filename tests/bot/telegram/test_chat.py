"""What is sent: layout, sound, privacy, files, ratings."""

from __future__ import annotations

import asyncio
import json
import sqlite3

import pytest
from telegram import Update

from bot.contract import Gone, Letter, Posted, Reply, Text
from bot.telegram.emoji import SCALE
from bot.telegram.handlers import Turns
from db import people
from engine.errors import UserError
from tests.bot.telegram.conftest import Town
from tests.contract.engine import ALT
from tests.fakes.telegram.errors import ApiError, bad
from tests.fakes.telegram.methods import DELETABLE_S
from tests.fakes.telegram.server import PATIENCE_S


async def score(town: Town, pair: int = 1) -> tuple[int, int]:
    """Return how many votes a pair has, and their sum."""
    row = await town.here.desk.ledger.read(
        lambda conn: conn.execute("SELECT votes, score_sum FROM pair WHERE id = ?", (pair,)).fetchone()
    )
    return int(row[0]), int(row[1])


async def test_a_story_begins_in_its_progress_message_and_ends_with_a_card_that_calls(town: Town) -> None:
    mei = town.person()
    room = town.group(mei)
    card = await town.card(room, mei)
    story, file, last = town.ours(room)
    assert story.edit_date is not None and story.text.startswith("The Lamp Keeper")
    assert story.seen.styled("bold") == ("The Lamp Keeper",)
    assert file.media is not None and file.media.file.name == "read-along.vtt" and not file.notified
    assert last is card and card.notified and card.reply_to is not None
    assert card.media is not None and card.media.kind == "photo"
    assert card.text.startswith(ALT) and f"tg://user?id={mei.user.id}" in card.seen.mentions
    assert card.labels()[:6] == list("012345")


async def test_music_plays_with_title_performer_length_and_cover(town: Town) -> None:
    mei = town.person()
    mei.says(mei.private, "/compose seconds=30 The boat came home.")
    await town.here.engine.finishes(await town.here.engine.takes())
    await town.shows(mei.private, button="Story from this music")
    (music,) = [m.media for m in town.ours(mei.private) if m.media is not None and m.media.kind == "audio"]
    assert (music.performer, music.duration) == ("TuneTale", 30)
    assert music.title is not None and "boat" in music.title
    assert music.cover is not None and music.cover.data[:2] == b"\xff\xd8"


async def test_a_failure_edits_and_then_calls(town: Town) -> None:
    mei = town.person()
    mei.says(mei.private, "/compose The boat came home.")
    await town.shows(mei.private, "request is number 1")
    await town.here.engine.fails(await town.here.engine.takes(), UserError("It is silent; send another one."))
    ping = await town.shows(mei.private, "see above")
    assert ping.notified
    assert town.ours(mei.private)[0].text == "It is silent; send another one."


async def test_buttons_rate_and_are_answered(town: Town) -> None:
    mei, ada = town.person(), town.person("Ada")
    room = town.group(mei, ada)
    card = await town.card(room, mei)
    own = mei.presses(card, "5")
    await town.fake.until(lambda: own.answered, "an answer")
    assert await score(town) == (0, 0)
    for value in ("5", "3"):
        query = ada.presses(card, value)
        await town.fake.until(lambda: query.answered, "an answer")  # noqa: B023
        assert query.text is not None and f"rating {value} counts" in query.text
    assert await score(town) == (1, 3)
    forged = ada.presses_data(card, "rate:999:5")
    strange = ada.presses_data(card, "<script>")
    await town.fake.until(lambda: forged.answered and strange.answered, "answers")
    assert await score(town) == (1, 3)


async def test_where_the_bot_is_admin_emoji_rate(town: Town) -> None:
    mei, ada = town.person(), town.person("Ada")
    room = town.group(mei, ada, bot_is_admin=True)
    card = await town.card(room, mei)
    for emoji, wanted in ((SCALE[4], (1, 4)), (SCALE[1], (1, 1)), ("🎉", (0, 0)), (None, (0, 0)), (SCALE[5], (1, 5))):
        ada.reacts(card, emoji)
        mei.reacts(card, SCALE[0])
        ada.says(room, "/help")
        await town.fake.until(lambda: not town.fake.updates.waiting(), "all updates are taken")
        while await score(town) != wanted:  # noqa: ASYNC110  (a reaction changes nothing that people see)
            await asyncio.sleep(0)
    assert len(set(SCALE)) == 6


async def test_files_for_one_person_go_to_their_private_chat(town: Town) -> None:
    mei, ada = town.person(), town.person("Ada")
    room = town.group(mei, ada)
    card = await town.card(room, mei)
    mei.says(room, "/mydata")
    invitation = await town.shows(room, "for your eyes only")
    assert invitation.buttons[0][0].url == "https://t.me/tunetale_bot?start=private"
    private = mei.private
    mei.says(room, "/mydata")
    files = await town.fake.until(lambda: [m.media.file for m in town.ours(private) if m.media is not None], "a file")
    (file,) = files
    assert json.loads(file.data)
    assert not any(m.media and m.media.file.name == file.name for m in town.ours(room))
    why = ada.presses(card, "Why?")
    await town.fake.until(lambda: why.answered, "an answer")


async def test_deleting_asks_and_takes_the_card_away(town: Town) -> None:
    mei, eve = town.person(), town.person("Eve")
    room = town.group(mei, eve)
    card = await town.card(room, mei)
    refused = eve.presses(card, "Delete")
    await town.fake.until(lambda: refused.answered, "an answer")
    assert refused.text is not None and "can delete this" in refused.text
    mei.presses(card, "Delete")
    question = await town.shows(room, "cannot be undone", "Yes")
    mei.presses(question, "Yes")
    await town.shows(room, "It is deleted.")
    await town.fake.until(lambda: card.deleted, "the card is gone")
    assert question.labels() == []


async def test_what_is_too_old_to_be_deleted_loses_its_words_and_buttons(town: Town) -> None:
    mei = town.person()
    card = await town.card(mei.private, mei)
    story = town.ours(mei.private)[0]
    assert story.text.startswith("The Lamp Keeper")
    town.here.clock.advance(DELETABLE_S + 60.0)
    mei.presses(card, "Delete")
    mei.presses(await town.shows(mei.private, "cannot be undone", "Yes"), "Yes")
    await town.fake.until(lambda: card.text == story.text == "(deleted)", "no words")
    assert not card.labels() and not card.deleted


async def test_a_press_after_a_pause_counts_though_it_is_answered_too_late(town: Town) -> None:
    mei, ada = town.person(), town.person("Ada")
    room = town.group(mei, ada)
    card = await town.card(room, mei)
    town.fake.refuse(
        bad("query is too old and response timeout expired or query ID is invalid"), method="answerCallbackQuery"
    )
    ada.presses(card, "4").answered = True
    while await score(town) != (1, 4):
        await town.here.driver.change()


async def test_a_group_that_moved_is_followed(town: Town) -> None:
    mei = town.person()
    old, new = town.group(mei), town.group(mei)
    mei.says(old, "/compose The boat came home.")
    await town.shows(old, "request is number 1")
    old.migrated_to = new.id
    await town.here.engine.finishes(await town.here.engine.takes())
    await town.shows(new, button="Story from this music")


async def test_a_supergroup_keeps_the_settings_of_its_group(town: Town) -> None:
    boss, mei = town.person("Boss"), town.person()
    old = town.group(mei, admin=boss)
    boss.says(old, "/admin set language zh-TW")
    await town.shows(old, "zh-TW")
    mei.says(old, "/compose The boat came home.")
    await town.shows(old, "1")
    new = boss.upgrades(old)

    def moved(conn: sqlite3.Connection) -> bool:
        return people.find_chat(conn, "telegram", str(new.id)) is not None

    async with asyncio.timeout(PATIENCE_S):
        while not await town.here.desk.ledger.read(moved):  # noqa: ASYNC110  (each look is a transaction)
            await asyncio.sleep(0)
    mei.says(new, "/queue")
    await town.shows(new, "有 1 個請求在等候")
    await town.here.engine.finishes(await town.here.engine.takes())
    await town.shows(new, button="為這段音樂寫故事")
    assert sum("為什麼？" in m.labels() for m in town.ours(new)) == 1


async def test_a_lost_answer_of_telegram_is_not_an_endless_loop(town: Town) -> None:
    mei = town.person()
    mei.says(mei.private, "/compose The boat came home.")
    await town.shows(mei.private, "request is number 1")
    town.fake.refuse(ApiError(502, "Bad Gateway"), method="send/edit", times=2)
    await town.here.engine.finishes(await town.here.engine.takes())

    async def waits() -> object:
        return await town.shows(mei.private, button="Story from this music")

    await town.here.as_time_passes(waits())  # type: ignore[arg-type]
    assert sum("A slow waltz" in m.text for m in town.ours(mei.private)) == 1


async def test_one_update_is_worked_on_once() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        done.append(number)

    turns, update = Turns(), Update(5)
    await turns.do_process_update(update, work(1))
    await turns.do_process_update(update, work(2))
    assert done == [1]


async def test_a_letter_goes_on_where_it_was_interrupted(town: Town) -> None:
    mei = town.person()
    messenger = town.here.desk.messengers["telegram"]
    notes: list[tuple[int, str]] = []

    async def note(index: int, message: str) -> None:
        notes.append((index, message))

    reply = Reply(tuple(Text(f"{page} " + "word " * 700, "quote") for page in range(3)))
    whole = Letter(str(mei.private.id), reply, "n" * 16)
    first = await messenger.post(whole, note)
    assert [index for index, _ in notes] == [0, 1, 2] and first == Posted(str(mei.private.id), notes[-1][1])
    sent = dict(notes[:2])
    await messenger.post(Letter(str(mei.private.id), reply, "n" * 16, sent=sent), note)
    assert len(town.ours(mei.private)) == 4
    with pytest.raises(Gone):
        await messenger.post(Letter("-5", reply, "n" * 16), note)
    with pytest.raises(Gone):
        await messenger.edit(Posted(str(mei.private.id), "99999"), reply)
