"""What people do, on an in-memory platform: people, queue and store are real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot import commands
from bot.contract import Audio, Document, Picture, Place, Posted, Upload
from bot.press import press
from engine.errors import Crashed, Transient, UserError
from engine.jobs import ComposeRequest, FileSource, StoryRequest
from engine.policy import Policy
from tests.fakes.chat import (
    ANNA,
    BEN,
    BOSS,
    CONFIG,
    GROUP,
    HOME,
    MEI,
    OWNER,
    FakeMessenger,
    Room,
    button,
    file_of,
    make,
    room,
    texts,
)

SONG = b"ID3 song"


def song(size: int | None = None, most_bytes: int | None = None, duration_s: float | None = None) -> Upload:
    return Upload("song.mp3", len(SONG) if size is None else size, file_of(SONG), most_bytes, duration_s)


async def ask(at: Room, **options: object) -> int:
    reply = await commands.story(at.desk, ANNA, GROUP, song(), **options)  # type: ignore[arg-type]
    assert reply.job is not None, texts(reply)
    return reply.job


async def made(at: Room) -> int:
    """Make a story of Anna's in the group and return its pair."""
    await ask(at)
    await at.finish()
    await at.deliver()
    pair = at.messenger.letters[-1].reply.pair
    assert pair is not None
    return pair


async def test_a_story_from_a_recording(here: Room) -> None:
    reply = await commands.story(here.desk, ANNA, replace(GROUP, message="55"), song(), words=200, seed=5, dedupe="u1")
    assert reply.job == 1 and not reply.private and button(reply, "cancel") == "cancel:1"
    assert "number 1" in texts(reply)
    job = await here.queue.job(1)
    assert job is not None and isinstance(job.request, StoryRequest) and isinstance(job.request.source, FileSource)
    kept = Path(job.request.source.path)
    assert (kept.read_bytes(), job.request.source.name, job.request.words, job.request.seed) == (
        SONG,
        "song.mp3",
        200,
        5,
    )
    assert kept.parent == here.desk.inbox.folder and "song" not in kept.name

    await here.desk.posted(reply.job, Posted("-100", "56"), reply.language)
    await here.finish()
    assert await here.deliver() == 1
    (letter,) = here.messenger.letters
    assert (letter.chat, letter.reply_to, letter.mention, letter.progress) == ("-100", "55", "1", Posted("-100", "56"))
    card = letter.reply
    assert texts(card).startswith("The *Lamp*\nIt was @everyone’s lamp.\nTo the music: Song (1:01)")
    assert "Seed 5" in texts(card) and "listener-1, teller-1" in texts(card)
    assert [type(part) for part in card.parts if not hasattr(part, "style")] == [Picture, Document]
    assert {button(card, verb) for verb in ("again", "other", "why", "delete")} == {
        "again:1", "other:1", "why:1", "delete:1"
    }  # fmt: skip
    assert card.pair == 1


async def test_the_same_update_twice_is_one_job(here: Room) -> None:
    assert await ask(here, dedupe="u1") == await ask(here, dedupe="u1")
    assert await ask(here, dedupe="u2") == 2


async def test_a_composition_from_words_and_from_a_file(here: Room) -> None:
    here.desk.messengers["telegram"] = here.messenger
    first = await commands.compose(here.desk, ANNA, HOME, "It was a calm evening.", seconds=30)
    text = Upload("tale.txt", None, file_of("\ufeffEin ruhiger Abend, 平靜.".encode()))
    second = await commands.compose(here.desk, ANNA, HOME, text)
    requests = [(await here.queue.job(reply.job)).request for reply in (first, second)]  # type: ignore[union-attr,arg-type]
    possible = (0, CONFIG.engine.stages.sketches)
    assert all(isinstance(request, ComposeRequest) and request.sketches in possible for request in requests)
    assert [replace(request, sketches=None) for request in requests] == [
        ComposeRequest("It was a calm evening.", 30.0, None, "mp3", max_bytes=here.messenger.largest),
        ComposeRequest("Ein ruhiger Abend, 平靜.", 60.0, None, "mp3", max_bytes=here.messenger.largest),
    ]
    await here.finish()
    await here.deliver()
    (letter,) = here.messenger.letters
    audio = letter.reply.parts[0]
    assert isinstance(audio, Audio) and letter.mention is None  # nobody is pinged where they are alone
    assert (audio.title, audio.name, audio.duration_s) == ("It was calm.", "tunetale-7.mp3", 60.0)


