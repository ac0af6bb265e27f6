"""What every use case in chat needs: queue, store, settings, time; and how it ends in a reply whatever happens.

    adapter ──Actor, Place──▶ use case (bot.commands, privacy, admin, ballot, press) ──▶ Reply
                                   │ begins with `desk.visit`: who is it, where, in which language, may they?

Knows no platform and no markup.
"""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Concatenate, Literal, ParamSpec, cast, get_args

from bot.ballots import Ballots
from bot.cards import card_of, failure_of, fate_of
from bot.config import Config
from bot.contract import Actor, Button, Messenger, Place, Posted, Reply, Status, Text
from bot.inbox import Inbox
from bot.metrics import Metrics
from bot.places import PlaceSettings, read_settings
from bot.replies import explain, say
from bot.tokens import write
from db import outbox, pairs, people, settings, uploads
from db.outbox import FollowRow
from engine import forgotten
from engine.clock import Clock
from engine.errors import TuneTaleError, UserError, incident_id
from engine.jobs import Answer, Asker, Job, Language, Platform, Request
from engine.ledger import Connection, Ledger
from engine.overview import Overview, Standing
from engine.queue import Queue

log = logging.getLogger(__name__)
P = ParamSpec("P")

CONFIRM_S = 60.0
"""A confirmation is good for so long."""
Mode = Literal["open", "drain", "pause"]
"""What the whole program does: everything; nothing new, but what waits; nothing but what runs."""


@dataclass(frozen=True)
class Visit:
    """One person's act in one place, looked up in the store once."""

    actor: Actor
    place: Place
    language: Language
    settings: PlaceSettings
    """Of the server, or of the chat where there is none."""
    person_id: int | None
    """The person's row; None for somebody never seen and for shared identities."""
    chat_id: int | None
    """The chat's row; None for a chat never seen."""
    scope_id: int | None
    """The row that settings belong to: the server's, or the chat's."""
    owner: bool
    """Whether they own this installation (`[limits] owners`)."""


@dataclass(frozen=True)
class _Pending:
    """Something that waits for a person's yes."""

    actor: tuple[str, str]
    until: float
    deed: Callable[[], Awaitable[Reply]]


