"""A corpus of prompt injections, as what people send and as what a model answers: only a story's words change."""

from __future__ import annotations

import re
import sqlite3
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bot import commands
from bot.cards import card_of
from bot.contract import Reply, Text
from bot.markup import clean, clip, discord_pages, telegram_pages
from bot.tokens import read as read_token
from engine.emotion.calibration import Calibration
from engine.errors import UserError
from engine.jobs import (
    ComposeRequest,
    ComposeResult,
    FileSource,
    Language,
    StoryRequest,
    StoryResult,
    StoryText,
    result_from_json,
    result_to_json,
)
from engine.music.describer import RulesDescriber
from engine.music.t5 import source_text, tidy
from engine.report import silent
from engine.settings import LlamaSettings, ModerationSettings, ServerSettings, WritingSettings
from engine.story.author import Author
from engine.story.chat import Chat
from engine.story.llama import LlamaChat
from engine.story.prompt import story_ask
from engine.story.sanitize import Moderation
from engine.story.server import ServerChat
from engine.story.storyteller import Story
from engine.tiny.llama import save_reciting
from tests.bot.test_markup import seen_on_discord, seen_on_telegram
from tests.engine.music.briefs import brief
from tests.engine.story.asked import ScriptedChat, asked
from tests.fakes.chat import ANNA, GROUP, Room, make_in, room
from tests.fakes.openai_server import good, serving
from tests.fakes.tiny_llama import random_llama

CORPUS = tomllib.loads((Path(__file__).parent / "injections.toml").read_text(encoding="utf-8"))
ALL: list[str] = [*CORPUS["en"], *CORPUS["zh"]]
KEY = "sk-sentinel-injections-0123456789"
COMMAND = re.compile(r"(?<![\w/\u2060])[/#$](?=[A-Za-z])")
OURS = ("setting", "house", "block", "audit", "publication", "consent", "vote", "campaign", "person", "chat")
"""Tables that no words may change."""
PLAIN = ("The lamp was lit before the storm came over the bay.", "Somebody waited at the door with a wet coat.")


class Detector:
    def score(self, text: str, language: Language) -> float:
        return 1.0


