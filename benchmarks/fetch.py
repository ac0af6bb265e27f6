"""How fast a link is fetched: TuneTale (yt-dlp in a confined child, behind the egress proxy) beside yt-dlp without it.

Two peers: the very function that our child runs, in a process of its own without proxy and confinement, and the command
line of yt-dlp (which first loads all of its extractors).

python -m benchmarks fetch
"""

from __future__ import annotations

import http.server
import json
import multiprocessing
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from engine.media.egress import Routes
from engine.media.fetch import SITES, fetch
from engine.report import silent
from engine.settings import MediaLimits

ROUNDS = 5
CHUNK_BYTES = 65_536
CASES = (
    ("5 MB at 50 Mbit/s", 5_000_000, 50e6),
    ("50 MB at 500 Mbit/s", 50_000_000, 500e6),
    ("200 MB, no limit", 200_000_000, 0.0),
)
"""(what, bytes, bits a second that the server sends at most; 0: as fast as this machine can)."""
SHARE = 0.8
"""The goal: this much of the speed of yt-dlp alone."""
_HEAD = b"\xff\xfb\x90\x00"  # an MPEG audio frame's header, so that it passes for a recording


def _serve(size: int, bits_per_s: float, ready: Connection) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "audio/mpeg")
            self.send_header("Content-Length", str(size))
            self.send_header("Connection", "close")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.close_connection = True
            block, sent, began = _HEAD + bytes(CHUNK_BYTES - len(_HEAD)), 0, time.monotonic()
            while sent < size:
                try:
                    self.wfile.write(block[: size - sent])
                except OSError:
                    return
                sent += CHUNK_BYTES
                if bits_per_s:
                    time.sleep(max(0.0, began + sent * 8 / bits_per_s - time.monotonic()))

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ready.send(server.server_address[1])
    server.serve_forever()


def _medians_s(*works: Callable[[], object]) -> list[float]:
    """Time the works in turns, so that what else the machine does meets all of them; return the median of each."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, taken in zip(works, times, strict=True):
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
    return [sorted(taken)[ROUNDS // 2] for taken in times]


def _without(port: int, folder: Path, size: int) -> None:
    request = {
        "url": f"http://127.0.0.1:{port}/song.mp3",
        "name": "without",
        "extractors": [*SITES, "generic"],
        "max_bytes": size,
        "max_seconds": 900.0,
        "proxy": "",
    }
    code = (
        "import json, sys; from engine.media.fetch_child import fetch; fetch(json.loads(sys.argv[1]), lambda _: None)"
    )
    environment = {"PYTHONPATH": str(Path.cwd()), "YTDLP_NO_PLUGINS": "1", "PATH": "/nonexistent"}
    subprocess.run([sys.executable, "-c", code, json.dumps(request)], check=True, cwd=folder, env=environment)
    (folder / "without").unlink()


def _alone(port: int, folder: Path) -> None:
    target = folder / "alone.mp3"
    command = [
        sys.executable,
        "-m",
        "yt_dlp",
        "--ignore-config",
        "--no-part",
        "--no-cache-dir",
        "--fixup",
        "never",
        "-q",
    ]
    subprocess.run([*command, "-o", str(target), f"http://127.0.0.1:{port}/song.mp3"], check=True)
    target.unlink()


def _ours(port: int, folder: Path, size: int) -> None:
    routes = Routes(
        resolve=lambda host, _: ["93.184.216.34"],
        dial=lambda address, _: socket.create_connection(("127.0.0.1", port)),
    )
    limits = MediaLimits(link_hosts=("music.example",), max_bytes=size)
    fetch("http://music.example/song.mp3", limits, folder, silent, routes=routes).path.unlink()


def main() -> None:
    """Print one table: seconds from the link to the file, start of the process included; median of ROUNDS."""
    print("| recording | TuneTale | the same without the proxy | yt-dlp's command line | share of the speed without |")
    print("|---|---|---|---|---|")
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, size, bits_per_s in CASES:
            here, there = context.Pipe()
            server = context.Process(target=_serve, args=(size, bits_per_s, there), daemon=True)
            server.start()
            port = int(here.recv())
            ours, without, alone = _medians_s(
                lambda port=port, size=size: _ours(port, folder, size),  # type: ignore[misc]
                lambda port=port, size=size: _without(port, folder, size),  # type: ignore[misc]
                lambda port=port: _alone(port, folder),  # type: ignore[misc]
            )
            server.terminate()
            server.join()
            share = f"{without / ours:.0%} (goal ≥ {SHARE:.0%})"
            print(f"| {what} | {ours:.2f} s | {without:.2f} s | {alone:.2f} s | {share} |")


if __name__ == "__main__":
    main()
