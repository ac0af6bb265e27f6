"""What people do in chat, on every platform alike: one function for each command and button.

Each takes the desk, who acts and where, and returns a `Reply`; none raises (see `bot.desk.use_case`). `dedupe` is the
platform's id of what the person did (Discord: the interaction; Telegram: `chat:message` or the update): the same twice
is one job. Wishes are checked by `bot.wishes`, made by the engine's queue, answered through the outbox.
"""

from __future__ import annotations

from typing import Literal

from bot.contract import Actor, Place, Posted, Reply, Upload
from bot.desk import Desk, use_case


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
    raise NotImplementedError


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
    raise NotImplementedError


@use_case
async def queue(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Show the person's requests that are not over, with position, time and stage, and a button to cancel each."""
    raise NotImplementedError


@use_case
async def cancel(desk: Desk, actor: Actor, place: Place, job: int | None = None) -> Reply:
    """Cancel a request: one's own, or as an admin any of this server or chat. None: the only one, or ask which."""
    raise NotImplementedError


@use_case
async def again(desk: Desk, actor: Actor, place: Place, job: int, *, dedupe: str | None = None) -> Reply:
    """Ask for the same once more with a new seed (after a failure: with the same); the new job is the presser's."""
    raise NotImplementedError


@use_case
async def other_way(desk: Desk, actor: Actor, place: Place, pair: int, *, dedupe: str | None = None) -> Reply:
    """Compose from the story of a pair, or tell the story of its music: the round trip."""
    raise NotImplementedError


@use_case
async def why(desk: Desk, actor: Actor, place: Place, pair: int) -> Reply:
    """Explain a pair beat by beat: what was heard, what was written, how far apart they are."""
    raise NotImplementedError


@use_case
async def delete(desk: Desk, actor: Actor, place: Place, pair: int) -> Reply:
    """Take a pair away, after a confirmation: its maker, or an admin of its server or chat. Files go, messages too."""
    raise NotImplementedError


@use_case
async def rate(
    desk: Desk, actor: Actor, place: Place, pair: int, value: int | None, *, via: Literal["button", "reaction"]
) -> Reply:
    """Give a pair 0–5, or take the rating back (None). The reply says what counts now; reactions need not show it."""
    raise NotImplementedError


@use_case
async def publish(desk: Desk, actor: Actor, place: Place, pair: int | None = None, *, on: bool = True) -> Reply:
    """Let one's own pair be heard in other servers' listening tests, or take that back. None: the newest here."""
    raise NotImplementedError


@use_case
async def help(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Say what can be asked for and how."""
    raise NotImplementedError


@use_case
async def language(desk: Desk, actor: Actor, place: Place, choice: str | None = None) -> Reply:
    """Speak this language to the person from now on; None shows the choices as buttons."""
    raise NotImplementedError


async def posted_where(desk: Desk, posted: Posted) -> int | None:
    """Return the pair that a message of ours shows (for raw reaction events); None when it shows none."""
    raise NotImplementedError
