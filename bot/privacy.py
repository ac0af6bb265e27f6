"""What people can do about their data: read the policy, take it with them, have it forgotten."""

from __future__ import annotations

from bot.contract import Actor, Place, Reply
from bot.desk import Desk, use_case


@use_case
async def privacy(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Say what is kept, for how long, and what it is used for."""
    raise NotImplementedError


@use_case
async def mydata(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Give the person everything that is kept about them, as one JSON file, privately."""
    raise NotImplementedError


@use_case
async def forgetme(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Delete everything about the person, after a confirmation: jobs, texts, files, pairs, votes, answers, consent."""
    raise NotImplementedError