class Desk:
    """The one object that all use cases share; made by `tunetale run`, handed to each platform."""

    def __init__(self, queue: Queue, ledger: Ledger, config: Config, clock: Clock) -> None:
        self.queue = queue
        self.ledger = ledger
        self.config = config
        self.clock = clock
        self.overview = Overview(queue, clock, config.engine.worker.slots)
        self.ballots = Ballots(ledger, clock, self.fingerprint)
        self.inbox = Inbox(queue.folder, ledger)
        self.metrics = Metrics()
        self.mode: Mode = "open"
        self.messengers: dict[Platform, Messenger] = {}
        """The platforms that are connected now; `bot.deliver.attend` keeps it."""
        self._pending: dict[str, _Pending] = {}
        self._key: bytes | None = None

    # --- who and where --------------------------------------------------------------------------------------------

    async def visit(self, actor: Actor, place: Place, *, add: bool = False) -> Visit:
        """Look up who acts where; with `add` people and chats get their rows, so no id is None (but for `shared`)."""
        row, values = await self.ledger.read(lambda conn: _look(conn, actor, place))
        in_server = row.chat_id is not None and row.scope_id != row.chat_id
        known = row.person_id is not None and row.kind == place.kind and in_server == (place.server is not None)
        if add and not known:
            row, values = await self.ledger.write(lambda conn: _seen(conn, actor, place, self.clock.now()))
        found = read_settings(values)
        return Visit(
            actor=actor,
            place=place,
            language=spoken(None if actor.shared else row.language, found, actor.locale),
            settings=found,
            person_id=None if actor.shared else row.person_id,
            chat_id=row.chat_id,
            scope_id=row.scope_id,
            owner=not actor.shared and f"{actor.platform}:{actor.person}" in self.config.limits.owners,
        )

    async def moved(self, platform: Platform, old: str, new: str) -> None:
        """Take note that a chat goes on under another id, with its settings and what was asked there."""
        if await self.ledger.write(lambda conn: people.move_chat(conn, platform, old, new)):
            log.info("%s: a chat goes on under another id", platform)

    async def language(self, actor: Actor, place: Place) -> Language:
        """Return the language to speak, even when the store cannot be asked."""
        try:
            return (await self.visit(actor, place)).language
        except TuneTaleError:
            return spoken(None, PlaceSettings(), actor.locale)

    async def fingerprint(self, platform: str, person: str) -> str:
        """Return what a person is blocked by: a keyed hash, from which nobody can read who it is."""
        if self._key is None:
            self._key = await self.ledger.write(forgotten.key)
        return forgotten.fingerprint(self._key, platform, person)

    async def blocked(self, visit: Visit) -> bool:
        """Return whether the person is kept out of this server or chat, or of everything."""
        who = await self.fingerprint(visit.actor.platform, visit.actor.person)
        return await self.ledger.read(lambda conn: settings.blocked(conn, who, visit.scope_id))

    # --- jobs -----------------------------------------------------------------------------------------------------

    async def posted(self, job: int | None, posted: Posted, language: Language) -> None:
        """Remember the message that follows a job: call it once the `Reply` with this `job` is out. None: nothing.

        From then on the core edits it through `Messenger.edit`, also after a restart, and hands it to `Messenger.post`
        as `Letter.progress` when the answer is there.
        """
        if job is None:
            return
        row = FollowRow(job, posted.chat, posted.message, language)
        await self.ledger.write(lambda conn: outbox.follow(conn, row))

    async def status(self, job: int) -> Status | None:
        """Return where a job stands; None for an unknown one."""
        standing = await self.overview.standing(job)
        return None if standing is None else status_of(standing, self.clock.now())

    async def card(self, answer: Answer) -> Reply:
        """Return what a finished job has to say: title, story, picture, read-along, fit, models, seed, buttons; or why
        it failed, with a button to try again."""
        asker = answer.asker
        row = await self.ledger.read(lambda conn: outbox.following(conn, answer.job_id))
        language = None if row is None else _language(row.language)
        if language is None:
            actor, place = Actor(asker.platform, asker.person), Place(asker.platform, asker.chat, "group")
            language = (await self.visit(actor, place)).language
        if answer.result is None or answer.folder is None:
            return await self._with_fate(answer.job_id, failure_of(answer, language))
        pair = await self.ledger.read(lambda conn: pairs.of_job(conn, answer.job_id))
        card = card_of(answer.job_id, answer.result, answer.folder, None if pair is None else pair.id, language)
        return await self._with_fate(answer.job_id, card)

    async def _with_fate(self, job_id: int, card: Reply) -> Reply:
        """Say under a card what becomes of the file that the person had sent, if it was one."""
        job = await self.queue.job(job_id)
        if job is None or not self.inbox.holds(job.request):
            return card
        kept = await self.ledger.read(lambda conn: uploads.kept(conn, job_id))
        return fate_of(card, kept, self.config.retention)

    def most_bytes(self, place: Place) -> int | None:
        """Return the largest file that can be sent to a place; None where nothing is sent, or nobody is connected."""
        messenger = self.messengers.get(place.platform)
        return None if messenger is None else messenger.most_bytes(place.chat)

    async def submit(self, visit: Visit, request: Request, dedupe: str | None) -> Job:
        """Hand a request to the queue under the limits of its place. Raises `UserError` when they are full."""
        own, policy = visit.settings, self.queue.policy
        return await self.queue.submit(
            request,
            asker_of(visit),
            dedupe=dedupe,
            policy=replace(
                policy,
                per_person=policy.per_person if own.per_person is None else own.per_person,
                per_chat=policy.per_chat if own.per_chat is None else own.per_chat,
            ),
        )

    # --- the whole program ----------------------------------------------------------------------------------------

    async def restore(self) -> None:
        """Take up the mode that the owner had set before the program ended."""
        mode = await self.ledger.read(lambda conn: settings.house(conn, "mode"))
        self._set_mode(cast(Mode, mode) if mode in get_args(Mode) else "open")

    async def set_mode(self, mode: Mode) -> None:
        """Set what the whole program does, also after a restart."""
        await self.ledger.write(lambda conn: settings.put_house(conn, "mode", mode))
        self._set_mode(mode)

    def _set_mode(self, mode: Mode) -> None:
        self.mode = mode
        self.queue.pause(mode == "pause")

    def lags(self) -> dict[Platform, float | None]:
        """Return how far each connected platform is behind, in seconds; None while it is out of reach."""
        return {name: messenger.lag_s() for name, messenger in self.messengers.items()}

    # --- confirmations --------------------------------------------------------------------------------------------

    def confirm(self, visit: Visit, question: str, deed: Callable[[], Awaitable[Reply]]) -> Reply:
        """Ask a person whether they mean it; `deed` is done when the same person says yes within `CONFIRM_S`."""
        now = self.clock.now()
        self._pending = {key: pending for key, pending in self._pending.items() if pending.until > now}
        key = secrets.token_hex(8)
        self._pending[key] = _Pending((visit.actor.platform, visit.actor.person), now + CONFIRM_S, deed)
        yes = Button(say(visit.language, "button.yes"), write("yes", key), danger=True)
        no = Button(say(visit.language, "button.no"), write("no", key))
        return Reply((Text(question),), ((yes, no),), private=True, language=visit.language)

    async def confirmed(self, visit: Visit, key: str, yes: bool) -> Reply:
        """Do, or leave, what waits for this person's answer. Raises `UserError` when nothing does any more."""
        pending = self._pending.get(key)
        who = (visit.actor.platform, visit.actor.person)
        if pending is None or pending.actor != who or pending.until <= self.clock.now():
            raise UserError("That question is no longer open; please ask again.", code="confirmation_over")
        del self._pending[key]
        if yes:
            return replace(await pending.deed(), replaces=True)
        text = Text(say(visit.language, "chat.left"))
        return Reply((text,), private=True, replaces=True, language=visit.language)