def read(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.zeros((len(texts), 2), np.float32)


def shown(reply: Reply) -> tuple[str, str]:
    """What people see of a reply on Discord and on Telegram; fails on anything that a platform would act on."""
    blocks = [part for part in reply.parts if isinstance(part, Text)]
    for row in reply.buttons:
        for button in row:
            assert read_token(button.token) is not None
    telegram = telegram_pages(blocks)
    quoted = "".join(telegram_pages([block for block in blocks if block.style == "quote"]))
    assert not COMMAND.search(re.sub(r"</?(?:b|i|code)>|&\w+;", "", quoted)), quoted
    return "\n".join(map(seen_on_discord, discord_pages(blocks))), "\n".join(map(seen_on_telegram, telegram))


def test_the_corpus_is_large_enough() -> None:
    assert len(set(ALL)) == len(ALL) >= 55 and len(CORPUS["zh"]) >= 10


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_a_wished_title_is_one_line_of_the_form_and_no_other_word_reaches_a_model(language: Language) -> None:
    """A model learns feelings, lengths and colours; nothing of a recording's name, its page, or who asked."""
    plain = story_ask(asked(language=language), 1)
    for text in ALL:
        messages = story_ask(asked(language=language, title=text), 1).messages
        assert [message.role for message in messages] == ["system", "user"]
        assert messages[0] == plain.messages[0]
        lines = messages[1].content.split("\n"), plain.messages[1].content.split("\n")
        assert len(lines[0]) == len(lines[1])
        assert sum(one != other for one, other in zip(*lines, strict=True)) <= 1


def hostile(text: str) -> str:
    """A model's answer with an injection in its title, inside a paragraph, and as a paragraph."""
    line = " ".join(text.split())
    return f"Title: {line[:100]}\n\n1. {PLAIN[0]} {line}\n\n2. {line} {PLAIN[1]}\n\n3. {PLAIN[0]} {PLAIN[1]}"


def test_a_wished_title_cannot_spell_the_tokens_of_a_chat_template(tmp_path: Path) -> None:
    """By a real tokenizer: as many control tokens as without a wish, so no turn ends early and none begins."""
    chat = LlamaChat.load(LlamaSettings(model=str(random_llama(tmp_path)), device="cpu"), WritingSettings())
    try:
        special: list[str] = chat._tokenizer.all_special_tokens
        nested = [token[: len(token) // 2] + token + token[len(token) // 2 :] for token in special]

        def control(title: str) -> list[int]:
            ids = chat._ids(story_ask(asked(title=title), 1).messages)
            return [token for token in ids if token in chat._tokenizer.all_special_ids]

        for text in (*ALL, *special, "".join(special), *nested):
            assert control(text) == control("The lamp"), text
    finally:
        chat.close()


def hostile_chat(by: str, text: str, folder: Path, server: ServerSettings) -> Chat:
    if by == "server":
        return ServerChat.load(server, WritingSettings())
    if by == "script":
        return ScriptedChat(*[hostile(text)] * 4)
    model = save_reciting(folder, [f"{part}\n\n" for part in hostile(text).split("\n\n")])
    return LlamaChat.load(LlamaSettings(model=str(model), device="cpu"), WritingSettings())


@pytest.mark.parametrize("by", ["script", "server", "transformers"])
def test_a_hostile_models_words_stay_words(tmp_path: Path, by: str) -> None:
    """A model that answers with each injection; some of them by a real server, or a real model from the disk. Then the
    card, as platforms show it."""
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    job, told = _Finished(tmp_path), 0
    texts = {"script": ALL, "server": ALL[::7], "transformers": ALL[::14]}[by]
    with serving(good("")) as server:
        settings = ServerSettings(url=server.url, model="tiny", api_key_file=str(tmp_path / "key"), retries=0)
        for text in texts:
            server.script[:] = [good(hostile(text))]
            server.requests.clear()
            chat = hostile_chat(by, text, tmp_path / f"model {told}", settings)
            author = Author(chat, read, Detector(), Moderation(ModerationSettings()), Calibration.load(), rewrites=0)
            try:
                (story,) = author.tell(replace(asked(words=60), candidates=1), silent)
            except UserError:  # not in a form that can be used: refused as a whole
                continue
            finally:
                if isinstance(chat, LlamaChat):
                    chat.close()
            assert all("tools" not in body and "functions" not in body for _, body in server.requests)
            _check_story(story)
            shown(job.card(story))
            told += 1
    assert told >= 0.75 * len(texts)


def _check_story(story: Story) -> None:
    for words in (story.title, *story.paragraphs):
        assert not re.search(r"https?://|www\.|mailto:|tg://|ftp://|discord\.gg|t\.me/", words, re.IGNORECASE), words
        assert clean(words) == words and "\n" not in words and KEY not in words
    assert len(story.paragraphs) == 3


class _Finished:
    """A finished story job whose story can be exchanged."""

    def __init__(self, folder: Path) -> None:
        result = make_in(folder, StoryRequest(FileSource("x", "x")))
        assert isinstance(result, StoryResult)
        self._folder, self._result = str(folder), result

    def card(self, story: Story) -> Reply:
        told = replace(self._result, story=StoryText(story.title, story.paragraphs))
        return card_of(1, result_from_json(result_to_json(told)), self._folder, 1, "en")


def test_a_describer_reads_text_as_data(tmp_path: Path) -> None:
    beats = brief().beats
    plain = RulesDescriber().describe(beats, "Once there was a dog.", 1)
    composed = make_in(tmp_path, ComposeRequest("x", 30.0))
    assert isinstance(composed, ComposeResult)
    for text in ALL:
        assert RulesDescriber().describe(beats, text, 1) == plain  # rules look at the feelings alone
        source = source_text(["calm"], text)
        assert source.startswith("emotions: calm.") and "\n" not in source
        # What a T5 might answer is a person's text to everybody who shows it.
        answered = replace(composed, description=tidy(text))
        discord, _ = shown(card_of(1, answered, str(tmp_path), 1, "en"))
        assert clip(tidy(text), 20).rstrip("…").strip()[:10] in discord or not tidy(text)


async def test_words_sent_to_the_bot_set_nothing(tmp_path: Path) -> None:
    async with room(tmp_path) as here:
        await commands.compose(here.desk, ANNA, GROUP, "A calm day.")
        await here.queue.cancel(1)
        before = await here.desk.ledger.read(state)
        for number, text in enumerate(ALL):
            reply = await commands.compose(here.desk, ANNA, GROUP, text)
            assert reply.job is not None, (text, reply)
            shown(reply)
            shown(await commands.queue(here.desk, ANNA, GROUP))
            await _finish(here)
            assert await here.deliver() == 1
            shown(here.messenger.letters[-1].reply)
            assert len(here.messenger.letters) == number + 1
        assert await here.desk.ledger.read(state) == before
        assert here.desk.mode == "open"


async def _finish(here: Room) -> None:
    lease = await here.claim()
    result = make_in(Path(lease.folder), lease.job.request)
    assert isinstance(result, ComposeResult) and isinstance(lease.job.request, ComposeRequest)
    words = lease.job.request.text
    told = replace(result, story=replace(result.story, sentences=(replace(result.story.sentences[0], text=words),)))
    await here.queue.finish(lease.token, told)


def state(conn: sqlite3.Connection) -> str:
    return repr([conn.execute(f"SELECT * FROM {table}").fetchall() for table in OURS])
