"""Turns what a bot sends into messages: files joined, flags and mentions checked, pings worked out."""

from __future__ import annotations

from typing import Any

from tests.fakes.discord.markdown import see
from tests.fakes.discord.wire import AllowedMentions, Attachment, NewMessage, Outgoing, UnknownField
from tests.fakes.discord.world import EPHEMERAL, JSON, MIB, ApiError, Channel, File, Message, World

MAX_REQUEST = 25 * MIB
"""Of one whole request."""
SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS = 1 << 2, 1 << 12
Uploads = dict[int, tuple[str, bytes]]


def facts(world: World, channel: Channel, body: Outgoing, uploads: Uploads, base: str, *, limit: int) -> JSON:
    """Return the fields of a new message. Raises `ApiError`."""
    _check_flags(body.flags or 0, EPHEMERAL | SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS)
    files = _files(world, body.attachments or [], uploads, (), limit)
    if not (body.content or body.embeds or files or body.components):
        raise ApiError(400, 50006, "Cannot send an empty message")
    return {
        "content": body.content or "",
        "files": files,
        "embeds": _embeds(body, files, base),
        "components": [row.model_dump(exclude_none=True) for row in body.components or []],
        "flags": body.flags or 0,
        "pings": _pings(body, isinstance(body, NewMessage) and body.message_reference is not None),
    }


def edit(world: World, message: Message, body: Outgoing, uploads: Uploads, base: str, *, limit: int) -> None:
    """Change a message in place; what the body does not name stays, null removes. Raises `ApiError`."""
    _check_flags(body.flags or 0, SUPPRESS_EMBEDS | EPHEMERAL)
    given = body.model_fields_set
    files = message.files
    if "attachments" in given:
        files = _files(world, body.attachments or [], uploads, message.files, limit)
    elif uploads:
        raise UnknownField("files without attachments")
    after: dict[str, Any] = {"files": files}
    if "content" in given:
        after["content"] = body.content or ""
    if "embeds" in given or "attachments" in given:
        after["embeds"] = _embeds(body, files, base) if "embeds" in given else message.embeds
    if "components" in given:
        after["components"] = [row.model_dump(exclude_none=True) for row in body.components or []]
    merged = {name: after.get(name, getattr(message, name)) for name in ("content", "embeds", "files", "components")}
    if not any(merged.values()):
        raise ApiError(400, 50006, "Cannot send an empty message")
    for name, value in after.items():
        setattr(message, name, value)
    message.edited = world.clock.now()
    message.edits += 1


def _check_flags(flags: int, allowed: int) -> None:
    if flags & ~allowed:
        raise UnknownField(f"flags {flags & ~allowed}")


def _files(
    world: World, named: list[Attachment], uploads: Uploads, kept: tuple[File, ...] | list[File], limit: int
) -> list[File]:
    known = {file.id: file for file in kept}
    found, used = [], set()
    for one in named:
        number = int(one.id)
        if number in known:
            found.append(known[number])
            continue
        if number not in uploads:
            raise ApiError(400, 50035, "Invalid Form Body", {"attachments": f"{number} is not uploaded"})
        name, data = uploads[number]
        if len(data) > limit:
            raise ApiError(413, 40005, "Request entity too large")
        used.add(number)
        found.append(world.file(one.filename or name, data, description=one.description))
    if set(uploads) - used:
        raise UnknownField(f"files {sorted(set(uploads) - used)} that no attachment names")
    if sum(len(data) for _, data in uploads.values()) > MAX_REQUEST:
        raise ApiError(413, 40005, "Request entity too large")
    return found


def _embeds(body: Outgoing, files: list[File], base: str) -> list[JSON]:
    """Embeds with attachment://name resolved; a name that is not attached is refused."""
    found = []
    for embed in body.embeds or []:
        data = embed.model_dump(exclude_none=True) | {"type": "rich"}
        for key in ("image", "thumbnail"):
            url = data.get(key, {}).get("url", "")
            if url.startswith("attachment://"):
                name = url.removeprefix("attachment://")
                file = next((one for one in files if one.name == name), None)
                if file is None:
                    raise ApiError(400, 50035, "Invalid Form Body", {key: f"{name} is not attached"})
                data[key] = {"url": f"{base}/attachments/{file.id}/{file.name}", "attachment": str(file.id)}
        found.append(data)
    return found


def _pings(body: Outgoing, is_reply: bool) -> frozenset[str]:
    """Return whom the message would notify. Without `allowed_mentions` everybody who is mentioned is."""
    mentioned = see(body.content or "").mentions
    allowed = body.allowed_mentions
    if allowed is None:
        return frozenset(mentioned | ({"reply"} if is_reply else set()))
    found = {one for one in mentioned if _allowed(one, allowed)}
    return frozenset(found | ({"reply"} if is_reply and allowed.replied_user else set()))


def _allowed(mention: str, allowed: AllowedMentions) -> bool:
    kind, _, number = mention.partition(":")
    match kind:
        case "everyone" | "here":
            return "everyone" in allowed.parse
        case "user":
            return "users" in allowed.parse or number in map(str, allowed.users)
        case _:
            return "roles" in allowed.parse or number in map(str, allowed.roles)
