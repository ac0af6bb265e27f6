"""The fake against the unmodified client library: it answers as the service does, and it is not forgiving."""

from __future__ import annotations

import asyncio
import gc
import inspect
import re
import warnings
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image
from telegram import (
    Bot,
    BotCommand,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaAudio,
    InputMediaPhoto,
    ReactionTypeEmoji,
    ReplyParameters,
    Update,
)
from telegram import Message as SentMessage
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
)
from yarl import URL

from tests.fakes.clock import FakeClock
from tests.fakes.telegram.calls import CALLS
from tests.fakes.telegram.errors import ApiError
from tests.fakes.telegram.people import Person, change_bot, group, person
from tests.fakes.telegram.server import TOKEN, FakeTelegram, fake_telegram
from tests.fakes.telegram.world import Chat

MP3 = b"ID3" + bytes(200)
FAULTS = ("colour\n", "unknown method sendPigeon", "neither MP3 nor M4A", "would be ignored")
EVERYTHING = ["message", "edited_message", "callback_query", "message_reaction", "my_chat_member"]


def picture(size: tuple[int, int] = (90, 60), format: str = "PNG") -> bytes:
    data = BytesIO()
    Image.new("RGB", size).save(data, format)
    return data.getvalue()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def fake(clock: FakeClock) -> AsyncIterator[FakeTelegram]:
    async with fake_telegram(clock.now) as server:
        yield server


@pytest.fixture
async def bot(fake: FakeTelegram) -> AsyncIterator[Bot]:
    async with Bot(TOKEN, base_url=fake.base_url, base_file_url=fake.base_file_url) as bot:
        yield bot


@pytest.fixture
def mei(fake: FakeTelegram) -> Person:
    return person(fake, "Mei", username="mei_lin")


@pytest.fixture
def room(fake: FakeTelegram, mei: Person) -> Chat:
    return group(fake, "Music club", mei)


def keyboard(data: str = "x", text: str = "5") -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton(text, callback_data=data)]])


def assert_known(message: object) -> None:
    """The library knows every field of what it was given."""
    if isinstance(message, SentMessage | Update):
        assert not message.api_kwargs
        for slot in ("message", "edited_message", "callback_query", "audio", "voice", "document", "chat", "from_user"):
            assert not getattr(getattr(message, slot, None), "api_kwargs", None), slot


def test_every_field_is_one_of_the_bot_api() -> None:
    for name, model in CALLS.items():
        method = getattr(Bot, "".join(f"_{c.lower()}" if c.isupper() else c for c in name))
        known = set(inspect.signature(method).parameters) | {"reply_parameters"}
        assert set(model.model_fields) <= known, name


async def test_a_message_is_seen_and_answered(bot: Bot, mei: Person) -> None:
    sent = await bot.send_message(mei.private.id, "<b>Hello</b> &amp;", parse_mode="HTML", reply_markup=keyboard())
    assert_known(sent)
    assert sent.text == "Hello &"
    await bot.edit_message_text("Bye", mei.private.id, sent.message_id)
    (message,) = mei.service.world.in_chat(mei.private)
    assert (message.text, message.labels()) == ("Bye", [])


