"""A child that misbehaves as it is told; run through `run_child` by the tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.media.limits import Tell, close_doors, serve


def _work(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    what = request["what"]
    if what == "answer":
        tell(0.5)
        return {"environment": dict(os.environ), "folder": os.getcwd(), "session": os.getsid(0) == os.getpid()}
    if what == "chatter":
        print("hello")  # noqa: T201
        os.write(1, b'{"answer": {"from": "a library"}}\n')
        return {"from": "us"}
    if what == "hang":
        Path("pid").write_text(str(os.getpid()))
        time.sleep(600)
    if what == "grandchild":
        grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path("pid").write_text(str(grandchild.pid))
        return {}
    if what == "hang without a voice":
        os.closerange(0, 64)
        time.sleep(600)
    if what == "spin":
        while True:
            pass
    if what == "memory":
        return {"got": len(bytearray(1 << 30))}
    if what == "file":
        Path("big").write_bytes(bytes(2_000_000))
    if what == "descriptors":
        return {"got": len([socket.socketpair() for _ in range(100)])}
    if what == "die":
        if request["signal"] == "SIGXFSZ":
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it, other code may not
        os.kill(os.getpid(), signal.Signals[request["signal"]])
    if what == "core":
        return {"dumps": Path("/proc/self/limits").read_text().split("core file size")[1].split()[0]}
    if what == "privileges":
        return {"no_new": "NoNewPrivs:\t1" in Path("/proc/self/status").read_text()}
    if what == "flood":
        return {"x": "y" * 2_000_000}
    if what == "doors":
        return _behind_doors(request["port"], request["other_port"])
    raise RuntimeError("a bug of ours")


def _behind_doors(port: int, other_port: int) -> dict[str, Any]:
    closed = close_doors(readable=["/usr"], writable=["open"], connect_port=port)
    return {
        "closed": closed,
        "read elsewhere": _can(lambda: Path("/etc/hostname").read_bytes()),
        "read there": _can(lambda: os.listdir("/usr")),
        "write elsewhere": _can(lambda: Path("x").write_bytes(b"")),
        "write there": _can(lambda: Path("open/x").write_bytes(b"")),
        "remove there": _can(lambda: Path("open/x").unlink()),
        "run": _can(lambda: subprocess.run(["/usr/bin/true"])),
        "connect": _can(lambda: socket.socket().connect(("127.0.0.1", port))),
        "connect elsewhere": _can(lambda: socket.socket().connect(("127.0.0.1", other_port))),
        "listen": _can(lambda: socket.create_server(("127.0.0.1", 0)).close()),
    }


def _can(act: Callable[[], object]) -> bool:
    try:
        act()
    except PermissionError:
        return False
    return True


if __name__ == "__main__":
    serve(_work)