def use_case(
    body: Callable[Concatenate[Desk, Actor, Place, P], Awaitable[Reply]],
) -> Callable[Concatenate[Desk, Actor, Place, P], Awaitable[Reply]]:
    """Make a use case end in a `Reply`, never in an exception (but cancellation).

    `UserError` and `Transient` become their sentence in the person's language, privately; anything else an incident id,
    with the trace in the log.
    """

    @functools.wraps(body)
    async def safe(desk: Desk, actor: Actor, place: Place, /, *args: P.args, **kwargs: P.kwargs) -> Reply:
        try:
            return await body(desk, actor, place, *args, **kwargs)
        except TuneTaleError as error:
            if error.fault != "asker":
                log.warning("%s: %s", body.__name__, error.message)
            language = await desk.language(actor, place)
            text = explain(language, error.code, error.message)
        except Exception:  # whatever it was, the person gets an incident id and the log the trace
            incident = incident_id()
            log.exception("incident %s in %s", incident, body.__name__)
            language = spoken(None, PlaceSettings(), actor.locale)
            text = say(language, "error.ours", incident=incident)
        return Reply((Text(text),), private=True, language=language)

    return safe


def spoken(chosen: str | None, of_place: PlaceSettings, locale: str | None) -> Language:
    """Return the language to speak: the person's choice, then the place's, then the platform's, then English."""
    if (own := _language(chosen)) is not None:
        return own
    if of_place.language is not None:
        return of_place.language
    # Every Chinese: traditional characters are closer to any Chinese reader than English is.
    return "zh-TW" if (locale or "").lower().startswith("zh") else "en"


def asker_of(visit: Visit) -> Asker:
    """Return the address of the answer to what is asked in a visit."""
    return Asker(visit.actor.platform, visit.actor.person, visit.place.chat, visit.place.message)


def status_of(standing: Standing, now: float) -> Status:
    """Return where a job stands as it is told to people."""
    job, progress = standing.job, standing.progress
    return Status(
        job=job.id,
        kind=job.request.kind,
        state=job.state,
        position=standing.position,
        eta_s=standing.eta_s,
        stage=None if progress is None else progress.stage,
        percent=None if progress is None else int(100 * progress.fraction),
        elapsed_s=now - job.created,
    )


def _language(text: str | None) -> Language | None:
    return cast(Language, text) if text in get_args(Language) else None


def _look(conn: Connection, actor: Actor, place: Place) -> tuple[people.VisitRow, dict[str, str]]:
    """Return who acts where, and what is set there."""
    row = people.visit(conn, actor.platform, actor.person, place.chat)
    if row.scope_id is None and place.server is not None:  # a new channel of a server that may have settings
        row = replace(row, scope_id=people.find_chat(conn, actor.platform, people.server_key(place.server)))
    return row, {} if row.scope_id is None else settings.of(conn, row.scope_id)


def _seen(conn: Connection, actor: Actor, place: Place, now: float) -> tuple[people.VisitRow, dict[str, str]]:
    people.place_id(conn, place.platform, place.chat, place.kind, place.server, now)
    people.person_id(conn, actor.platform, actor.person, now)
    return _look(conn, actor, place)