@pytest.mark.parametrize(("length", "fits"), [(4096, True), (4097, False)])
async def test_text_is_counted_after_parsing_in_utf16(bot: Bot, mei: Person, length: int, fits: bool) -> None:
    text = "<b>" + "🌧" * (length // 2) + "a" * (length % 2) + "</b>"
    sending = bot.send_message(mei.private.id, text, parse_mode="HTML")
    if fits:
        await sending
    else:
        with pytest.raises(BadRequest, match="Message is too long"):
            await sending


async def test_refusals_read_like_the_real_ones(bot: Bot, fake: FakeTelegram, mei: Person, room: Chat) -> None:
    sent = await bot.send_message(room.id, "a")
    mei.deletes(fake.world.messages[room.id, sent.message_id])
    stranger = person(fake, "Stranger")
    cases = [
        (bot.send_message(room.id, " "), "Message text is empty"),
        (bot.send_message(room.id, "<x>", parse_mode="HTML"), "Can't parse entities: unsupported start tag"),
        (bot.send_message(-5, "a"), "Chat not found"),
        (bot.send_message(stranger.user.id, "a"), "can't initiate conversation"),
        (bot.edit_message_text("b", room.id, sent.message_id), "Message to edit not found"),
        (bot.send_message(room.id, "a", reply_parameters=ReplyParameters(sent.message_id)), "replied not found"),
        (bot.send_message(room.id, "a", message_thread_id=9), "Message thread not found"),
        (bot.send_message(room.id, "a", reply_markup=keyboard("雨" * 22)), "Button_data_invalid"),
        (bot.send_photo(room.id, picture(), caption="a" * 1025), "Message caption is too long"),
        (bot.send_photo(room.id, b"no picture"), "Image_process_failed"),
        (bot.set_my_commands([BotCommand("Story", "x")]), "Bot_command_invalid"),
        (bot.set_message_reaction(room.id, sent.message_id, "🔥"), "Message to react not found"),
        (bot.get_file("F99"), "Wrong file_id"),
        (bot.answer_callback_query("5"), "Query is too old"),
    ]
    for call, words in cases:
        with pytest.raises((BadRequest, Forbidden), match=f"(?i){words}"):
            await call


async def test_an_edit_that_changes_nothing_is_refused(bot: Bot, mei: Person) -> None:
    sent = await bot.send_message(mei.private.id, "a", reply_markup=keyboard())
    with pytest.raises(BadRequest, match="Message is not modified"):
        await bot.edit_message_text("a", mei.private.id, sent.message_id, reply_markup=keyboard())
    await bot.edit_message_reply_markup(mei.private.id, sent.message_id)


async def test_only_admins_react_with_what_is_allowed(bot: Bot, fake: FakeTelegram, room: Chat) -> None:
    sent = await bot.send_message(room.id, "a")
    with pytest.raises(BadRequest, match="Reaction_invalid"):
        await bot.set_message_reaction(room.id, sent.message_id, ReactionTypeEmoji("5️⃣"))
    await bot.set_message_reaction(room.id, sent.message_id, "🔥")
    assert fake.world.messages[room.id, sent.message_id].reactions == {fake.world.bot.id: "🔥"}


async def test_being_removed_blocked_and_moved(bot: Bot, fake: FakeTelegram, mei: Person, room: Chat) -> None:
    change_bot(fake, room, "kicked", mei.user)
    with pytest.raises(Forbidden, match="bot was kicked from the supergroup chat"):
        await bot.send_message(room.id, "a")
    mei.blocks_the_bot()
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        await bot.send_message(mei.user.id, "a")
    room.migrated_to = -100777
    with pytest.raises(ChatMigrated) as moved:
        await bot.send_message(room.id, "a")
    assert moved.value.new_chat_id == -100777


async def test_files_go_up_and_down_with_their_limits(bot: Bot, fake: FakeTelegram, mei: Person) -> None:
    cover = picture((320, 200), "JPEG")
    sent = await bot.send_audio(
        mei.private.id, MP3, title="Rain", performer="TuneTale", duration=60, thumbnail=cover, filename="rain.mp3"
    )
    assert_known(sent)
    assert sent.audio is not None and (sent.audio.title, sent.audio.file_name) == ("Rain", "rain.mp3")
    again = await bot.get_file(sent.audio.file_id)
    assert bytes(await again.download_as_bytearray()) == MP3
    big = fake.world.add_file("big.mp3", "audio/mpeg", bytes((20 << 20) + 1))
    with pytest.raises(BadRequest, match="File is too big"):
        await bot.get_file(big.file_id)
    with pytest.raises(NetworkError, match="Request Entity Too Large"):
        await bot.send_document(mei.private.id, bytes((50 << 20) + 1))


async def test_an_upload_that_is_cut_off_leaves_no_file_open(bot: Bot, fake: FakeTelegram) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="document"; filename="a.txt"\r\n\r\n' + bytes(10_000)
    head = b"POST /bot%b/sendDocument HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n" % TOKEN.encode()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        _, writer = await asyncio.open_connection("127.0.0.1", URL(fake.base_url).port)
        writer.write(head + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + part)
        await writer.drain()
        await bot.get_me()  # meanwhile the service reads
        writer.transport.abort()
        await bot.get_me()
        gc.collect()
    assert not [str(one.message) for one in heard if "SpooledTemporaryFile" in str(one.message)]


async def test_a_text_becomes_audio_and_pictures_come_as_an_album(bot: Bot, fake: FakeTelegram, mei: Person) -> None:
    sent = await bot.send_message(mei.private.id, "working")
    await bot.edit_message_media(InputMediaAudio(MP3, "<i>done</i>", "HTML"), mei.private.id, sent.message_id)
    message = fake.world.messages[mei.private.id, sent.message_id]
    assert message.media is not None and (message.media.kind, message.text) == ("audio", "done")
    album = await bot.send_media_group(mei.private.id, [InputMediaPhoto(picture()), InputMediaPhoto(picture())])
    assert len(album) == 2


async def test_updates_come_until_they_are_confirmed(bot: Bot, fake: FakeTelegram, mei: Person) -> None:
    mei.says(mei.private, "/start")
    mei.says(mei.private, "/help")
    first = await bot.get_updates(allowed_updates=EVERYTHING)
    assert first == await bot.get_updates()
    assert [u.message.text for u in await bot.get_updates(offset=first[1].update_id) if u.message] == ["/help"]
    for update in first:
        assert_known(update)


async def test_a_long_poll_ends_with_the_first_update_or_another_poll(
    bot: Bot, fake: FakeTelegram, mei: Person
) -> None:
    polling = asyncio.create_task(bot.get_updates(timeout=60))
    await fake.until(lambda: fake.made("getUpdates"))
    mei.says(mei.private, "/help")
    (update,) = await polling
    offset = update.update_id + 1
    polling = asyncio.create_task(bot.get_updates(offset=offset, timeout=60))
    await fake.until(lambda: len(fake.made("getUpdates")) == 2)
    async with Bot(TOKEN, base_url=fake.base_url) as second:
        other = asyncio.create_task(second.get_updates(offset=offset, timeout=60))
        with pytest.raises(Conflict):
            await polling
        mei.says(mei.private, "/help")
        assert len(await other) == 1


async def test_reactions_come_only_to_admins_who_ask(bot: Bot, fake: FakeTelegram, mei: Person) -> None:
    ours, other = group(fake, "Ours", mei, bot_is_admin=True), group(fake, "Other", mei)
    for chat in (ours, other):
        message = fake.world.messages[chat.id, (await bot.send_message(chat.id, "a")).message_id]
        mei.reacts(message, "🔥")
    assert await bot.get_updates(allowed_updates=[]) == ()
    assert await bot.get_updates(allowed_updates=EVERYTHING) == ()
    mei.reacts(fake.world.messages[ours.id, 1], "👎")
    mei.reacts(message, "👎")
    (update,) = await bot.get_updates()
    assert update.message_reaction is not None and not update.message_reaction.api_kwargs
    assert update.message_reaction.chat.id == ours.id


async def test_privacy_mode_keeps_talk_from_the_bot(bot: Bot, fake: FakeTelegram, mei: Person, room: Chat) -> None:
    mei.says(room, "good morning")
    mei.says(room, "/help")
    answer = fake.world.messages[room.id, (await bot.send_message(room.id, "a")).message_id]
    mei.says(room, "thanks", reply_to=answer)
    assert [u.message.text for u in await bot.get_updates() if u.message] == ["/help", "thanks"]


async def test_a_pressed_button_waits_150_seconds(bot: Bot, fake: FakeTelegram, mei: Person, clock: FakeClock) -> None:
    sent = await bot.send_message(mei.private.id, "a", reply_markup=keyboard("v1:1:5"))
    message = fake.world.messages[mei.private.id, sent.message_id]
    query = mei.presses(message, "5")
    clock.advance(149)
    (update,) = await bot.get_updates()
    assert update.callback_query is not None and update.callback_query.data == "v1:1:5"
    await update.callback_query.answer("thank you")
    assert (query.answered, query.text) == (True, "thank you")
    late = mei.presses(message, "5")
    clock.advance(151)
    assert await bot.get_updates(offset=update.update_id + 1) == ()
    with pytest.raises(BadRequest, match="Query is too old"):
        await bot.answer_callback_query(late.id)
    with pytest.raises(AssertionError, match="never answered"):
        fake.check()
    fake.methods.queries.clear()


async def test_a_wrong_token_and_a_service_that_is_down(bot: Bot, fake: FakeTelegram, mei: Person) -> None:
    with pytest.raises(InvalidToken):
        async with Bot("1:wrong", base_url=fake.base_url):
            pass
    fake.down = True
    with pytest.raises(NetworkError):
        await bot.send_message(mei.private.id, "a")
    fake.down = False
    fake.lose_answer("sendMessage")
    with pytest.raises(NetworkError):
        await bot.send_message(mei.private.id, "arrived")
    assert [m.text for m in fake.world.in_chat(mei.private)] == ["arrived"]
    fake.refuse(ApiError(502, "Bad Gateway"))
    with pytest.raises(NetworkError, match="Bad Gateway"):
        await bot.get_me()


async def test_a_call_before_its_time_is_a_fault(bot: Bot, fake: FakeTelegram, mei: Person, clock: FakeClock) -> None:
    chat = mei.private.id
    fake.hold(200, chat_id=chat)
    with pytest.raises(RetryAfter):
        await bot.send_message(chat, "a")
    clock.advance(199)
    await bot.get_me()
    assert fake.faults == []
    await bot.send_message(chat, "a")
    assert fake.faults == ["sendMessage to " + str(chat) + " 1.0 s before its time"]
    fake.faults.clear()
    clock.advance(1)
    await bot.send_message(chat, "a")
    assert fake.faults == []


async def test_what_no_correct_bot_does_is_a_fault(bot: Bot, fake: FakeTelegram, mei: Person) -> None:
    with pytest.raises(BadRequest):
        await bot.send_message(mei.private.id, "a", api_kwargs={"colour": "red"})
    with pytest.raises(EndPointNotFound):
        await bot.do_api_request("sendPigeon")
    await bot.send_audio(mei.private.id, b"OggS" + bytes(50), filename="a.ogg")
    await bot.send_audio(mei.private.id, MP3, thumbnail=picture((900, 600)))
    assert [len(re.findall(word, fault)) for word, fault in zip(FAULTS, fake.faults, strict=True)] == [1] * 4
    fake.faults.clear()


async def test_the_flood_limits(clock: FakeClock) -> None:
    async with fake_telegram(clock.now, flood=True) as fake, Bot(TOKEN, base_url=fake.base_url) as bot:
        mei = person(fake, "Mei")
        room = group(fake, "Music club", mei)
        for _ in range(3):
            await bot.send_message(mei.private.id, "a")
        with pytest.raises(RetryAfter):
            await bot.send_message(mei.private.id, "a")
        for _ in range(20):
            await bot.send_message(room.id, "a")
            clock.advance(1)
        with pytest.raises(RetryAfter) as refused:
            await bot.send_message(room.id, "a")
        assert refused.value.retry_after == timedelta(seconds=40)
        people = [person(fake, f"P{i}") for i in range(31)]
        for someone in people[:30]:
            await bot.send_message(someone.private.id, "a")
        with pytest.raises(RetryAfter):
            await bot.send_message(people[30].private.id, "a")
        assert fake.refused == 3
