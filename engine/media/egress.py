"""The only way out for a child that fetches links: a forward proxy on loopback that dials only what it has checked.

For every connection it resolves the name once, refuses it if *any* answer is not public, and dials the checked literal:
redirects, rebinding names and odd spellings of addresses all pass here. It counts bytes and stops at a budget.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import selectors
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit

from engine.media.addresses import WEB_PORTS, is_public

Trouble = Literal["forbidden_address", "forbidden_port", "no_such_host", "unreachable", "budget"]

_MAX_HEAD_BYTES = 65_536
_MAX_REQUEST_BODY_BYTES = 1 << 20
_DIAL_TIMEOUT_S = 10.0
_IDLE_TIMEOUT_S = 30.0
_LINGER_S = 2.0
_MAX_CONNECTIONS = 32
_CHUNK_BYTES = 65_536
_OF_THE_HOP = {"proxy-authorization", "proxy-connection", "connection", "keep-alive", "te", "upgrade"}


def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for all addresses of a name, as literals. Raises `OSError`."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def dial(address: str, port: int) -> socket.socket:
    """Connect to a literal address. Raises `OSError`."""
    return socket.create_connection((address, port), timeout=_DIAL_TIMEOUT_S)


@dataclass(frozen=True)
class Routes:
    """How the proxy reaches the world; tests put their own in."""

    resolve: Callable[[str, int], Sequence[str]] = resolve
    dial: Callable[[str, int], socket.socket] = dial
    allowed: Callable[[str], bool] = is_public
    ports: frozenset[int] = WEB_PORTS


class _Refused(Exception):
    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.trouble: Trouble = trouble


class EgressProxy:
    """A forward proxy for one fetch: `with EgressProxy(budget) as proxy: … proxy.url …`.

    `troubles` says in order why connections were refused or failed; `received` counts bytes that came in.
    """

    def __init__(self, budget_bytes: int, routes: Routes | None = None) -> None:
        self.troubles: list[Trouble] = []
        self.received = 0
        self._budget = budget_bytes
        self._routes = routes or Routes()
        self._secret = secrets.token_hex(16)
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), self._handle)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="egress", daemon=True)

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """What a client is told to use; holds a secret, so that no other program on this machine can."""
        return f"http://tunetale:{self._secret}@127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._hang_up()

    def _hang_up(self) -> None:
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def _kept(self, connection: socket.socket) -> Iterator[socket.socket]:
        with self._lock:
            self._open.add(connection)
        try:
            yield connection
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _handle(self, client: socket.socket) -> None:
        """Serve one connection: one request, or one tunnel."""
        with self._slots, self._kept(client):
            client.settimeout(_IDLE_TIMEOUT_S)
            try:
                head, rest = _read_head(client)
                self._serve(client, head, rest)
            except _Refused as refusal:
                self.troubles.append(refusal.trouble)
                _answer(client, "502 Bad Gateway" if refusal.trouble == "unreachable" else "403 Forbidden")
            except ValueError:
                _answer(client, "400 Bad Request")
            except OSError:
                return  # a side hung up: nobody is left to be told

    def _serve(self, client: socket.socket, head: list[str], rest: bytes) -> None:
        method, target, _ = head[0].split(" ")
        headers = [line.split(":", 1) for line in head[1:]]
        fields = {name.strip().lower(): value.strip() for name, value in headers}
        token = base64.b64encode(f"tunetale:{self._secret}".encode()).decode()
        if not secrets.compare_digest(fields.get("proxy-authorization", "").encode(), f"Basic {token}".encode()):
            _answer(client, "407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=egress\r\n")
            return
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        port = parts.port or (443 if method == "CONNECT" else 80)
        if parts.username is not None or not parts.hostname or parts.scheme != ("" if method == "CONNECT" else "http"):
            raise ValueError("not a proxy request")
        request = b"" if method == "CONNECT" else _forwarded(method, target, headers, fields, rest)
        with self._kept(self._connect(parts.hostname, port)) as server:
            server.settimeout(_IDLE_TIMEOUT_S)
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            server.sendall(request + rest)
            self._relay(client, server)

    def _connect(self, host: str, port: int) -> socket.socket:
        if port not in self._routes.ports:
            raise _Refused("forbidden_port")
        try:
            addresses = self._routes.resolve(host, port)
        except (OSError, UnicodeError):
            raise _Refused("no_such_host") from None
        if not addresses:
            raise _Refused("no_such_host")
        if not all(self._routes.allowed(address) for address in addresses):
            raise _Refused("forbidden_address")
        for address in addresses:
            with contextlib.suppress(OSError):
                return self._routes.dial(address, port)
        raise _Refused("unreachable")

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        """Pass bytes both ways until a side closes, nothing happens for long, or the budget is used up."""
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while ready := selector.select(_IDLE_TIMEOUT_S):
                for key, _ in ready:
                    data = key.fileobj.recv(_CHUNK_BYTES)  # type: ignore[union-attr]
                    if not data or (key.fileobj is server and not self._afford(len(data))):
                        return
                    key.data.sendall(data)

    def _afford(self, size: int) -> bool:
        with self._lock:
            self.received += size
            if self.received > self._budget:
                self.troubles.append("budget")
                return False
            return True


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = _MAX_CONNECTIONS

    def __init__(self, address: tuple[str, int], handle: Callable[[socket.socket], None]) -> None:
        super().__init__(address, socketserver.BaseRequestHandler)
        self._handle = handle

    def finish_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self._handle(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A broken connection is the other side's affair."""


def _read_head(client: socket.socket) -> tuple[list[str], bytes]:
    """Read request line and header lines; return them and what came after them."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = client.recv(_CHUNK_BYTES)
        if not chunk or len(data) > _MAX_HEAD_BYTES:
            raise ValueError("no request")
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if any("\n" in line or "\r" in line or ":" not in line for line in lines[1:]) or "\n" in lines[0]:
        raise ValueError("not a request of ours")
    return lines, rest


def _forwarded(method: str, target: str, headers: list[list[str]], fields: dict[str, str], rest: bytes) -> bytes:
    """Return the head of the request as the site gets it. Raises `ValueError` for what no client of ours sends."""
    body = int(fields.get("content-length", "0"))
    if "transfer-encoding" in fields or not 0 <= body <= _MAX_REQUEST_BODY_BYTES or len(rest) > body:
        raise ValueError("not a request of ours")
    parts = urlsplit(target)
    lines = [f"{method} {parts.path or '/'}{'?' if parts.query else ''}{parts.query} HTTP/1.1"]
    lines += [f"{name}:{value}" for name, value in headers if name.strip().lower() not in _OF_THE_HOP]
    # One request, one connection: what follows can never be another request to another place.
    return ("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode("latin-1")


def _answer(client: socket.socket, status: str, headers: str = "") -> None:
    """Refuse, and read on for a moment: a socket closed over unread bytes resets, and the answer would be lost."""
    with contextlib.suppress(OSError):
        client.sendall(f"HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        client.shutdown(socket.SHUT_WR)
        client.settimeout(_LINGER_S)
        for _ in range(_MAX_HEAD_BYTES * 16 // _CHUNK_BYTES):
            if not client.recv(_CHUNK_BYTES):
                return
