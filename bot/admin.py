"""What admins do.

Whether the actor is one is the platform's word (`Actor.admin`) at this very moment, or the owner's configuration; it is
checked here, in each function. Every action is written to the audit table, in the transaction that does it where there
is one.
"""

from __future__ import annotations

import shutil

from bot import gate
from bot.contract import Actor, Place, Reply, Text
from bot.desk import Desk, Mode, Visit, use_case
from bot.gate import is_here, pair_here, remove_pair
from bot.places import NAMES, parse_setting
from bot.replies import duration, say
from db import audit, people, settings
from engine.errors import UserError
from engine.ledger import Connection

SHOWN_ACTIONS = 5
"""Newest actions under the settings: enough to see who did what just now."""


@use_case
async def show(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Show the settings of this server or chat and the newest actions."""
    visit = await gate.admin(desk, actor, place)
    found = await desk.ledger.read(lambda conn: audit.newest(conn, visit.scope_id, SHOWN_ACTIONS))
    lines = [f"{name}: {_shown(visit, getattr(visit.settings, name))}" for name in (*NAMES, "paused")]
    ago = [
        f"{say(visit.language, 'admin.ago', time=duration(visit.language, desk.clock.now() - row.at))}"
        f" {row.action} {row.detail}".rstrip()
        for row in found
    ]
    parts = [Text(say(visit.language, "admin.settings"), "heading"), Text("\n".join(lines))]
    if ago:
        parts += [Text(say(visit.language, "admin.actions"), "heading"), Text("\n".join(ago))]
    return _private(visit, *parts)


@use_case
async def change(desk: Desk, actor: Actor, place: Place, name: str, value: str) -> Reply:
    """Set one of `bot.places.PlaceSettings` from text; an empty value goes back to the default."""
    visit = await gate.admin(desk, actor, place)
    stored = parse_setting(name, value)
    detail = f"{name} = {stored or 'default'}"
    # Ids of people and chats are not written down.
    await _put(desk, visit, "set", name if name in ("people", "roles", "channels") else detail, name, stored)
    return _private(
        visit,
        Text(
            say(visit.language, "admin.changed", name=name, value=value.strip() or say(visit.language, "admin.default"))
        ),
    )


@use_case
async def pause(desk: Desk, actor: Actor, place: Place, *, everywhere: bool = False) -> Reply:
    """Take no new requests here; what waits is finished. Everywhere (owner): begin no work at all, requests wait."""
    return await _hold(desk, actor, place, "pause", everywhere)


@use_case
async def drain(desk: Desk, actor: Actor, place: Place, *, everywhere: bool = False) -> Reply:
    """Take no new requests here, or (owner) anywhere; what waits is finished."""
    return await _hold(desk, actor, place, "drain", everywhere)


@use_case
async def resume(desk: Desk, actor: Actor, place: Place, *, everywhere: bool = False) -> Reply:
    """End a pause or drain."""
    return await _hold(desk, actor, place, "open", everywhere)


@use_case
async def cancel(desk: Desk, actor: Actor, place: Place, job: int) -> Reply:
    """Cancel somebody's request in this server or chat."""
    visit = await gate.admin(desk, actor, place)
    found = await desk.queue.job(job)
    if found is None or not (visit.owner or await is_here(desk, visit, found)):
        raise UserError("There is no such request.", code="unknown_job")
    if not await desk.queue.cancel(job):
        raise UserError("That request is over already.", code="job_over")
    await _note(desk, visit, "cancel", f"job {job}")
    return _private(visit, Text(say(visit.language, "queue.cancelled", job=job)))


@use_case
async def block(desk: Desk, actor: Actor, place: Place, person: str, *, everywhere: bool = False) -> Reply:
    """Keep a person (the platform's id) out of this server or chat, or (owner) out altogether; their jobs here end."""
    visit = await gate.admin(desk, actor, place, owner=everywhere)
    if person == actor.person:
        raise UserError("You cannot block yourself.", code="block_self")

    async def deed() -> Reply:
        who = await desk.fingerprint(actor.platform, person)
        scope_id = None if everywhere else visit.scope_id

        def body(conn: Connection) -> bool:
            _write_down(conn, desk, visit, "block", "", everywhere)
            return settings.block(conn, who, scope_id, desk.clock.now())

        new = await desk.ledger.write(body)
        for job in await _jobs_of(desk, visit, person, everywhere):
            await desk.queue.cancel(job)
        return _private(visit, Text(say(visit.language, "admin.blocked" if new else "admin.blocked_before")))

    return desk.confirm(visit, say(visit.language, "admin.block_sure"), deed)


@use_case
async def unblock(desk: Desk, actor: Actor, place: Place, person: str, *, everywhere: bool = False) -> Reply:
    """Let a person in again."""
    visit = await gate.admin(desk, actor, place, owner=everywhere)
    who = await desk.fingerprint(actor.platform, person)
    scope_id = None if everywhere else visit.scope_id

    def body(conn: Connection) -> bool:
        _write_down(conn, desk, visit, "unblock", "", everywhere)
        return settings.unblock(conn, who, scope_id)

    if not await desk.ledger.write(body):
        raise UserError("That person is not blocked here.", code="not_blocked")
    return _private(visit, Text(say(visit.language, "admin.unblocked")))


@use_case
async def delete(desk: Desk, actor: Actor, place: Place, pair: int) -> Reply:
    """Take a pair of this server or chat away, after a confirmation."""
    visit = await gate.admin(desk, actor, place)
    row = await pair_here(desk, visit, pair)

    async def deed() -> Reply:
        await _note(desk, visit, "delete", f"pair {pair}")
        return await remove_pair(desk, visit, row)

    return desk.confirm(visit, say(visit.language, "delete.sure"), deed)


@use_case
async def health(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Show queue, worker, disk and platforms; the owner sees the whole program, an admin their server or chat."""
    visit = await gate.admin(desk, actor, place)
    assert visit.scope_id is not None
    here = await desk.overview.live_in(visit.scope_id)
    seconds = await desk.overview.seconds()
    running = sum(1 for job in here if job.state == "running")
    lines = [say(visit.language, "health.here", waiting=len(here) - running, running=running)]
    lines += [
        say(visit.language, "health.seconds", kind=f"/{kind}", time=f"{value:.0f}")
        for kind, value in sorted(seconds.items())
    ]
    if visit.owner:
        waiting, running = await desk.overview.depth()
        free = shutil.disk_usage(desk.queue.folder).free
        lines += [
            say(
                visit.language,
                "health.all",
                waiting=waiting,
                running=running,
                mode=say(visit.language, f"health.{desk.mode}"),
            ),
            say(visit.language, "health.disk", free=f"{free / 1e9:.1f}"),
        ]
        for name, lag_s in desk.lags().items():
            lag = "–" if lag_s is None else f"{lag_s:.1f} s"
            lines.append(say(visit.language, "health.platform", name=name, lag=lag))
    return _private(visit, Text("\n".join(lines)))


async def _hold(desk: Desk, actor: Actor, place: Place, mode: Mode, everywhere: bool) -> Reply:
    visit = await gate.admin(desk, actor, place, owner=everywhere)
    if everywhere:
        await desk.set_mode(mode)
        await _note(desk, visit, mode, "everywhere", everywhere=True)
    else:
        await _put(desk, visit, mode, "", "paused", None if mode == "open" else "true")
    where = "everywhere" if everywhere else "here"
    return _private(visit, Text(say(visit.language, f"admin.{mode}_{where}")))


async def _put(desk: Desk, visit: Visit, action: str, detail: str, name: str, value: str | None) -> None:
    scope_id = visit.scope_id
    assert scope_id is not None

    def body(conn: Connection) -> None:
        settings.put(conn, scope_id, name, value)
        _write_down(conn, desk, visit, action, detail, False)

    await desk.ledger.write(body)


async def _note(desk: Desk, visit: Visit, action: str, detail: str, *, everywhere: bool = False) -> None:
    await desk.ledger.write(lambda conn: _write_down(conn, desk, visit, action, detail, everywhere))


def _write_down(conn: Connection, desk: Desk, visit: Visit, action: str, detail: str, everywhere: bool) -> None:
    audit.add(
        conn,
        at=desk.clock.now(),
        person_id=visit.person_id,
        chat_id=None if everywhere else visit.scope_id,
        action=action,
        detail=detail,
    )


async def _jobs_of(desk: Desk, visit: Visit, person: str, everywhere: bool) -> list[int]:
    """Return a person's jobs that are not over, here or everywhere."""
    person_id = await desk.ledger.read(lambda conn: people.find(conn, visit.actor.platform, person))
    if person_id is None:
        return []
    jobs = await desk.overview.live_of(person_id)
    return [job.id for job in jobs if everywhere or await is_here(desk, visit, job)]


def _shown(visit: Visit, value: object) -> str:
    if value in (None, ()):
        return say(visit.language, "admin.default")
    if isinstance(value, bool):
        return "on" if value else "off"
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _private(visit: Visit, *parts: Text) -> Reply:
    return Reply(parts, private=True, language=visit.language)


__all__ = ["block", "cancel", "change", "delete", "drain", "health", "pause", "resume", "show", "unblock"]
