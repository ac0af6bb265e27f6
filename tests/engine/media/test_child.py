"""The confined child: what it gets, what it cannot do, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.errors import Cancelled
from engine.media.child import ChildDied, ChildTimeout, run_child
from engine.media.limits import Confinement
from engine.report import Report, silent

CONFINED = Confinement(memory_bytes=1 << 28, cpu_s=5, file_bytes=1_000_000, open_files=32)


def run(
    what: str,
    folder: Path,
    report: Report = silent,
    timeout_s: float = 30.0,
    confinement: Confinement = CONFINED,
    **more: Any,
) -> dict[str, Any]:
    return run_child(
        "tests.engine.media.naughty_child",
        {"what": what, **more},
        confinement,
        timeout_s=timeout_s,
        stage="decode",
        report=report,
        folder=folder,
    )


def gone(pid: int) -> bool:
    """Whether the process has ended, or ends within some seconds."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return True
    if process.status() == psutil.STATUS_ZOMBIE:
        return True
    _, alive = psutil.wait_procs([process], timeout=10)
    return not alive or process.status() == psutil.STATUS_ZOMBIE


def test_answer_progress_and_an_empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNETALE_TOKEN", "secret")
    seen: list[float] = []
    answer = run("answer", tmp_path, lambda stage, fraction: seen.append(fraction))
    assert "secret" not in str(answer) and "HOME" not in answer["environment"] and "PATH" not in answer["environment"]
    assert Path(answer["folder"]) == tmp_path
    assert answer["session"]
    assert seen[0] == 0.0 and seen[-1] == 0.5


def test_what_libraries_print_is_no_answer(tmp_path: Path) -> None:
    assert run("chatter", tmp_path) == {"from": "us"}


@pytest.mark.parametrize("what", ["hang", "hang without a voice"])
def test_a_hanging_child_is_killed(tmp_path: Path, what: str) -> None:
    started = time.monotonic()
    with pytest.raises(ChildTimeout):
        run(what, tmp_path, timeout_s=1.0)
    assert time.monotonic() - started < 10


def test_what_it_started_is_killed_with_it(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root is exempt from RLIMIT_NPROC; for others the child cannot start anything")
    run("grandchild", tmp_path)
    assert gone(int((tmp_path / "pid").read_text()))


def test_processor_time_ends(tmp_path: Path) -> None:
    with pytest.raises(ChildTimeout):
        run("spin", tmp_path, confinement=Confinement(memory_bytes=1 << 28, cpu_s=1, file_bytes=1_000_000))


@pytest.mark.parametrize("what", ["memory", "file", "descriptors", "flood", "bug"])
def test_a_limit_or_a_bug_is_a_death(tmp_path: Path, what: str) -> None:
    with pytest.raises(ChildDied) as caught:
        run(what, tmp_path)
    assert caught.value.signal is None
    big = tmp_path / "big"
    assert not big.exists() or big.stat().st_size <= CONFINED.file_bytes


@pytest.mark.parametrize(("name", "kept"), [("SIGKILL", True), ("SIGSEGV", True), ("SIGXFSZ", False)])
def test_what_killed_it_is_told_unless_it_was_a_limit(tmp_path: Path, name: str, kept: bool) -> None:
    with pytest.raises(ChildDied) as caught:
        run("die", tmp_path, signal=name)
    assert caught.value.signal == (signal.Signals[name] if kept else None)


def test_no_privileges_and_no_core(tmp_path: Path) -> None:
    assert run("privileges", tmp_path) == {"no_new": True}
    assert run("core", tmp_path) == {"dumps": "0"}


def test_closed_doors(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        port, other_port = server.getsockname()[1], other.getsockname()[1]
        answer = run("doors", tmp_path, port=port, other_port=other_port)
    closed = answer.pop("closed")
    if closed == "none":
        pytest.skip("this kernel has no Landlock")
    may = {"read there", "write there", "remove there", "connect"}
    if closed == "files":
        may |= {"connect elsewhere", "listen"}
    assert {what for what, can in answer.items() if can} == may


def test_cancel_kills(tmp_path: Path) -> None:
    def report(stage: str, fraction: float) -> None:
        if (tmp_path / "pid").exists():
            raise Cancelled

    with pytest.raises(Cancelled):
        run("hang", tmp_path, report)
    assert gone(int((tmp_path / "pid").read_text() or "0"))


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.engine.media.test_child import run;"
        "run('hang', Path(sys.argv[1]), timeout_s=600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[3])
    deadline = time.monotonic() + 30
    written = tmp_path / "pid"
    while not (written.exists() and written.read_text()):
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    assert gone(int(written.read_text()))
