"""The egress proxy: it dials only what it has checked, and counts."""

from __future__ import annotations

import base64
import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from engine.media.egress import EgressProxy, Routes

from .webs import PUBLIC, Web


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    (tmp_path / "a.txt").write_bytes(b"hello")
    with Web(tmp_path) as web:
        yield web


def ask(proxy: EgressProxy, head: str, *, secret: bool = True, then: bytes = b"") -> bytes:
    """Send a raw request head through the proxy, `then` right behind it, and read all that comes back."""
    parts = urlsplit(proxy.url)
    token = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        lines = [head, *([f"Proxy-Authorization: Basic {token}"] if secret else [])]
        client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + then)
        received = b""
        while data := client.recv(65_536):
            received += data
        return received


def test_a_request_goes_through(web: Web) -> None:
    with EgressProxy(10_000, web.routes) as proxy:
        answer = ask(proxy, "GET http://music.example/a.txt?x=1 HTTP/1.1\r\nHost: music.example")
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"hello")
        assert proxy.received == len(answer) and not proxy.troubles
    assert web.asked == [("music.example", 80)] and web.dialled == [(PUBLIC, 80)]
    assert web.paths == ["/a.txt?x=1"]


def test_a_tunnel_goes_through(web: Web) -> None:
    with EgressProxy(10_000, web.routes) as proxy:
        request = b"GET /a.txt HTTP/1.1\r\nHost: music.example\r\nConnection: close\r\n\r\n"
        answer = ask(proxy, "CONNECT music.example:443 HTTP/1.1\r\nHost: music.example:443", then=request)
        assert b"hello" in answer
    assert web.dialled == [(PUBLIC, 443)]


ATTACKS: list[tuple[str, str, Sequence[str], str]] = [
    ("a private answer", "GET http://music.example/ HTTP/1.1", ["10.0.0.1"], "forbidden_address"),
    ("a mixed answer", "GET http://music.example/ HTTP/1.1", [PUBLIC, "127.0.0.1"], "forbidden_address"),
    ("loopback by IPv6", "GET http://music.example/ HTTP/1.1", ["::1"], "forbidden_address"),
    ("mapped loopback", "GET http://music.example/ HTTP/1.1", ["::ffff:127.0.0.1"], "forbidden_address"),
    ("NAT64 loopback", "GET http://music.example/ HTTP/1.1", ["64:ff9b::7f00:1"], "forbidden_address"),
    ("6to4 loopback", "GET http://music.example/ HTTP/1.1", ["2002:7f00:1::"], "forbidden_address"),
    ("multicast", "GET http://music.example/ HTTP/1.1", ["224.0.0.1"], "forbidden_address"),
    ("metadata", "GET http://music.example/latest/meta-data HTTP/1.1", ["169.254.169.254"], "forbidden_address"),
    ("a link-local answer", "GET http://music.example/ HTTP/1.1", ["fe80::1%eth0"], "forbidden_address"),
    ("a tunnel inside", "CONNECT music.example:443 HTTP/1.1", ["192.168.0.1"], "forbidden_address"),
    ("a tunnel to ssh", "CONNECT music.example:22 HTTP/1.1", [PUBLIC], "forbidden_port"),
    ("an odd port", "GET http://music.example:8080/ HTTP/1.1", [PUBLIC], "forbidden_port"),
    ("no such name", "GET http://music.example/ HTTP/1.1", [], "no_such_host"),
]


@pytest.mark.parametrize(("head", "answers", "trouble"), [case[1:] for case in ATTACKS], ids=[c[0] for c in ATTACKS])
def test_attacks(web: Web, head: str, answers: Sequence[str], trouble: str) -> None:
    web.answers["music.example"] = answers
    with EgressProxy(10_000, web.routes) as proxy:
        assert ask(proxy, head).startswith(b"HTTP/1.1 403")
        assert proxy.troubles == [trouble]
    assert not web.dialled and not web.paths


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "localhost", "[::1]"])
def test_spellings_of_this_machine(web: Web, host: str) -> None:
    """With the system's resolver, which knows odd spellings."""
    dialled: list[str] = []

    def dial(address: str, port: int) -> socket.socket:
        dialled.append(address)
        raise OSError

    with EgressProxy(10_000, Routes(dial=dial)) as proxy:
        assert ask(proxy, f"GET http://{host}/ HTTP/1.1").startswith(b"HTTP/1.1 403")
        assert proxy.troubles and not dialled


