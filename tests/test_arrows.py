"""The arrows of the house: bot → engine → db, never back; no torch in the main process, no store in the child."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHILD = ("engine.worker", "engine.pipeline", "engine.media.decode_child", "engine.media.fetch_child")
"""Entry points of child processes."""
MAIN = ("bot.__main__", "bot.console.main", "engine.service", "engine.supervisor", "engine.queue")
"""What the main process is made of."""
HEAVY = ("torch", "transformers", "librosa", "numba", "av", "yt_dlp", "matplotlib", "sklearn")
"""What the main process never imports: slow to load, or exposed to hostile input."""
STORE = ("aiosqlite", "sqlite3", "db", "engine.queue", "engine.service", "bot")
"""What a child never imports: it has no store and no people."""
OWN_IMPORTS = {"engine.media.fetch_child": {"sqlite3"}}
"""What a library brings along: yt-dlp imports sqlite3 to read browsers' cookies, which it is never given."""
ONLY_ENGINE_USES = {"store", "jobs", "migrate", "lock", "errors"}
"""What of the store belongs to the queue; the rest of db is also the bot's."""


def modules(package: str) -> Iterator[tuple[str, set[str]]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imports |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imports |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        yield str(path.relative_to(ROOT)), imports


def test_db_imports_nothing_of_ours() -> None:
    for name, imports in modules("db"):
        assert not {i for i in imports if i.split(".")[0] in ("engine", "bot")}, name


def test_engine_never_imports_bot_or_a_platform() -> None:
    for name, imports in modules("engine"):
        assert not {i for i in imports if i.split(".")[0] in ("bot", "discord", "telegram")}, name


def test_bot_uses_only_its_part_of_db_and_no_sql() -> None:
    for name, imports in modules("bot"):
        used = {i.split(".")[1] for i in imports if i.startswith("db.")}
        assert not used & ONLY_ENGINE_USES, name
        assert not {i for i in imports if i.split(".")[0] in ("sqlite3", "aiosqlite", *HEAVY)}, name


@pytest.mark.parametrize(
    ("entry", "forbidden"), [*((m, HEAVY) for m in MAIN), *((c, STORE) for c in CHILD)], ids=lambda v: str(v)[:40]
)
def test_a_process_loads_only_what_it_may(entry: str, forbidden: tuple[str, ...]) -> None:
    forbidden = tuple(name for name in forbidden if name not in OWN_IMPORTS.get(entry, ()))
    code = f"import sys, {entry}; print([m for m in {forbidden!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


def test_no_module_is_too_long() -> None:
    for package in ("bot", "engine", "db", "tests", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
