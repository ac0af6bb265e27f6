"""Every refusal that a person in a chat can meet is said in Chinese as well."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

from bot.replies import _errors, explain
from engine.media.fetch import _SENTENCES as OF_LINKS

ROOT = Path(__file__).parents[2]
ERRORS = ("UserError", "Transient", "Crashed", "TuneTaleError", "Cancelled", "Gone", "RetryLater")
ELSEWHERE = (
    "engine/training", "engine/evaluation", "engine/dispatch.py", "engine/backup.py", "bot/console", "bot/config.py",
    "bot/running.py", "bot/health.py", "engine/hub.py",
    "engine/music/audiocraft/environment.py",
)  # fmt: skip
"""Where errors meet the owner at a terminal, never a person in a chat."""
AT_START = {
    "bad_config", "bad_dtype", "bad_encoder",
    "bad_lock", "bad_material", "bad_store", "bad_table", "bad_token", "damaged_lexicon",
    "damaged_weights", "model_changed", "model_incomplete",
    "no_chat_template", "no_continuous_batching", "no_device", "no_encoder", "no_model",
    "no_telegram", "no_worker", "sealed", "shared_secret", "unknown_backend", "unlocked_pickle", "unwritable_lock",
    "soundfont_damaged", "soundfont_incomplete", "soundfont_missing",
    "weights_damaged", "weights_missing", "weights_version", "wrong_encoder", "wrong_version",
}  # fmt: skip
"""Raised while models load or platforms connect, before any request is worked on."""
BY_CHILD = {"too_long", "no_sound", "unknown_codec", "sample_rate", "channels", "unreachable"}
"""Codes that `engine.media` takes over from its children."""


PLACE = re.compile(r"path|folder|directory|\bfile\b|filename")
"""Names of values that say where something lies."""
SHORT = 12
"""Characters of a piece that says too little to be looked for."""


def raised() -> Iterator[str]:
    """Yield the code of every error that is made in the program."""
    for path in sources():
        for _, code in errors(path):
            if code is not None:
                yield code


def errors(path: Path) -> Iterator[tuple[ast.Call, str | None]]:
    """Yield every error that a module makes, and its code where that is written there."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
            code = next((item.value for item in node.keywords if item.arg == "code"), None)
            yield node, str(code.value) if isinstance(code, ast.Constant) else None


def sources() -> Iterator[Path]:
    for package in ("engine", "bot", "db"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if not path.relative_to(ROOT).as_posix().startswith(ELSEWHERE):
                yield path


def strings(path: Path) -> Iterator[str]:
    """Yield every string of a module, with {} for each value of one that has some."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_code_of_a_chat_is_known_in_chinese() -> None:
    codes = set(raised()) - AT_START | BY_CHILD | set(OF_LINKS)
    codes |= {"bad_input", "transient", "crashed", "cancelled", "error", "gone", "retry_later"}  # the classes' own
    assert {"silent", "quota_person", "not_yours", "too_large_here"} < codes
    assert codes <= set(_errors("zh-TW")), sorted(codes - set(_errors("zh-TW")))
    for code, sentences in _errors("zh-TW").items():
        assert "_" in sentences, code
        assert all(re.search("[\u4e00-\u9fff]", text) for text in sentences.values()), code


def test_no_sentence_of_a_chat_says_where_something_lies() -> None:
    """Paths of the machine are the owner's business: chats get sentences without them, the log has both."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {value}"
        for path in sources()
        for node, code in errors(path)
        for part in ast.walk(node)
        if isinstance(part, ast.FormattedValue) and code not in AT_START
        if PLACE.search(value := ast.unparse(part.value))
    ]
    assert not found, "\n".join(found)


def test_no_sentence_of_the_catalogue_is_out_of_date() -> None:
    """Each piece of an English sentence between its values is still written somewhere in the program."""
    said = " | ".join(text for path in sources() for text in strings(path))
    for code, sentences in _errors("zh-TW").items():
        for english in sentences:
            pieces = [] if english == "_" else re.split(r"\{\w+\}|: |, ", english)
            for piece in pieces:
                assert len(piece) <= SHORT or piece in said, (code, piece)


def test_translations_use_the_places_of_their_sentence() -> None:
    for code, sentences in _errors("zh-TW").items():
        for english, translated in sentences.items():
            used = {name for _, name, _, _ in string.Formatter().parse(translated) if name}
            if english == "_":
                assert not used, code
            else:
                given = {name for _, name, _, _ in string.Formatter().parse(english) if name}
                assert used == {name for name in given if not name.startswith("_")}, (code, english)


def test_values_arrive() -> None:
    message = "This file has 25 MB, and 20 MB is the most that a bot can fetch from this platform; please send a "
    message += "shorter or more compressed one, or a link."
    assert explain("zh-TW", "too_large_here", message).startswith(
        "這個檔案有 25 MB，而機器人在這個平台最多只能下載 20 MB"
    )
    assert explain("en", "too_large_here", message) == message
    assert explain("zh-TW", "too_large_here", "other words") == _errors("zh-TW")["too_large_here"]["_"]
    assert explain("zh-TW", "never_heard", "Something odd.") == "Something odd."
