"""A small internet on loopback: names with made-up public addresses that all lead to one scripted server."""

from __future__ import annotations

import gzip
import http.server
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

from engine.media.egress import Routes

PUBLIC = "93.184.216.34"


class Web:
    """`routes` leads every checked address here; `asked` and `dialled` say what was resolved and dialled."""

    def __init__(self, files: Path, answers: dict[str, Sequence[str]] | None = None) -> None:
        self.files = files
        self.answers = answers or {}
        self.asked: list[tuple[str, int]] = []
        self.dialled: list[tuple[str, int]] = []
        self.paths: list[str] = []
        web = self

        class Handler(_Handler):
            def do_GET(self) -> None:
                web.paths.append(self.path)
                self.files = web.files
                self.answer()

            do_HEAD = do_GET
            do_POST = do_GET

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        answers = self.answers.get(host, [PUBLIC])
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return answers

    def dial(self, address: str, port: int) -> socket.socket:
        self.dialled.append((address, port))
        return socket.create_connection(("127.0.0.1", self.server.server_address[1]), timeout=10)

    @property
    def routes(self) -> Routes:
        return Routes(resolve=self.resolve, dial=self.dial)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


_KINDS = {
    ".html": "text/html",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".xml": "application/rss+xml",
    ".smil": "application/smil+xml",
}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: Path

    def answer(self) -> None:
        parts = urlsplit(self.path)
        self.close_connection = True
        special: dict[str, Callable[[], None]] = {
            "/endless": self._endless,
            "/short": lambda: self._send(b"x" * 1_000, length=10_000_000),
            "/more": lambda: self._send(b"x" * 100_000, length=10),
            "/bomb": self._bomb,
            "/drip": self._drip,
            "/headers": lambda: self._head(200, {f"X-{i}": "y" * 60_000 for i in range(50)}),
            "/endless-header": self._endless_header,
            "/loop": lambda: self._head(302, {"Location": f"/loop?{time.monotonic_ns()}", "Content-Length": "0"}),
            "/silent": self._hang_up,
            "/named": lambda: self._send(b"#!/bin/sh\n", name="../../../evil.sh"),
            "/segment": lambda: self._send(b"x" * 65_536),
        }
        try:
            if parts.path in special:
                special[parts.path]()
            elif parts.path == "/to":
                self._head(302, {"Location": parse_qs(parts.query)["url"][0], "Content-Length": "0"})
            elif parts.path.startswith("/status/"):
                self._head(int(parts.path[8:]), {"Content-Length": "0"})
            else:
                self._send((self.files / parts.path.lstrip("/")).read_bytes())
        except (ConnectionError, TimeoutError):
            pass
        except OSError:
            self._head(404, {"Content-Length": "0"})

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, body: bytes, length: int | None = None, name: str | None = None) -> None:
        kind = _KINDS.get(Path(urlsplit(self.path).path).suffix, "audio/mpeg")
        headers = {"Content-Type": kind, "Content-Length": str(len(body) if length is None else length)}
        self._head(200, headers | ({} if name is None else {"Content-Disposition": f'attachment; filename="{name}"'}))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _endless(self) -> None:
        self._head(200, {"Content-Type": "audio/mpeg"})
        while self.command != "HEAD":
            self.wfile.write(b"\xff\xfb\x90\x00" + bytes(65_532))

    def _bomb(self) -> None:
        body = gzip.compress(bytes(30_000_000))
        self._head(200, {"Content-Type": "audio/mpeg", "Content-Encoding": "gzip", "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _drip(self) -> None:
        """A byte now and then, for ever: no read ever times out."""
        self._head(200, {"Content-Type": "audio/mpeg"})
        while self.command != "HEAD":
            self.wfile.write(b"x")
            time.sleep(0.02)

    def _endless_header(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            self.wfile.write(b"y" * 65_536)

    def _hang_up(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
