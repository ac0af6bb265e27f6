"""What people do in chat, on every platform alike: one function for each command and button.

Each takes the desk, who acts and where, and returns a `Reply`; none raises (see `bot.desk.use_case`). `dedupe` is the
platform's id of what the person did (Discord: the interaction; Telegram: `chat:message` or the update): the same twice
is one job. Wishes are checked by `bot.wishes`, made by the engine's queue, answered through the outbox.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Literal

from bot import replies, variants
from bot.cards import why_of
from bot.contract import Actor, Button, Place, Reply, Text, Upload
from bot.desk import Desk, Visit, use_case
from bot.gate import check_may_cancel, is_here, is_mine, maker, pair_here, remove_pair
from bot.replies import say
from bot.round_trip import text_of
from bot.tokens import write
from bot.wishes import MAX_SEED, compose_request, link_of, parse_language, story_request
from db import people
from db.rows import PairRow
from engine.errors import UserError
from engine.jobs import (
    ComposeRequest,
    ComposeResult,
    FileSource,
    Job,
    LinkSource,
    Request,
    Result,
    StoryRequest,
    StoryResult,
)

CHAT_FORMAT = "mp3"
"""Both platforms play it where it is shown; Telegram's sendAudio takes nothing else but M4A."""
CHAT_SECONDS = 60.0
"""Length of the music when nobody says."""
SHOWN_JOBS = 5
"""Requests that are listed with a button each: one for each row that Discord shows."""


@use_case
async def story(
    desk: Desk,
    actor: Actor,
    place: Place,
    source: Upload | str,
    *,
    language: str | None = None,
    words: int | None = None,
    seed: int | None = None,
    title: str | None = None,
    dedupe: str | None = None,
) -> Reply:
    """Ask for the story of a recording or of an http(s) link; `language` None is the person's own."""
    visit = await maker(desk, actor, place)
    link = link_of(source) if isinstance(source, str) else None
    if link is not None and not (visit.settings.links and desk.config.engine.media.links):
        raise UserError("Links are switched off here; please send the audio file itself.", code="links_off_here")
    # The wish is checked before a file is fetched for it.
    wish = story_request(
        link or FileSource("", ""),
        language=language or visit.language,
        words=words,
        seed=seed,
        title=title,
        candidates=await variants.candidates(desk, visit),
        max_seconds=visit.settings.max_seconds,
    )
    if isinstance(source, Upload):
        wish = replace(wish, source=await _recording(desk, visit, source))
    return await _accepted(desk, visit, await desk.submit(visit, wish, dedupe))


@use_case
async def compose(
    desk: Desk,
    actor: Actor,
    place: Place,
    text: str | Upload,
    *,
    seconds: float | None = None,
    seed: int | None = None,
    format: str | None = None,
    dedupe: str | None = None,
) -> Reply:
    """Ask for the music of a story: words, or a UTF-8 text file; `format` None is MP3, which plays everywhere."""
    visit = await maker(desk, actor, place)
    limits = desk.config.engine.text
    if isinstance(text, Upload):
        text = await desk.inbox.read_text(text, limits.max_chars)
    wish = compose_request(
        text,
        limits,
        seconds=_seconds(visit, seconds),
        seed=seed,
        format=format or CHAT_FORMAT,
        sketches=await variants.sketches(desk, visit),
        max_bytes=desk.most_bytes(place),
    )
    return await _accepted(desk, visit, await desk.submit(visit, wish, dedupe))


