"""The fake Discord's objects as the JSON that Discord documents (resources/*.mdx, events/gateway-events.mdx)."""

from __future__ import annotations

from datetime import UTC, datetime

from discord import Permissions

from tests.fakes.discord.world import JSON, PERSON_PERMISSIONS, Channel, File, Guild, Message, User, World

CHANNEL_TYPES = {"text": 0, "dm": 1, "group": 3, "thread": 11}


def timestamp(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat()


def user(of: User) -> JSON:
    # No avatar: the client library would fetch it from a fixed host.
    return {
        "id": str(of.id),
        "username": of.name,
        "discriminator": "0",
        "global_name": of.name,
        "avatar": None,
        "bot": of.bot,
        "public_flags": 0,
    }


def member(world: World, guild: Guild, of: User, permissions: Permissions | None = None) -> JSON:
    found: JSON = {
        "user": user(of),
        "nick": None,
        "avatar": None,
        "roles": [],
        "joined_at": timestamp(world.clock.now()),
        "premium_since": None,
        "deaf": False,
        "mute": False,
        "flags": 0,
        "pending": False,
        "communication_disabled_until": None,
    }
    if permissions is not None:
        found["permissions"] = str(permissions.value)
    return found


def channel(of: Channel, permissions: Permissions | None = None) -> JSON:
    """A channel; `permissions` are those of whoever interacts, added in interactions only."""
    found: JSON = {"id": str(of.id), "type": CHANNEL_TYPES[of.kind], "last_message_id": None, "flags": 0}
    match of.kind:
        case "dm" | "group":
            found["recipients"] = [user(person) for person in of.recipients]
            if of.kind == "group":
                found |= {"name": of.name, "icon": None, "owner_id": str(of.recipients[0].id)}
        case _:
            assert of.guild is not None
            found |= {"name": of.name, "guild_id": str(of.guild.id), "rate_limit_per_user": 0}
    if of.kind == "text":
        found |= {"position": 0, "permission_overwrites": [], "topic": None, "nsfw": False, "parent_id": None}
    if of.kind == "thread":
        assert of.parent is not None
        found |= {
            "parent_id": str(of.parent.id),
            "owner_id": "1",
            "message_count": 0,
            "member_count": 1,
            "total_message_sent": 0,
            "thread_metadata": {
                "archived": of.archived,
                "auto_archive_duration": 1440,
                "archive_timestamp": timestamp(0.0),
                "locked": of.locked,
            },
        }
    if permissions is not None:
        found["permissions"] = str(permissions.value)
    return found


def guild(world: World, of: Guild) -> JSON:
    """GUILD_CREATE: the whole server as the bot sees it."""
    everyone = {
        "id": str(of.id),
        "name": "@everyone",
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": 0,
        "permissions": str(PERSON_PERMISSIONS.value),
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }
    alive = [one for one in of.channels if not one.deleted]
    return {
        "id": str(of.id),
        "name": of.name,
        "icon": None,
        "splash": None,
        "discovery_splash": None,
        "owner_id": "1",
        "afk_channel_id": None,
        "afk_timeout": 300,
        "verification_level": 0,
        "default_message_notifications": 1,
        "explicit_content_filter": 0,
        "roles": [everyone],
        "emojis": [],
        "features": [],
        "mfa_level": 0,
        "application_id": None,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "rules_channel_id": None,
        "vanity_url_code": None,
        "description": None,
        "banner": None,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": of.locale,
        "public_updates_channel_id": None,
        "nsfw_level": 0,
        "stickers": [],
        "premium_progress_bar_enabled": False,
        "safety_alerts_channel_id": None,
        "incidents_data": None,
        "joined_at": timestamp(world.clock.now()),
        "large": False,
        "unavailable": False,
        "member_count": len(of.members) + 1,
        "voice_states": [],
        "members": [member(world, of, world.bot)],
        "channels": [channel(one) for one in alive if one.kind == "text"],
        "threads": [channel(one) for one in alive if one.kind == "thread"],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def file(of: File, base: str) -> JSON:
    found: JSON = {
        "id": str(of.id),
        "filename": of.name,
        "size": of.size,
        "url": f"{base}/attachments/{of.id}/{of.name}",
        "proxy_url": f"{base}/attachments/{of.id}/{of.name}",
        "flags": 0,
    }
    if of.description is not None:
        found["description"] = of.description
    if of.content_type is not None:
        found["content_type"] = of.content_type
    return found


def message(of: Message, base: str, *, content_seen: bool = True, reader: User | None = None) -> JSON:
    """A message for `reader`; without `content_seen` as a bot gets it that lacks the message content intent."""
    found: JSON = {
        "id": str(of.id),
        "channel_id": str(of.channel.id),
        "author": user(of.author),
        "content": of.content if content_seen else "",
        "timestamp": timestamp(of.created),
        "edited_timestamp": None if of.edited is None else timestamp(of.edited),
        "tts": False,
        "mention_everyone": "everyone" in of.pings,
        "mentions": [],
        "mention_roles": [],
        "attachments": [file(one, base) for one in of.files] if content_seen else [],
        "embeds": of.embeds if content_seen else [],
        "components": of.components if content_seen else [],
        "pinned": False,
        "type": 0 if of.reply_to is None else 19,
        "flags": of.flags,
    }
    if of.nonce is not None:
        found["nonce"] = of.nonce
    if of.reply_to is not None:
        found["message_reference"] = {"type": 0, "channel_id": str(of.channel.id), "message_id": str(of.reply_to)}
        original = of.channel.messages.get(of.reply_to)
        alive = original is not None and not original.deleted
        found["referenced_message"] = message(original, base) if alive and original is not None else None
    if of.reactions:
        found["reactions"] = [
            {
                "emoji": {"id": None, "name": emoji},
                "count": len(reactors.normal) + len(reactors.burst),
                "count_details": {"normal": len(reactors.normal), "burst": len(reactors.burst)},
                "me": reader is not None and reader.id in reactors.normal,
                "me_burst": reader is not None and reader.id in reactors.burst,
                "burst_colors": [],
            }
            for emoji, reactors in of.reactions.items()
        ]
    return found


def where(of: Channel) -> JSON:
    """The part of an event that says where it happened."""
    return {"channel_id": str(of.id)} | ({} if of.guild is None else {"guild_id": str(of.guild.id)})