@pytest.mark.parametrize(
    ("source", "options", "sentence"),
    [
        ("not a link", {}, "Please send an audio file, or one http(s) link."),
        ("/etc/passwd", {}, "Please send an audio file"),
        ("file:///etc/passwd", {}, "Links of the kind file: are not supported"),
        ("https://a.example/x", {"language": "tlh"}, "The language 'tlh' is not known"),
        ("https://a.example/x", {"words": 1}, "The length of the story is"),
        ("https://a.example/x", {"seed": -1}, "A seed is a whole number"),
        ("https://a.example/x", {"title": " "}, "A title has 1 to 120"),
        (song(21_000_000, most_bytes=20_000_000), {}, "20 MB is the most that a bot can fetch from this platform"),
        (song(300_000_000), {}, "200 MB is the most"),
        (song(duration_s=1000.0), {}, "lasts 1000 s, and 900 s is the most"),
    ],
)
async def test_what_cannot_be_asked_for_is_said(
    here: Room, source: Upload | str, options: dict[str, object], sentence: str
) -> None:
    reply = await commands.story(here.desk, ANNA, GROUP, source, **options)  # type: ignore[arg-type]
    assert sentence in texts(reply) and reply.private and reply.job is None
    assert await here.desk.overview.depth() == (0, 0)
    assert not here.desk.inbox.folder.exists()  # nothing was fetched for it


async def test_a_file_that_grows_while_it_is_fetched_is_not_kept(here: Room) -> None:
    limits = replace(here.desk.config.engine.media, max_bytes=4)
    here.desk.config = replace(here.desk.config, engine=replace(here.desk.config.engine, media=limits))
    reply = await commands.story(here.desk, ANNA, GROUP, Upload("x", None, file_of(SONG)))
    assert "is the most" in texts(reply)
    assert list(here.desk.inbox.folder.iterdir()) == []


async def test_a_download_that_fails_leaves_nothing(here: Room) -> None:
    async def fetch(path: Path) -> None:
        path.write_bytes(b"half")
        raise Transient("The platform is away.", code="platform")

    reply = await commands.story(here.desk, MEI, GROUP, Upload("x", 9, fetch))
    assert texts(reply) == "平台暫時沒有回應；請稍後再試。"
    assert list(here.desk.inbox.folder.iterdir()) == []


async def test_a_bug_shows_a_number_and_keeps_the_trace(here: Room, caplog: pytest.LogCaptureFixture) -> None:
    async def fetch(path: Path) -> None:
        raise ZeroDivisionError

    reply = await commands.story(here.desk, ANNA, GROUP, Upload("x", 9, fetch))
    assert "incident" in texts(reply) and "ZeroDivision" not in texts(reply)
    number = texts(reply).split("incident ")[1].split(")")[0]
    assert number in caplog.text and "ZeroDivisionError" in caplog.text


async def test_quotas_name_their_numbers_in_both_languages(tmp_path: Path) -> None:
    async with room(tmp_path, policy=Policy(per_person=1)) as here:
        for actor, sentence in (
            (ANNA, "You already have 1 request waiting, and 1 is the most for one person"),
            (MEI, "你已經有 1 個請求在等候，每人最多 1 個"),
        ):
            assert (await commands.compose(here.desk, actor, GROUP, "A calm day.")).job is not None
            reply = await commands.compose(here.desk, actor, GROUP, "A calm day.")
            assert reply.job is None and sentence in texts(reply)


async def test_p7_the_quota_of_work_names_its_numbers_in_both_languages(tmp_path: Path) -> None:
    async with room(tmp_path, policy=Policy(work_s=60.0)) as here:
        for actor, sentence in (
            (ANNA, "Your requests took 1.67 minutes of work within an hour, and 1 is the most for one person"),
            (MEI, "你的請求在一小時內用了 1.67 分鐘的運算時間，每人最多 1 分鐘；請在 60 分鐘後再試。"),
        ):
            assert (await commands.compose(here.desk, actor, GROUP, "A calm day.")).job is not None
            lease = await here.claim()
            here.clock.advance(100.0)
            await here.queue.finish(lease.token, make(lease))
            reply = await commands.compose(here.desk, actor, GROUP, "A calm day.")
            assert reply.job is None and sentence in texts(reply)
            other = await commands.compose(here.desk, BEN, GROUP, "A calm day.")
            assert other.job is not None
            await here.queue.cancel(other.job)
        here.clock.advance(3601.0)
        assert (await commands.compose(here.desk, ANNA, GROUP, "A calm day.")).job is not None


