"""The commands that people use: slash commands and message menus. Each parses, and calls one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot import commands, privacy
from bot.contract import Upload
from bot.discord.files import link_in, looks_like_audio, looks_like_text
from bot.discord.modals import StoryModal
from bot.discord.words import options, word
from engine.jobs import AudioFormat

if TYPE_CHECKING:
    from bot.discord.client import TuneTaleClient

    Interaction = discord.Interaction[TuneTaleClient]
else:
    Interaction = discord.Interaction

MAX_TITLE = 120
MAX_SEED = 2**32 - 1
MAX_TEXT = 6000
"""Characters of a slash option (docs.discord.com, application-commands)."""
LANGUAGES = [app_commands.Choice(name="English", value="en"), app_commands.Choice(name="繁體中文", value="zh-TW")]
Seed = app_commands.Range[int, 0, MAX_SEED]


@app_commands.command(name=word("discord.name_story"), description=word("command.story"))
@options("audio", "link", "language", "words", "seed", "title")
@app_commands.choices(language=LANGUAGES)
async def story(
    interaction: Interaction,
    audio: discord.Attachment | None = None,
    link: str | None = None,
    language: str | None = None,
    words: int | None = None,
    seed: Seed | None = None,
    title: app_commands.Range[str, 1, MAX_TITLE] | None = None,
) -> None:
    """Music to story."""
    client = interaction.client
    if (audio is None) == (link is None):
        await client.tell(interaction, "discord.story_needs_one")
        return
    source: Upload | str = link or "" if audio is None else client.downloads.upload(audio)
    await client.use(
        interaction,
        commands.story,
        source,
        language=language,
        words=words,
        seed=seed,
        title=title,
        dedupe=str(interaction.id),
        slow=audio is not None,
    )


@app_commands.command(name=word("discord.name_compose"), description=word("command.compose"))
@options("text", "file", "seconds", "seed", "format")
async def compose(
    interaction: Interaction,
    text: app_commands.Range[str, 1, MAX_TEXT] | None = None,
    file: discord.Attachment | None = None,
    seconds: float | None = None,
    seed: Seed | None = None,
    format: AudioFormat | None = None,
) -> None:
    """Story to music; without a story, open the form."""
    client = interaction.client
    if text is not None and file is not None:
        await client.tell(interaction, "discord.compose_needs_one")
        return
    if text is None and file is None:
        language = await client.language_of(interaction)
        await interaction.response.send_modal(StoryModal(language, seconds=seconds, seed=seed, format=format))
        return
    source: Upload | str = text or "" if file is None else client.downloads.upload(file)
    await client.use(
        interaction,
        commands.compose,
        source,
        seconds=seconds,
        seed=seed,
        format=format,
        dedupe=str(interaction.id),
        slow=file is not None,
    )


@app_commands.command(name=word("discord.name_queue"), description=word("command.queue"))
async def queue(interaction: Interaction) -> None:
    """My requests."""
    await interaction.client.use(interaction, commands.queue, private=True)


@app_commands.command(name=word("discord.name_cancel"), description=word("command.cancel"))
@options("job")
async def cancel(interaction: Interaction, job: app_commands.Range[int, 1] | None = None) -> None:
    """Cancel a request."""
    await interaction.client.use(interaction, commands.cancel, job, private=True)


@app_commands.command(name=word("discord.name_help"), description=word("command.help"))
async def help(interaction: Interaction) -> None:
    """What can be asked for."""
    await interaction.client.use(interaction, commands.help, private=True)


@app_commands.command(name=word("discord.name_language"), description=word("command.language"))
@options("language")
@app_commands.choices(language=LANGUAGES)
async def language(interaction: Interaction, language: str | None = None) -> None:
    """Which language to speak."""
    await interaction.client.use(interaction, commands.language, language, private=True)


@app_commands.command(name=word("discord.name_privacy"), description=word("command.privacy"))
async def privacy_(interaction: Interaction) -> None:
    """The policy."""
    await interaction.client.use(interaction, privacy.privacy, private=True)


@app_commands.command(name=word("discord.name_mydata"), description=word("command.mydata"))
async def mydata(interaction: Interaction) -> None:
    """Everything about me."""
    await interaction.client.use(interaction, privacy.mydata, private=True)


@app_commands.command(name=word("discord.name_forgetme"), description=word("command.forgetme"))
async def forgetme(interaction: Interaction) -> None:
    """Forget everything about me."""
    await interaction.client.use(interaction, privacy.forgetme, private=True)


@app_commands.context_menu(name=word("discord.menu_story"))
async def story_from(interaction: Interaction, message: discord.Message) -> None:
    """Music in a message to story."""
    client = interaction.client
    source: Upload | str | None = link_in(message.content)
    for attachment in message.attachments:
        if looks_like_audio(attachment):
            source = client.downloads.upload(attachment)
            break
    if source is None:
        await client.tell(interaction, "discord.no_audio_in_message")
        return
    slow = isinstance(source, Upload)
    await client.use(interaction, commands.story, source, dedupe=str(interaction.id), slow=slow)


@app_commands.context_menu(name=word("discord.menu_compose"))
async def compose_from(interaction: Interaction, message: discord.Message) -> None:
    """Story in a message to music."""
    client = interaction.client
    source: Upload | str = message.content
    for attachment in message.attachments:
        if looks_like_text(attachment) and not source:
            source = client.downloads.upload(attachment)
    if not source:
        await client.tell(interaction, "discord.no_text_in_message")
        return
    slow = isinstance(source, Upload)
    await client.use(interaction, commands.compose, source, dedupe=str(interaction.id), slow=slow)


COMMANDS: tuple[app_commands.Command[Any, ..., None], ...] = (
    story,
    compose,
    queue,
    cancel,
    help,
    language,
    privacy_,
    mydata,
    forgetme,
)
MENUS = (story_from, compose_from)
