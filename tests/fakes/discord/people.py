"""People on the fake Discord: what they can do with Discord's own client, and what they see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from discord import Permissions

from tests.fakes.discord import payloads
from tests.fakes.discord.interactions import COMMAND, COMPONENT, SUBMIT, Interaction
from tests.fakes.discord.markdown import see
from tests.fakes.discord.registry import Command, NotOffered, check_values, find
from tests.fakes.discord.server import Server
from tests.fakes.discord.world import BOT_PERMISSIONS, JSON, MIB, Channel, File, Message, User

ALL_CONTEXTS = (0, 1, 2)


@dataclass(eq=False)
class Person:
    """Somebody who uses Discord."""

    server: Server
    user: User

    # --- doing ------------------------------------------------------------------------------------------------------

    def say(self, channel: Channel, text: str, *files: File) -> Message:
        return self.server.world.post(channel, self.user, text, files=list(files))

    def command(self, channel: Channel, path: str, /, **options: Any) -> Interaction:
        """Use a slash command, such as "story" or "admin pause"; files, people and channels are given as they are."""
        command, offered = find(self.server.commands, path, 1)
        self._check_offered(command, channel)
        values = {name: one.id if isinstance(one, File | User | Channel) else one for name, one in options.items()}
        found = check_values(offered, values)
        name, *below = path.split()
        nested: list[JSON] = found
        for i, part in enumerate(reversed(below)):
            nested = [{"name": part, "type": 1 if i == 0 else 2, "options": nested}]
        resolved = _resolved(options.values(), self.server)
        data = {"id": "1", "name": name, "type": 1, "options": nested} | ({"resolved": resolved} if resolved else {})
        return self._interact(COMMAND, channel, data)

    def menu(self, name: str, message: Message) -> Interaction:
        """Use a message context menu."""
        command, _ = find(self.server.commands, name, 3)
        self._check_offered(command, message.channel)
        seen = payloads.message(message, f"{self.server.base}/cdn")
        resolved = {"messages": {str(message.id): seen}}
        data = {"id": "2", "name": name, "type": 3, "target_id": str(message.id), "resolved": resolved}
        return self._interact(COMMAND, message.channel, data)

    def click(self, message: Message, label: str) -> Interaction:
        """Press the button with a label or an emoji."""
        for row in message.components:
            for one in row["components"]:
                if label in (one.get("label"), (one.get("emoji") or {}).get("name")):
                    if one.get("disabled"):
                        raise NotOffered(f"the button {label!r} is disabled")
                    return self.press(message, one["custom_id"])
        raise NotOffered(f"there is no button {label!r}; there are {buttons(message)}")

    def press(self, message: Message, custom_id: str) -> Interaction:
        """Send a button's id, also one that the message does not have: custom ids are anybody's to choose."""
        if message.only_for not in (None, self.user) or message.deleted:
            raise NotOffered("the message is not there for this person")
        return self._interact(COMPONENT, message.channel, {"custom_id": custom_id, "component_type": 2}, source=message)

    def submit(self, asked: Interaction, **values: Any) -> Interaction:
        """Fill in the modal that answered an interaction, by custom id, and send it."""
        assert asked.modal is not None
        components: list[JSON] = []
        files: list[File] = []
        for label in asked.modal.components:
            inner = label.component
            value = values.pop(inner.custom_id, None)
            if inner.required and not value:
                raise NotOffered(f"{inner.custom_id} is required")
            given: JSON = {"type": inner.type, "id": 2, "custom_id": inner.custom_id}
            if inner.type == 19:
                files += value or []
                given["values"] = [str(file.id) for file in value or []]
            elif inner.type == 4:
                text = value or ""
                if not (inner.min_length or 0) * bool(text) <= len(text) <= (inner.max_length or 4000):
                    raise NotOffered(f"{inner.custom_id} has {len(text)} characters")
                given["value"] = text
            else:
                given["value"] = value
            components.append({"type": 18, "id": 1, "component": given})
        if values:
            raise NotOffered(f"the modal has no {', '.join(values)}")
        data: JSON = {"custom_id": asked.modal.custom_id, "components": components}
        if files:
            data["resolved"] = _resolved(files, self.server)
        return self._interact(SUBMIT, asked.channel, data, source=asked.source)

    def react(self, message: Message, emoji: str, *, burst: bool = False) -> None:
        self.server.world.react(message, self.user, emoji, burst=burst)

    def unreact(self, message: Message, emoji: str, *, burst: bool = False) -> None:
        self.server.world.unreact(message, self.user, emoji, burst=burst)

    # --- seeing -----------------------------------------------------------------------------------------------------

    def visible(self, channel: Channel) -> list[Message]:
        """Return what the person sees of a channel, oldest first."""
        return [
            message
            for message in channel.messages.values()
            if not message.deleted and message.only_for in (None, self.user)
        ]

    def reads(self, channel: Channel) -> str:
        """Return all that the bot says in a channel, as the person reads it."""
        mine = [message for message in self.visible(channel) if message.author is self.server.world.bot]
        return "\n\n".join(text(message) for message in mine)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _permissions(self, channel: Channel) -> Permissions:
        return Permissions.all() if channel.guild is None else channel.guild.members[self.user.id]

    def _check_offered(self, command: Command, channel: Channel) -> None:
        """Do what Discord's client does: offer a command only where it may be used, to whom it may."""
        guild = channel.guild
        context = 0 if guild is not None else 1 if channel.kind == "dm" else 2
        if context not in (command.contexts or ALL_CONTEXTS):
            raise NotOffered(f"{command.name} is not offered in a {channel.kind} channel")
        types = command.integration_types or [0]
        installed = (guild is not None and guild.bot_in) or channel.kind == "dm"
        if not (installed and 0 in types) and not (self.user.installed and 1 in types):
            raise NotOffered(f"{command.name} is not installed here")
        if guild is None:
            return
        allowed = self._permissions(channel)
        if not allowed.use_application_commands:
            raise NotOffered("this person may not use commands here")
        needed = command.default_member_permissions
        if needed is not None and not guild.everyone_sees_all_commands and not allowed.administrator:
            wanted = Permissions(int(needed))
            if not needed or not wanted <= allowed:
                raise NotOffered(f"{command.name} is only offered to those with {needed}")

    def _interact(self, type: int, channel: Channel, data: JSON, source: Message | None = None) -> Interaction:
        server, guild = self.server, channel.guild
        session = server.gateway.session.id if server.gateway.session is not None and server.up else ""
        made = server.interactions.begin(type, self.user, channel, source=source, session=session)
        allowed = self._permissions(channel)
        owners = {"1": str(self.user.id)} if made.only_user_installed else {"0": str(guild.id if guild else 0)}
        payload: JSON = {
            "id": str(made.id),
            "application_id": str(server.world.bot.id),
            "type": type,
            "token": made.token,
            "version": 1,
            "data": data,
            "channel": payloads.channel(channel, allowed),
            "channel_id": str(channel.id),
            "app_permissions": str((channel.bot_permissions if guild else BOT_PERMISSIONS).value),
            "locale": self.user.locale,
            "entitlements": [],
            "entitlement_sku_ids": [],
            "authorizing_integration_owners": owners,
            "context": 0 if guild is not None else 1 if channel.kind == "dm" else 2,
            "attachment_size_limit": made.limit,
        }
        if guild is None:
            payload["user"] = payloads.user(self.user)
        else:
            payload |= {
                "guild_id": str(guild.id),
                "guild": {"id": str(guild.id), "locale": guild.locale, "features": []},
                "guild_locale": guild.locale,
                "member": payloads.member(server.world, guild, self.user, allowed),
            }
        if source is not None:
            payload["message"] = payloads.message(source, f"{server.base}/cdn")
        server.last_interaction = payload
        server.world.tell("INTERACTION_CREATE", payload)
        return made