async def test_the_queue_in_view(here: Room) -> None:
    assert "None of them is yours" in texts(await commands.queue(here.desk, ANNA, HOME))
    first = await ask(here)
    await here.claim()
    second = (await commands.compose(here.desk, ANNA, GROUP, "A calm day.")).job
    await commands.compose(here.desk, MEI, GROUP, "A calm day.")
    view = await commands.queue(here.desk, ANNA, GROUP)
    assert "2 requests wait and 1 is being worked on." in texts(view)
    assert f"{first} · story of “song.mp3” · Beginning" in texts(view)
    assert f"{second} · music of a story · Waiting: number 1 in the queue" in texts(view)
    assert [row[0].token for row in view.buttons] == [f"cancel:{first}", f"cancel:{second}"]


async def test_cancel_by_the_asker_or_an_admin_here_and_nobody_else(here: Room) -> None:
    job = await ask(here)
    assert "Only who asked for it" in texts(await commands.cancel(here.desk, BEN, GROUP, job))
    assert (await here.queue.job(job)).state == "queued"  # type: ignore[union-attr]
    elsewhere = Place("telegram", "-200", "group")
    await commands.cancel(here.desk, BOSS, elsewhere, job)
    assert (await here.queue.job(job)).state == "queued"  # type: ignore[union-attr]
    assert "is cancelled" in texts(await commands.cancel(here.desk, BOSS, GROUP, job))
    assert (await here.queue.job(job)).state == "cancelled"  # type: ignore[union-attr]
    assert "over already" in texts(await commands.cancel(here.desk, BOSS, GROUP, job))
    assert "no such request" in texts(await commands.cancel(here.desk, ANNA, GROUP, 99))


async def test_cancel_without_a_number(here: Room) -> None:
    assert "no request that could be cancelled" in texts(await commands.cancel(here.desk, ANNA, GROUP))
    first, second = await ask(here), await ask(here)
    which = await commands.cancel(here.desk, ANNA, GROUP)
    assert [row[0].token for row in which.buttons] == [f"cancel:{first}", f"cancel:{second}"]
    await press(here.desk, ANNA, GROUP, which.buttons[0][0].token)
    await here.claim()  # a running one as well
    assert "is cancelled" in texts(await commands.cancel(here.desk, ANNA, GROUP))
    assert await here.desk.overview.depth() == (0, 0)


async def test_again_has_a_new_seed_and_belongs_to_who_pressed(here: Room) -> None:
    await made(here)
    reply = await press(here.desk, MEI, GROUP, "again:1", dedupe="press 1")
    job = await here.queue.job(reply.job or 0)
    assert job is not None and job.asker.person == MEI.person
    old = await here.queue.job(1)
    assert old is not None and isinstance(job.request, StoryRequest) and isinstance(old.request, StoryRequest)
    assert job.request.seed not in (None, 7) and job.request.source == old.request.source
    assert (await press(here.desk, MEI, GROUP, "again:1", dedupe="press 1")).job == reply.job


async def test_again_after_a_failure_is_the_same_again(here: Room) -> None:
    await ask(here, seed=3)
    for _ in range(2):
        await here.fail(Crashed("The worker died."))
        here.clock.advance(60)
    await here.deliver()
    card = here.messenger.letters[0].reply
    assert "The worker died." in texts(card) and "Incident" in texts(card)
    job = await here.queue.job((await press(here.desk, ANNA, GROUP, button(card, "again"))).job or 0)
    assert job is not None and isinstance(job.request, StoryRequest) and job.request.seed == 3


async def test_a_bad_request_offers_no_second_try_and_speaks_chinese(here: Room) -> None:
    reply = await commands.story(here.desk, MEI, GROUP, song())
    await here.desk.posted(reply.job, Posted("-100", "5"), reply.language)
    await here.fail(UserError("“song.mp3” is silent; please send a recording with sound.", code="silent"))
    await here.deliver()
    card = here.messenger.letters[0].reply
    assert texts(card).split("\n")[0] == "這段錄音沒有聲音；請傳送有聲音的錄音。" and card.buttons == ()


async def test_the_round_trip(here: Room) -> None:
    here.desk.messengers["telegram"] = here.messenger
    pair = await made(here)
    there = await press(here.desk, MEI, GROUP, f"other:{pair}")
    job = await here.queue.job(there.job or 0)
    assert job is not None and isinstance(job.request, ComposeRequest)
    assert job.request.text == "It was @everyone’s lamp."
    assert job.request.max_bytes == here.messenger.largest
    await here.finish()
    await here.deliver()
    back = await press(here.desk, ANNA, GROUP, button(here.messenger.letters[-1].reply, "other"))
    job = await here.queue.job(back.job or 0)
    assert job is not None and isinstance(job.request, StoryRequest) and isinstance(job.request.source, FileSource)
    assert Path(job.request.source.path).read_bytes() == b"mp3"
    assert Path(job.request.source.path).parent == here.desk.inbox.folder  # a copy: the pair may go


