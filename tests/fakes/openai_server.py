"""A server on loopback that speaks OpenAI's protocol, and fails in every way that a test asks for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """Answers each request with what the script says next; the last line of the script is repeated."""

    protocol_version = "HTTP/1.1"
    server: FakeServer

    def do_GET(self) -> None:
        if self.server.models is None:
            self.plain(404, "<html>no such page</html>", "text/html")
        else:
            self.reply(
                200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.server.models]}
            )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            behaviour = self.server.script[0] if len(self.server.script) == 1 else self.server.script.pop(0)
        behaviour(self)

    def reply(self, status: int, document: Any, **headers: str) -> None:
        self.plain(status, json.dumps(document), "application/json", **headers)

    def plain(self, status: int, text: str, kind: str, **headers: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def begin(self) -> None:
        """Begin a stream; it ends when the connection is closed."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def say(self, text: str, finish: str | None = None) -> None:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
        self.event(json.dumps({"id": "1", "object": "chat.completion.chunk", "choices": [choice]}))

    def log_message(self, format: str, *args: Any) -> None:
        pass


Behaviour = Callable[[Handler], None]


class FakeServer(ThreadingHTTPServer):
    """Holds the script, and what was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, script: list[Behaviour], models: list[str] | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.models = models
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.lock = threading.Lock()
        self.released = threading.Event()
        """Lets go what waits in a behaviour."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that lets go of a stream is no error


@contextmanager
def serving(*script: Behaviour, models: list[str] | None = None) -> Iterator[FakeServer]:
    server = FakeServer(list(script), models)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def good(text: str) -> Behaviour:
    def behave(handler: Handler) -> None:
        handler.begin()
        for start in range(0, len(text), 40):
            handler.say(text[start : start + 40])
        handler.say("", finish="stop")
        handler.event("[DONE]")

    return behave


def status(code: int, message: str = "no", **headers: str) -> Behaviour:
    return lambda handler: handler.reply(code, {"error": {"message": message}}, **headers)


def cut(text: str) -> Behaviour:
    def behave(handler: Handler) -> None:
        handler.begin()
        handler.say(text)

    return behave


def events(*data: str) -> Behaviour:
    def behave(handler: Handler) -> None:
        handler.begin()
        for line in data:
            handler.event(line)

    return behave


def no_stream(handler: Handler) -> None:
    handler.plain(200, "<html>welcome</html>", "text/html")


def endless_text(handler: Handler) -> None:
    """10 MB in pieces."""
    handler.begin()
    for _ in range(2_000):
        handler.say("word " * 1_000)
    handler.say("", finish="stop")


def endless_line(handler: Handler) -> None:
    """10 MB without the end of a line."""
    handler.begin()
    handler.wfile.write(b"data: ")
    for _ in range(100):
        handler.wfile.write(b"x" * 100_000)


def silent(handler: Handler) -> None:
    """Say a word, then nothing until the test is over."""
    handler.begin()
    handler.say("Once")
    assert isinstance(handler.server, FakeServer)
    handler.server.released.wait(60)


def redirect(handler: Handler) -> None:
    handler.reply(307, {}, Location="http://127.0.0.1:1/v1/chat/completions")
