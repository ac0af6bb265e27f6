"""Progress and delivery: what is edited when, and what becomes of an answer that nobody can be given."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from bot import commands
from bot.contract import Gone, Posted, RetryLater, Upload
from bot.deliver import LONGEST_RETRY_S, MAX_FAULTS, RETRY_S, attend
from bot.follow import CHAT_GAP_S, GAP_S, Pace
from engine.errors import Transient
from engine.jobs import Progress
from tests.fakes.chat import ANNA, BEN, CONFIG, GROUP, HOME, MEI, Room, file_of, make, room, texts
from tests.fakes.clock import FakeClock


async def follow(at: Room, message: str = "5", actor: object = ANNA) -> int:
    reply = await commands.compose(at.desk, actor, GROUP, "A calm day.")  # type: ignore[arg-type]
    assert reply.job is not None
    await at.desk.posted(reply.job, Posted("-100", message), reply.language)
    return reply.job


async def look(at: Room, seconds: float = CHAT_GAP_S) -> str:
    """Let time pass and return what the newest edit says, if there is a new one."""
    at.clock.advance(seconds)
    before = len(at.messenger.edits)
    await at.follower.look()
    return texts(at.messenger.edits[-1][1]) if len(at.messenger.edits) > before else ""


def test_a_pace() -> None:
    clock = FakeClock()
    pace = Pace(clock)
    assert pace.due("a")
    pace.done("a", 3.0)
    clock.advance(2.9)
    assert not pace.due("a") and pace.due("b")
    clock.advance(0.1)
    assert pace.due("a")
    pace.hold(200.0)
    pace.hold(1.0)  # a shorter pause does not end a longer one
    clock.advance(199.0)
    assert not pace.due("b")
    clock.advance(1.0)
    assert pace.due("b")


async def test_a_job_is_followed_from_waiting_to_its_answer(here: Room) -> None:
    job = await follow(here)
    assert "number 1 in the queue" in await look(here)
    assert await look(here) == ""  # nothing new, nothing edited
    lease = await here.claim()
    assert "Beginning" in await look(here)
    here.queue.note(lease.token, Progress("compose", 0.4))
    assert "Composing: 40 %" in await look(here)
    here.queue.note(lease.token, Progress("compose", 0.5))
    assert await look(here, GAP_S - 0.1) == ""  # too soon
    assert "Composing: 50 %" in await look(here)
    await here.queue.finish(lease.token, make(lease))
    assert await look(here) == ""  # its answer says the rest
    await here.deliver()
    assert here.messenger.letters[0].progress == Posted("-100", "5")
    assert await look(here) == "" and job == 1


async def test_the_time_to_go_comes_from_what_jobs_took(here: Room) -> None:
    await follow(here)
    lease = await here.claim()
    here.clock.advance(120.0)
    await here.queue.finish(lease.token, make(lease))
    await follow(here, "6", BEN)
    assert "about 2 min to go" in await look(here)
    lease = await here.claim()
    here.clock.advance(60.0)
    status = await here.desk.status(lease.job.id)
    assert status is not None and status.eta_s == pytest.approx(60.0)
    here.clock.advance(300.0)  # longer than ever: still a time, and never zero
    late = await here.desk.status(lease.job.id)
    assert late is not None and late.eta_s is not None and late.eta_s > 10.0


async def test_a_cancelled_job_says_so_once_and_never_posts(here: Room) -> None:
    job = await follow(here)
    lease = await here.claim()
    await here.queue.cancel(job)
    assert not await here.queue.finish(lease.token, make(lease))
    assert await look(here) == f"Your request is number {job}.\nCancelled."
    assert here.messenger.edits[-1][1].buttons == ()
    assert await look(here) == "" and await here.deliver() == 0


async def test_following_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with room(tmp_path) as here:
        await follow(here, actor=MEI)
    async with room(tmp_path) as here:
        assert "排在第 1 位" in await look(here)


async def test_an_answer_that_was_out_before_its_message_was_known(here: Room) -> None:
    reply = await commands.compose(here.desk, ANNA, GROUP, "A calm day.")
    await here.finish()
    await here.deliver()
    await here.desk.posted(reply.job, Posted("-100", "5"), reply.language)
    assert "Done." in await look(here)
    assert await look(here) == ""


async def test_a_chat_is_not_flooded_and_nobody_starves(here: Room) -> None:
    for number, actor in enumerate((ANNA, BEN, MEI)):
        await follow(here, f"{number}", actor)
    for seconds in (1.0, 1.0, 1.0, CHAT_GAP_S, CHAT_GAP_S):
        await look(here, seconds)
    assert len(here.messenger.edits) == 3
    assert {posted.message for posted, _ in here.messenger.edits} == {"0", "1", "2"}


async def test_a_message_that_is_gone_is_not_edited_again(here: Room) -> None:
    await follow(here)
    here.messenger.troubles = [Gone("message deleted")]
    await look(here)
    await look(here)
    assert here.messenger.calls == 1
    await here.finish()
    await here.deliver()
    assert here.messenger.letters[0].progress is None


async def test_a_platform_that_asks_for_a_pause_gets_it(here: Room) -> None:
    await follow(here)
    here.messenger.troubles = [RetryLater("Too many requests", 200.0)]
    await look(here)
    for _ in range(10):
        await look(here, 19.0)
    assert here.messenger.calls == 1
    assert "number 1" in await look(here, 10.0)


async def test_a_postponed_answer_is_delivered_once(here: Room) -> None:
    await follow(here)
    await here.finish()
    here.messenger.troubles = [RetryLater("Too many requests", 200.0), Transient("503")]
    assert await here.deliver() == 0
    here.clock.advance(199.0)
    assert await here.queue.next_answer("telegram") is None
    here.clock.advance(2.0)
    assert await here.deliver() == 0
    here.clock.advance(LONGEST_RETRY_S)
    assert await here.deliver() == 1 and await here.deliver() == 0
    assert len(here.messenger.letters) == 1


async def test_a_chat_that_is_gone_gets_its_answer_in_private(here: Room) -> None:
    await follow(here)
    await here.finish()
    here.messenger.broken = {"-100"}
    assert await here.deliver() == 1
    (letter,) = here.messenger.letters
    assert (letter.chat, letter.mention, letter.progress, letter.sent) == ("1", None, None, {})
    assert texts(letter.reply).startswith("The chat where you asked for this cannot be reached any more")


async def test_who_cannot_be_reached_at_all_is_dropped_but_kept_in_the_store(here: Room) -> None:
    await follow(here)
    await here.finish()
    here.messenger.broken = {"-100", "1"}
    assert await here.deliver() == 0 and await here.deliver() == 0
    assert here.messenger.calls == 2  # no loop
    assert await here.desk.overview.result(1) is not None


async def test_the_owner_may_have_such_answers_dropped(tmp_path: Path) -> None:
    config = replace(CONFIG, limits=replace(CONFIG.limits, gone="drop"))
    async with room(tmp_path, config) as here:
        await follow(here)
        await here.finish()
        here.messenger.broken = {"-100"}
        assert await here.deliver() == 0 and here.messenger.letters == []


async def test_our_own_fault_is_not_repeated_for_ever(here: Room, caplog: pytest.LogCaptureFixture) -> None:
    await follow(here)
    await here.finish()
    here.messenger.troubles = [ZeroDivisionError() for _ in range(9)]
    for _ in range(9):
        await here.deliver()
        here.clock.advance(LONGEST_RETRY_S)
    assert here.messenger.calls == MAX_FAULTS and "ZeroDivisionError" in caplog.text


async def test_files_that_are_too_large_become_a_sentence(here: Room) -> None:
    await follow(here)
    here.messenger.largest = 2
    await here.finish()
    await here.deliver()
    assert "tunetale-7.mp3 has 0 MB" in texts(here.messenger.letters[0].reply)


async def test_what_is_out_is_told_to_the_next_attempt(here: Room) -> None:
    await follow(here)
    await here.finish()
    posted = here.messenger.post

    async def half(letter: object, note: object) -> Posted:
        await note(0, "900")  # type: ignore[operator]
        here.messenger.post = posted  # type: ignore[method-assign]
        raise Transient("connection lost")

    here.messenger.post = half  # type: ignore[method-assign]
    await here.deliver()
    here.clock.advance(RETRY_S)
    await here.deliver()
    assert here.messenger.letters[0].sent == {0: "900"}


async def test_p2_what_is_out_is_not_sent_again_though_the_store_could_not_be_told(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    await follow(here)
    await here.finish()
    posted = here.messenger.post

    async def full(body: object) -> None:
        raise Transient("The disk is full.")

    async def unheard(letter: object, note: object) -> Posted:
        here.messenger.post = posted  # type: ignore[method-assign]
        with monkeypatch.context() as patch:
            patch.setattr(here.desk.ledger, "write", full)
            await note(0, "900")  # type: ignore[operator]
        raise AssertionError

    here.messenger.post = unheard  # type: ignore[method-assign]
    await here.deliver()
    here.clock.advance(RETRY_S)
    assert await here.deliver() == 1
    assert here.messenger.letters[0].sent == {0: "900"}


async def test_an_interrupted_delivery_is_taken_up_at_once(here: Room) -> None:
    await follow(here)
    await here.finish()
    started = asyncio.Event()
    posted = here.messenger.post

    async def endless(letter: object, note: object) -> Posted:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    here.messenger.post = endless  # type: ignore[method-assign]
    delivery = asyncio.create_task(here.deliver())
    await asyncio.wait_for(started.wait(), 60)
    delivery.cancel()
    with suppress(asyncio.CancelledError):
        await delivery
    here.messenger.post = posted  # type: ignore[method-assign]
    assert await here.deliver() == 1


async def test_progress_never_overwrites_the_answer(here: Room) -> None:
    job = await follow(here)
    await here.finish()
    async with here.follower.lock(job):  # an edit is under way
        delivery = asyncio.create_task(here.deliver())
        await asyncio.sleep(0)
        assert here.messenger.letters == []
    assert await delivery == 1


async def test_attend_delivers_and_follows_until_cancelled(here: Room) -> None:
    await follow(here)
    await here.finish()
    arrived = asyncio.Event()
    posted = here.messenger.post

    async def post(letter: object, note: object) -> Posted:
        arrived.set()
        return await posted(letter, note)  # type: ignore[arg-type]

    here.messenger.post = post  # type: ignore[method-assign]
    attending = asyncio.create_task(attend(here.desk, here.messenger))
    await asyncio.wait_for(arrived.wait(), 60)
    assert here.desk.lags() == {"telegram": 0.25}
    attending.cancel()
    with suppress(asyncio.CancelledError):
        await attending
    assert here.desk.lags() == {}


async def test_a_private_chat_is_not_pinged(here: Room) -> None:
    song = Upload("x.mp3", 4, file_of(b"song"))
    await commands.story(here.desk, ANNA, HOME, song)
    await here.finish()
    await here.deliver()
    assert here.messenger.letters[0].mention is None