async def test_why_explains_beat_by_beat(here: Room) -> None:
    pair = await made(here)
    reply = await press(here.desk, ANNA, GROUP, f"why:{pair}")
    assert "0:00–1:01: the music feels calm (valence +0.10, arousal +0.30)" in texts(reply)
    assert "distance 0.10" in texts(reply) and reply.private
    (document,) = [part for part in reply.parts if isinstance(part, Document)]
    assert document.data is not None and b'"kind":"story"' in document.data


async def test_buttons_from_elsewhere_reach_nothing(here: Room) -> None:
    pair = await made(here)
    elsewhere = Place("telegram", "-200", "group")
    for token in (f"why:{pair}", f"other:{pair}", f"delete:{pair}", "why:99"):
        assert "deleted" in texts(await press(here.desk, BEN, elsewhere, token))
    assert "somewhere else" in texts(await press(here.desk, BEN, elsewhere, "again:1"))
    for forged in ("", "again", "again:x", "rate:1:9", "nonsense:1", "why:1" + "0" * 60, "yes:../..", "why:１"):
        reply = await press(here.desk, BEN, GROUP, forged)
        assert reply.private and reply.job is None and "incident" not in texts(reply), forged


async def test_delete_asks_first_and_takes_files_message_and_words(here: Room) -> None:
    pair = await made(here)
    assert "Only who asked for it" in texts(await press(here.desk, BEN, GROUP, f"delete:{pair}"))
    sure = await press(here.desk, ANNA, GROUP, f"delete:{pair}")
    assert "cannot be undone" in texts(sure) and (here.folder / "1-1").is_dir()
    assert "no longer open" in texts(await press(here.desk, BOSS, GROUP, button(sure, "yes")))  # not their question
    gone = await press(here.desk, ANNA, GROUP, button(sure, "yes"))
    assert set(gone.erase) == set(here.messenger.shown) and gone.replaces
    assert not (here.folder / "1-1").exists() and await here.desk.overview.result(1) is None
    assert "deleted" in texts(await press(here.desk, ANNA, GROUP, f"why:{pair}"))
    assert "no longer kept" in texts(await press(here.desk, ANNA, GROUP, "again:1"))


async def test_a_no_and_a_late_yes_change_nothing(here: Room) -> None:
    pair = await made(here)
    first = await press(here.desk, ANNA, GROUP, f"delete:{pair}")
    assert texts(await press(here.desk, ANNA, GROUP, button(first, "no"))) == "Nothing was changed."
    assert "no longer open" in texts(await press(here.desk, ANNA, GROUP, button(first, "yes")))
    late = await press(here.desk, ANNA, GROUP, f"delete:{pair}")
    here.clock.advance(61)
    assert "no longer open" in texts(await press(here.desk, ANNA, GROUP, button(late, "yes")))
    assert (here.folder / "1-1").is_dir()


async def test_a_rating_counts_for_others_only(here: Room) -> None:
    pair = await made(here)
    assert "Your rating 4 counts" in texts(await press(here.desk, BEN, GROUP, f"rate:{pair}:4"))
    assert "You made this pair yourself" in texts(await press(here.desk, ANNA, GROUP, f"rate:{pair}:5"))
    assert "taken back" in texts(await commands.rate(here.desk, BEN, GROUP, pair, None, via="button"))


async def test_language_by_person_then_place_then_platform(here: Room) -> None:
    assert texts(await commands.language(here.desk, MEI, HOME)).startswith("TuneTale 要用哪種語言")
    chosen = await press(here.desk, MEI, GROUP, "language:en")
    assert "speaks English" in texts(chosen) and chosen.replaces
    assert texts(await commands.help(here.desk, MEI, HOME)).startswith("TuneTale\n")
    assert "not known" in texts(await commands.language(here.desk, MEI, GROUP, "tlh"))
    crowd = replace(MEI, shared=True)
    assert "共用的身分" in texts(await commands.language(here.desk, crowd, GROUP, "en"))


async def test_the_owner_may_everywhere(here: Room) -> None:
    job = await ask(here)
    assert "is cancelled" in texts(await commands.cancel(here.desk, OWNER, HOME, job))


async def test_where_nothing_can_be_posted_later_nothing_is_promised(here: Room) -> None:
    reply = await commands.compose(here.desk, ANNA, replace(GROUP, can_post=False), "A calm day.")
    assert reply.job is None and "cannot post its answer here" in texts(reply)


def test_the_fake_is_a_messenger() -> None:
    from bot.contract import Messenger

    messenger: Messenger = FakeMessenger()
    assert messenger.platform == "telegram"