@use_case
async def queue(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Show the person's requests that are not over, with position, time and stage, and a button to cancel each."""
    visit = await desk.visit(actor, place)
    waiting, running = await desk.overview.depth()
    mine = [] if visit.person_id is None else await desk.overview.live_of(visit.person_id)
    parts = [Text(say(visit.language, "queue.all", waiting=waiting, running=running))]
    if desk.mode == "pause":
        parts.append(Text(say(visit.language, "queue.paused")))
    if not mine:
        parts.append(Text(say(visit.language, "queue.none")))
    rows = []
    for job in mine:
        status = await desk.status(job.id)
        if status is not None:
            line = say(
                visit.language,
                "queue.job",
                job=job.id,
                what=_what(visit, job.request),
                where=replies.progress(visit.language, status),
            )
            parts.append(Text(line))
            rows.append((_cancel_button(visit, job.id, numbered=True),))
    return Reply(tuple(parts), tuple(rows[:SHOWN_JOBS]), private=True, language=visit.language)


@use_case
async def cancel(desk: Desk, actor: Actor, place: Place, job: int | None = None) -> Reply:
    """Cancel a request: one's own, or as an admin any of this server or chat. None: the only one, or ask which."""
    visit = await desk.visit(actor, place)
    mine = [] if visit.person_id is None else await desk.overview.live_of(visit.person_id)
    if job is None:
        if not mine:
            raise UserError("You have no request that could be cancelled.", code="nothing_to_cancel")
        if len(mine) > 1:
            rows = tuple((_cancel_button(visit, each.id, numbered=True),) for each in mine[:SHOWN_JOBS])
            return Reply((Text(say(visit.language, "queue.which")),), rows, private=True, language=visit.language)
        job = mine[0].id
    elif job not in {each.id for each in mine}:
        await check_may_cancel(desk, visit, job)
    if not await desk.queue.cancel(job):
        raise UserError("That request is over already.", code="job_over")
    return Reply((Text(say(visit.language, "queue.cancelled", job=job)),), private=True, language=visit.language)


@use_case
async def again(desk: Desk, actor: Actor, place: Place, job: int, *, dedupe: str | None = None) -> Reply:
    """Ask for the same once more with a new seed (after a failure: with the same); the new job is the presser's."""
    visit = await maker(desk, actor, place)
    old = await desk.queue.job(job)
    if old is None or not isinstance(old.request, StoryRequest | ComposeRequest):
        raise UserError("That request is no longer kept; please send it anew.", code="unknown_job")
    if not (is_mine(visit, old) or await is_here(desk, visit, old)):
        raise UserError("That request was made somewhere else; please send it anew here.", code="elsewhere")
    wish: StoryRequest | ComposeRequest = old.request
    seed = secrets.randbelow(MAX_SEED + 1) if old.state == "done" else wish.seed
    if isinstance(wish, StoryRequest):
        if isinstance(wish.source, LinkSource) and not (visit.settings.links and desk.config.engine.media.links):
            raise UserError("Links are switched off here; please send the audio file itself.", code="links_off_here")
        if desk.inbox.holds(wish) and not await desk.inbox.has(wish):
            raise UserError("That recording is no longer kept; please send it again.", code="recording_gone")
        wish = replace(wish, seed=seed, max_seconds=visit.settings.max_seconds)
    else:
        seconds = _seconds(visit, wish.seconds)
        wish = replace(wish, seed=seed, seconds=seconds, max_bytes=desk.most_bytes(place))
    return await _accepted(desk, visit, await desk.submit(visit, wish, dedupe))


@use_case
async def other_way(desk: Desk, actor: Actor, place: Place, pair: int, *, dedupe: str | None = None) -> Reply:
    """Compose from the story of a pair, or tell the story of its music: the round trip."""
    visit = await maker(desk, actor, place)
    row = await pair_here(desk, visit, pair)
    result, folder = await _result(desk, row)
    wish: Request
    if isinstance(result, StoryResult):
        wish = compose_request(
            text_of(result),
            desk.config.engine.text,
            seconds=_seconds(visit, None),
            format=CHAT_FORMAT,
            sketches=await variants.sketches(desk, visit),
            max_bytes=desk.most_bytes(place),
        )
    else:
        if result.files.audio is None:
            raise UserError("There is no music with this one any more.", code="deleted_pair")
        kept = await desk.inbox.copy(folder / result.files.audio, visit.person_id, desk.clock.now())
        source = FileSource(str(kept), result.files.audio)
        wish = story_request(
            source,
            language=visit.language,
            candidates=await variants.candidates(desk, visit),
            max_seconds=visit.settings.max_seconds,
        )
    return await _accepted(desk, visit, await desk.submit(visit, wish, dedupe))


@use_case
async def why(desk: Desk, actor: Actor, place: Place, pair: int) -> Reply:
    """Explain a pair beat by beat: what was heard, what was written, how far apart they are."""
    visit = await desk.visit(actor, place)
    result, _ = await _result(desk, await pair_here(desk, visit, pair))
    return why_of(result, visit.language)


@use_case
async def delete(desk: Desk, actor: Actor, place: Place, pair: int) -> Reply:
    """Take a pair away, after a confirmation: its maker, or an admin of its server or chat. Files go, messages too."""
    visit = await desk.visit(actor, place)
    row = await pair_here(desk, visit, pair)
    if row.person_id != visit.person_id and not (actor.admin or visit.owner):
        raise UserError("Only who asked for it, or an admin, can delete this.", code="not_yours")
    return desk.confirm(visit, say(visit.language, "delete.sure"), lambda: remove_pair(desk, visit, row))


@use_case
async def rate(
    desk: Desk, actor: Actor, place: Place, pair: int, value: int | None, *, via: Literal["button", "reaction"]
) -> Reply:
    """Give a pair 0–5, or take the rating back (None). The reply says what counts now; reactions need not show it."""
    visit = await desk.visit(actor, place, add=True)
    standing = await desk.ballots.vote(actor, pair, value, scope_id=visit.scope_id)
    if standing.score is None:
        text = say(visit.language, "rate.taken_back")
    elif standing.mean is None:
        text = say(visit.language, "rate.counted", score=standing.score)
    else:
        text = say(
            visit.language,
            "rate.mean",
            score=standing.score,
            count=standing.count,
            mean=f"{standing.mean:.2f}",
        )
    return Reply((Text(text),), private=True, language=visit.language)


@use_case
async def help(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Say what can be asked for and how."""
    visit = await desk.visit(actor, place)
    lines = [Text(say(visit.language, "help.title"), "heading"), Text(say(visit.language, "help.intro"))]
    listed = replies.commands(visit.language)
    lines.append(Text("\n".join(f"/{name}: {words}" for name, words in listed.items())))
    lines.append(Text(say(visit.language, "help.more"), "small"))
    return Reply(tuple(lines), private=True, language=visit.language)


@use_case
async def language(desk: Desk, actor: Actor, place: Place, choice: str | None = None) -> Reply:
    """Speak this language to the person from now on; None shows the choices as buttons."""
    visit = await desk.visit(actor, place, add=True)
    if choice is None:
        row = (Button("English", write("language", "en")), Button("繁體中文", write("language", "zh-TW")))
        return Reply((Text(say(visit.language, "language.which")),), (row,), private=True, language=visit.language)
    chosen, person_id = parse_language(choice), visit.person_id
    if person_id is None:
        raise UserError("An identity that many people share has no language of its own.", code="not_a_person")
    await desk.ledger.write(lambda conn: people.speak(conn, person_id, chosen))
    return Reply((Text(say(chosen, "language.set")),), private=True, replaces=True, language=chosen)


# --- what is made ------------------------------------------------------------------------------------------------


async def _recording(desk: Desk, visit: Visit, upload: Upload) -> FileSource:
    """Take a recording in. Raises `UserError` for one that is known to be too large or too long."""
    limits = desk.config.engine.media
    most_s = min(limits.max_seconds, visit.settings.max_seconds or limits.max_seconds)
    if upload.duration_s is not None and upload.duration_s > most_s:
        raise UserError(
            f"This recording lasts {upload.duration_s:.0f} s, and {most_s:.0f} s is the most here; please send a "
            "shorter one.",
            code="too_long_here",
        )
    if visit.person_id is None:
        raise UserError(
            "An identity that many people share cannot send files; please use your own.", code="not_a_person"
        )
    path = await desk.inbox.take(upload, visit.person_id, limits.max_bytes, desk.clock.now())
    return FileSource(str(path), upload.name)


def _seconds(visit: Visit, wished: float | None) -> float:
    """Return how long the music shall be; what nobody asked for is cut to the place's limit, a wish is refused."""
    most = visit.settings.max_seconds
    if wished is None:
        return CHAT_SECONDS if most is None else min(CHAT_SECONDS, most)
    if most is not None and wished > most:
        raise UserError(f"Music of {wished:g} s is too long here; {most:g} s is the most.", code="too_long_here")
    return wished


async def _accepted(desk: Desk, visit: Visit, job: Job) -> Reply:
    status = await desk.status(job.id)
    assert status is not None
    lines = [Text(say(visit.language, "queue.accepted", job=job.id)), Text(replies.progress(visit.language, status))]
    if desk.mode == "pause":
        lines.append(Text(say(visit.language, "queue.paused")))
    row = (_cancel_button(visit, job.id),)
    return Reply(tuple(lines), (row,), job=job.id, language=visit.language)


async def _result(desk: Desk, row: PairRow) -> tuple[StoryResult | ComposeResult, Path]:
    found: tuple[Result, str] | None = await desk.overview.result(row.job_id)
    if found is None or not isinstance(found[0], StoryResult | ComposeResult):
        raise UserError("This one has been deleted.", code="deleted_pair")
    return found[0], desk.queue.folder / found[1]


def _what(visit: Visit, request: Request) -> str:
    match request:
        case StoryRequest(source=FileSource(name=name)):
            return say(visit.language, "queue.story", name=name)
        case StoryRequest(source=LinkSource(url=url)):
            return say(visit.language, "queue.story", name=url)
        case _:
            return say(visit.language, "queue.compose")


def _cancel_button(visit: Visit, job: int, *, numbered: bool = False) -> Button:
    label = say(visit.language, "button.cancel_job", job=job) if numbered else say(visit.language, "button.cancel")
    return Button(label, write("cancel", job), danger=True)