def _resolved(values: Any, server: Server) -> JSON:
    found: JSON = {}
    for one in values:
        match one:
            case File():
                found.setdefault("attachments", {})[str(one.id)] = payloads.file(one, f"{server.base}/cdn")
            case User():
                found.setdefault("users", {})[str(one.id)] = payloads.user(one)
            case Channel():
                found.setdefault("channels", {})[str(one.id)] = payloads.channel(one, Permissions.none())
            case list():
                for key, more in _resolved(one, server).items():
                    found.setdefault(key, {}).update(more)
    return found


def text(message: Message) -> str:
    """Return a message as it is read: content, then each embed's title, description, fields and footer."""
    parts = [see(message.content).text]
    for embed in message.embeds:
        parts.append(see(embed.get("title", "")).text)
        parts.append(see(embed.get("description", "")).text)
        parts += [f"{field['name']}: {see(field['value']).text}" for field in embed.get("fields", [])]
        parts.append(embed.get("footer", {}).get("text", ""))
    return "\n".join(part for part in parts if part)


def buttons(message: Message) -> list[str]:
    """Return the labels of a message's buttons."""
    return [
        one.get("label") or one["emoji"]["name"]
        for row in message.components
        for one in row["components"]
        if one["type"] == 2
    ]


__all__ = ["MIB", "NotOffered", "Person", "buttons", "text"]
