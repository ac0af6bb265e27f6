"""What admins do. Whether the actor is one is the platform's word (`Actor.admin`) at this very moment, or the owner's
configuration; it is checked here, in each function, and every action is written to the audit table."""

from __future__ import annotations

from bot.contract import Actor, Place, Reply
from bot.desk import Desk, use_case


@use_case
async def show(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Show the settings of this server or chat and the newest actions."""
    raise NotImplementedError


@use_case
async def change(desk: Desk, actor: Actor, place: Place, name: str, value: str) -> Reply:
    """Set one of `bot.places.PlaceSettings` from text; an empty value goes back to the default."""
    raise NotImplementedError


@use_case
async def pause(desk: Desk, actor: Actor, place: Place, *, everywhere: bool = False) -> Reply:
    """Take no new requests here; what waits is finished. Everywhere (owner): begin no work at all, requests wait."""
    raise NotImplementedError


@use_case
async def drain(desk: Desk, actor: Actor, place: Place, *, everywhere: bool = False) -> Reply:
    """Take no new requests here, or (owner) anywhere; what waits is finished."""
    raise NotImplementedError


@use_case
async def resume(desk: Desk, actor: Actor, place: Place, *, everywhere: bool = False) -> Reply:
    """End a pause or drain."""
    raise NotImplementedError


@use_case
async def cancel(desk: Desk, actor: Actor, place: Place, job: int) -> Reply:
    """Cancel somebody's request in this server or chat."""
    raise NotImplementedError


@use_case
async def block(desk: Desk, actor: Actor, place: Place, person: str, *, everywhere: bool = False) -> Reply:
    """Keep a person (the platform's id) out of this server or chat, or (owner) out altogether; their jobs here end."""
    raise NotImplementedError


@use_case
async def unblock(desk: Desk, actor: Actor, place: Place, person: str, *, everywhere: bool = False) -> Reply:
    """Let a person in again."""
    raise NotImplementedError


@use_case
async def delete(desk: Desk, actor: Actor, place: Place, pair: int) -> Reply:
    """Take a pair of this server or chat away, after a confirmation."""
    raise NotImplementedError


@use_case
async def health(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Show queue, worker, disk and platforms; the owner sees the whole program, an admin their server or chat."""
    raise NotImplementedError