def test_a_name_that_changes_its_mind_is_asked_once(web: Web) -> None:
    """DNS rebinding: what was checked is what is dialled."""
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])
    routes = Routes(resolve=lambda host, port: next(answers), dial=web.dial)
    with EgressProxy(10_000, routes) as proxy:
        assert b"hello" in ask(proxy, "GET http://music.example/a.txt HTTP/1.1\r\nHost: music.example")
        assert ask(proxy, "GET http://music.example/a.txt HTTP/1.1").startswith(b"HTTP/1.1 403")
    assert [address for address, _ in web.dialled] == [PUBLIC]


@pytest.mark.parametrize(
    "head",
    [
        "GET /a.txt HTTP/1.1\r\nHost: music.example",
        "GET https://music.example/ HTTP/1.1",
        "GET ftp://music.example/ HTTP/1.1",
        "GET file:///etc/passwd HTTP/1.1",
        "GET http://u:p@music.example/ HTTP/1.1",
        "GET http:///x HTTP/1.1",
        "GET http://music.example:x/ HTTP/1.1",
        "CONNECT u@music.example:443 HTTP/1.1",
        "nonsense",
        "GET http://music.example/ HTTP/1.1 more",
        "GET http://music.example/ HTTP/1.1\r\nno header",
        "GET http://music.example/ HTTP/1.1\r\nA: b\nHost: c",
        "POST http://music.example/ HTTP/1.1\r\nTransfer-Encoding: chunked",
        "POST http://music.example/ HTTP/1.1\r\nContent-Length: -5",
        "POST http://music.example/ HTTP/1.1\r\nContent-Length: 99999999999",
        "POST http://music.example/ HTTP/1.1\r\nContent-Length: x",
        "GET http://music.example/ HTTP/1.1\r\nX: " + "y" * 200_000,
    ],
)
def test_malformed_requests_reach_nobody(web: Web, head: str) -> None:
    with EgressProxy(10_000, web.routes) as proxy, contextlib.suppress(ConnectionError):  # hung up on
        assert ask(proxy, head).startswith(b"HTTP/1.1 400")
    assert not web.dialled


def test_two_requests_in_one_connection_reach_one_place(web: Web) -> None:
    with EgressProxy(10_000, web.routes) as proxy:
        second = b"GET http://127.0.0.1/b HTTP/1.1\r\n\r\n"
        assert ask(proxy, "GET http://music.example/a.txt HTTP/1.1", then=second).startswith(b"HTTP/1.1 400")
    assert not web.paths


def test_without_the_secret_nobody_gets_in(web: Web) -> None:
    with EgressProxy(10_000, web.routes) as proxy:
        answer = ask(proxy, "GET http://music.example/a.txt HTTP/1.1", secret=False)
        assert answer.startswith(b"HTTP/1.1 407")
    assert not web.asked


def test_the_secret_stays_here(web: Web) -> None:
    def dial(address: str, port: int) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.settimeout(10)
        theirs.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        theirs.shutdown(socket.SHUT_WR)
        peers.append(theirs)
        return ours

    peers: list[socket.socket] = []
    with EgressProxy(10_000, Routes(resolve=web.resolve, dial=dial)) as proxy:
        ask(proxy, "GET http://music.example/a HTTP/1.1\r\nHost: music.example\r\nProxy-Connection: keep-alive")
        sent = peers[0].recv(65_536)
        peers[0].close()
    assert sent == b"GET /a HTTP/1.1\r\nHost: music.example\r\nConnection: close\r\n\r\n"


def test_an_endless_body_ends_at_the_budget(web: Web) -> None:
    with EgressProxy(1_000_000, web.routes) as proxy:
        answer = ask(proxy, "GET http://music.example/endless HTTP/1.1\r\nHost: music.example")
        assert len(answer) <= 1_000_000
        assert proxy.troubles == ["budget"]


def test_a_site_that_does_not_answer(web: Web) -> None:
    def dial(address: str, port: int) -> socket.socket:
        raise ConnectionRefusedError

    with EgressProxy(10_000, Routes(resolve=web.resolve, dial=dial)) as proxy:
        assert ask(proxy, "GET http://music.example/ HTTP/1.1").startswith(b"HTTP/1.1 502")
        assert proxy.troubles == ["unreachable"]


def test_the_next_address_is_tried(web: Web) -> None:
    web.answers["music.example"] = ["1.1.1.1", "1.0.0.1"]

    def dial(address: str, port: int) -> socket.socket:
        if address == "1.1.1.1":
            raise ConnectionRefusedError
        return web.dial(address, port)

    with EgressProxy(10_000, Routes(resolve=web.resolve, dial=dial)) as proxy:
        assert b"hello" in ask(proxy, "GET http://music.example/a.txt HTTP/1.1\r\nHost: music.example")
