"""Where the music and the words of a command may stand, and whose they are."""

from __future__ import annotations

import pytest

from engine.jobs import ComposeRequest, FileSource, LinkSource, StoryRequest
from tests.bot.telegram.conftest import Town
from tests.fakes.telegram.markup import Entity, Visible
from tests.fakes.telegram.world import Chat, MediaKind

KINDS: list[MediaKind] = ["audio", "voice", "video_note", "video", "document"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("replied", [False, True])
async def test_music_comes_as_caption_or_reply(town: Town, kind: MediaKind, replied: bool) -> None:
    mei = town.person()
    room = town.group(mei)
    if replied:
        mei.says(room, "/story seed=7", reply_to=mei.sends(room, kind, b"OggS", duration=20))
    else:
        mei.sends(room, kind, b"OggS", caption="/story@tunetale_bot seed=7", duration=20)
    answer = await town.shows(room, "request is number 1", "Cancel")
    request = (await town.here.engine.takes()).job.request
    assert isinstance(request, StoryRequest) and isinstance(request.source, FileSource)
    assert request.seed == 7
    assert answer.reply_to is not None


@pytest.mark.parametrize("where", ["own", "reply", "hidden"])
async def test_a_link_is_music(town: Town, where: str) -> None:
    mei, url = town.person(), "https://music.example/rain?v=1"
    chat = mei.private
    if where == "own":
        mei.says(chat, f"/story {url} words=200")
    else:
        said = mei.says(chat, url)
        if where == "hidden":
            said.seen = Visible("hear this", (Entity("text_link", 0, 4, url),))
        mei.says(chat, "/story words=200", reply_to=said)
    await town.shows(chat, "request is number 1")
    request = (await town.here.engine.takes()).job.request
    assert isinstance(request, StoryRequest)
    assert (request.source, request.words) == (LinkSource(url), 200)


async def test_words_come_behind_or_as_reply_or_file(town: Town) -> None:
    mei = town.person()
    chat, tale = mei.private, "The boat came home. Everybody sang."
    mei.says(chat, f"/compose seconds=30 {tale}")
    mei.says(chat, "/compose", reply_to=mei.says(chat, tale))
    mei.sends(chat, "document", tale.encode(), name="tale.txt", caption="/compose")
    mei.says(chat, "/compose", reply_to=mei.sends(chat, "document", tale.encode(), name="tale.txt"))
    for _ in range(4):
        request = (await town.here.engine.takes()).job.request
        assert isinstance(request, ComposeRequest) and request.text == tale


async def test_a_reply_to_a_card_goes_the_other_way(town: Town) -> None:
    mei = town.person()
    card = await town.card(mei.private, mei)
    mei.says(mei.private, "/compose", reply_to=card)
    request = (await town.here.engine.takes()).job.request
    assert isinstance(request, ComposeRequest) and "The tide took the light" in request.text


async def test_in_private_a_recording_needs_no_command(town: Town) -> None:
    mei = town.person()
    mei.sends(mei.private, "voice", b"OggS")
    await town.shows(mei.private, "request is number 1")
    mei.says(mei.private, "hello?")
    await town.shows(mei.private, "/compose followed by a story")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("/story", "as the caption of a recording"),
        ("/story please", "“please” is no option"),
        ("/story wrods=3", "did you mean words=?"),
        ("/story words=many https://a.example", "takes a number"),
        ("/story words=1 https://a.example", "length of the story"),
        ("/compose", "Please write the story"),
        ("/cancel x", "is no number"),
        ("/cancel 99", "no such request"),
        ("/story ftp://a.example/x", "not supported"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence(town: Town, said: str, answer: str) -> None:
    mei = town.person()
    mei.says(mei.private, said)
    seen = await town.shows(mei.private, answer)
    assert "Traceback" not in seen.text and len(seen.text) < 300


async def test_every_command_answers_in_both_languages(town: Town) -> None:
    for language, word in (("en", "What TuneTale keeps"), ("zh-hant", "隱私")):
        mei = town.person(f"Mei {language}", language)
        for command in ("help", "start", "queue", "privacy", "language", "forgetme", "mydata", "stats", "vote"):
            before = len(town.ours(mei.private))
            mei.says(mei.private, f"/{command}")
            await town.fake.until(lambda: len(town.ours(mei.private)) > before, command)  # noqa: B023
        assert word in "".join(m.text for m in town.ours(mei.private)) or language != "en"


async def test_shared_identities_are_no_persons(town: Town) -> None:
    mei = town.person()
    room = town.group(admin=mei)
    mei.says(room, "/admin pause", anonymously=True)
    seen = await town.shows(room)
    assert "aused" not in seen.text
    channel = Chat(-100999, "channel", "News")
    mei.says(room, "/language zh-TW", as_channel=channel)
    await town.shows(room, "many people share")


async def test_admins_are_asked_for_at_use(town: Town) -> None:
    boss, eve = town.person("Boss"), town.person("Eve")
    room = town.group(eve, admin=boss)
    eve.says(room, "/admin pause")
    await town.fake.until(lambda: len(town.ours(room)) == 1, "a refusal")
    assert "Paused here" not in town.ours(room)[0].text
    boss.says(room, "/admin pause")
    await town.shows(room, "Paused here")
    boss.says(room, "/admin resume")
    await town.shows(room, "taken here again")
    room.statuses[boss.user.id] = "member"
    boss.says(room, "/admin pause")
    await town.fake.until(lambda: len(town.ours(room)) == 4, "a refusal")
    assert [m.text for m in town.ours(room)].count(
        "Paused here: no new requests are taken, what waits is finished."
    ) == 1
    assert {call["user_id"] for call in town.fake.made("getChatMember")} == {boss.user.id, eve.user.id}


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("/admin", "Settings here"),
        ("/admin set links off", "links is now"),
        ("/admin set", "what to set"),
        ("/admin puase", "did you mean /admin pause"),
        ("/admin xyz", "known are show"),
        ("/admin block", "reply with /admin block"),
        ("/admin health", "waiting"),
        ("/admin cancel 99", "no such request"),
    ],
)
async def test_admin_commands(town: Town, said: str, answer: str) -> None:
    boss = town.person("Boss")
    room = town.group(admin=boss)
    boss.says(room, said)
    await town.shows(room, answer)


async def test_somebody_is_blocked_by_a_reply(town: Town) -> None:
    boss, eve = town.person("Boss"), town.person("Eve")
    room = town.group(eve, admin=boss)
    boss.says(room, "/admin block", reply_to=eve.says(room, "spam"))
    boss.presses(await town.shows(room, "Keep this person out?"), "Yes")
    await town.shows(room, "is blocked")
    eve.says(room, "/compose The boat came home.")
    await town.shows(room, "You cannot make anything here")


async def test_other_bots_edits_and_strange_commands_are_left_alone(town: Town) -> None:
    mei = town.person()
    room = town.group(mei)
    mei.says(room, "/story@other_bot")
    mei.says(room, "/weather")
    said = mei.says(room, "/compose wrods=1 The boat came home.")
    await town.shows(room, "no option wrods=")
    mei.edits(said, "/compose The boat came home.")
    mei.says(room, "/queue")
    await town.shows(room, "0 requests wait")
    assert len(town.ours(room)) == 2
