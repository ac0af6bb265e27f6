"""`docs/reliability.md` names tests that are there, and every promise."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_every_test_that_the_document_names_exists() -> None:
    named = set(re.findall(r"`([Tt]est\w+)`", DOCUMENT))
    defined: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                defined.add(node.name)
            elif isinstance(node, ast.Assign):
                defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    assert len(named) > 40
    assert named <= defined, sorted(named - defined)


def test_every_promise_has_its_test() -> None:
    for number in range(1, 13):
        assert re.search(rf"^\| P{number} \|.*`test_p{number:02}_\w+`", DOCUMENT, re.MULTILINE), number
