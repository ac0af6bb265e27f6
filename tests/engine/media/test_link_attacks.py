"""Attacks by link, in one table: each is refused in one sentence, whoever resolves, redirects or answers.

Real yt-dlp behind the real proxy, against a server on loopback. Resolver and dialler are injected, so that nothing but
loopback is ever dialled, even if a wall fell. Most attacks run yt-dlp in this process, with the very function that its
child calls; those marked `child` run in the confined child, as the product does.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import TuneTaleError
from engine.media import fetch as fetch_module
from engine.media import fetch_child
from engine.media.egress import Routes, resolve
from engine.media.fetch import fetch
from engine.report import silent
from engine.settings import MediaLimits

from .conftest import Play
from .webs import PUBLIC, Web

LIMITS = MediaLimits(link_hosts=("music.example",), max_bytes=2_000_000)
SONG = "http://music.example/song.mp3"
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n{}#EXT-X-ENDLIST\n"
MPD = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT20S">'
    '<Period><AdaptationSet mimeType="audio/mp4"><Representation id="a" bandwidth="64000"><BaseURL>{}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>"
)
FEED = '<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>{}</channel></rss>'


@dataclass(frozen=True)
class Attack:
    """A link, what the world around it answers, and the codes of which one must come."""

    name: str
    url: str
    codes: set[str]
    answers: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ("music.example",)
    child: bool = False
    timeout_s: float = 60.0
    max_bytes: int = LIMITS.max_bytes


def _names(*cases: tuple[str, list[str]]) -> list[Attack]:
    """A name that somebody else's server answers for."""
    return [
        Attack(name, SONG, {"forbidden_address"}, {"music.example": answers}, child=name.startswith("mixed"))
        for name, answers in cases
    ]


def _redirects(*cases: tuple[str, str, set[str], bool]) -> list[Attack]:
    answers = {"127.0.0.1": ["127.0.0.1"], "169.254.169.254": ["169.254.169.254"], "inside.example": ["10.1.2.3"]}
    answers |= {"[::1]": ["::1"], "::1": ["::1"]}
    return [
        Attack(f"a redirect to {name}", f"http://music.example/to?url={url}", codes, answers, child=child)
        for name, url, codes, child in cases
    ]


def _page(name: str, file: str, content: str, codes: set[str], child: bool = False) -> Attack:
    answers = {"127.0.0.1": ["127.0.0.1"], "inside.example": ["192.168.7.7"]}
    return Attack(name, f"http://music.example/{file}", codes, answers, {file: content}, child=child)


ATTACKS = [
    # Not a link at all.
    *(
        Attack(f"the link {url[:30]}", url, codes)
        for url, codes in (
            ("file:///etc/passwd", {"unsupported_scheme"}),
            ("ftp://music.example/a.mp3", {"unsupported_scheme"}),
            ("rtmp://music.example/live", {"unsupported_scheme"}),
            ("data:audio/mpeg;base64,AAAA", {"unsupported_scheme"}),
            ("ytsearch100:love", {"unsupported_scheme"}),
            ("http://user:pw@music.example/a.mp3", {"bad_link"}),
            ("http://music.example@127.0.0.1/a.mp3", {"bad_link"}),
            ("http://music.example\\@127.0.0.1/", {"bad_link"}),
            ("http://music.example:22/", {"bad_link"}),
            ("http://music.example:8080/a.mp3", {"bad_link"}),
            ("http://music.example/\r\nHost: 127.0.0.1", {"bad_link"}),
        )
    ),
    Attack("a smuggled order", f"{SONG}#__youtubedl_smuggle=%7B%22force_videoid%22%3A1%7D", {"gone"}),
    Attack("a site that nobody listed", "http://other.example/a.mp3", {"unknown_site"}, child=True),
    # What names resolve to.
    *_names(
        ("private, 10/8", ["10.0.0.1"]),
        ("private, 172.16/12", ["172.31.0.1"]),
        ("private, 192.168/16", ["192.168.1.1"]),
        ("loopback", ["127.0.0.1"]),
        ("cloud metadata", ["169.254.169.254"]),
        ("carrier-grade NAT", ["100.64.0.1"]),
        ("this host", ["0.0.0.0"]),
        ("multicast", ["224.0.0.1"]),
        ("broadcast", ["255.255.255.255"]),
        ("IPv6 loopback", ["::1"]),
        ("IPv6 unspecified", ["::"]),
        ("IPv4-mapped", ["::ffff:127.0.0.1"]),
        ("IPv4-compatible", ["::127.0.0.1"]),
        ("6to4", ["2002:7f00:1::"]),
        ("NAT64", ["64:ff9b::7f00:1"]),
        ("NAT64 of a local network", ["64:ff9b:1::1"]),
        ("Teredo", ["2001::1"]),
        ("unique local", ["fd00:ec2::254"]),
        ("link-local with a scope", ["fe80::1%eth0"]),
        ("IPv6 multicast", ["ff02::1"]),
        ("mixed, IPv4", [PUBLIC, "127.0.0.1"]),
        ("mixed, IPv6", ["2606:4700::1111", "::1"]),
    ),
    Attack("no such name", SONG, {"no_such_host"}, {"music.example": []}),
    # Spellings of this machine, asked of the system's own resolver, on an installation that allows them by name.
    *(
        Attack(f"this machine as {host}", f"http://{host}/a.mp3", {"forbidden_address", "no_such_host"}, hosts=(host,))
        for host in ("127.0.0.1", "127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "localhost")
    ),
    Attack("this machine as [::1]", "http://[::1]/a.mp3", {"forbidden_address"}, hosts=("::1",)),
    # Where servers send one.
    *_redirects(
        ("loopback", "http://127.0.0.1/a", {"forbidden_address"}, True),
        ("IPv6 loopback", "http://[::1]/a", {"forbidden_address"}, False),
        ("metadata", "http://169.254.169.254/latest/meta-data", {"forbidden_address"}, False),
        ("a name inside", "http://inside.example/a", {"forbidden_address"}, False),
        ("a tunnel inside", "https://inside.example/a", {"forbidden_address"}, False),
        ("ssh", "http://music.example:22/", {"forbidden_port"}, False),
        ("a database over TLS", "https://music.example:5432/", {"forbidden_port"}, False),
        ("a file", "file:///etc/passwd", {"failed"}, True),
        ("ftp", "ftp://music.example/a.mp3", {"failed", "forbidden_port"}, False),
    ),
    Attack("a redirect in circles", "http://music.example/loop", {"failed", "unreachable", "refused_by_site"}),
    # What servers serve.
    Attack("an endless body", "http://music.example/endless", {"too_large"}, child=True),
    Attack(
        "a large file",
        "http://music.example/large.mp3",
        {"too_large"},
        files={"large.mp3": "x" * 30_000},
        max_bytes=20_000,
    ),
    Attack("a decompression bomb", "http://music.example/bomb", {"too_large"}, child=True),
    Attack("a body shorter than its length", "http://music.example/short", {"too_large"}),
    Attack("a body longer than its length", "http://music.example/more", {"not_audio"}),
    Attack("a slow drip", "http://music.example/drip", {"timeout"}, child=True, timeout_s=3.0),
    Attack("huge headers", "http://music.example/headers", {"failed", "unreachable"}, child=True),
    Attack("a header without end", "http://music.example/endless-header", {"failed", "unreachable"}),
    Attack("a server that hangs up", "http://music.example/silent", {"failed", "unreachable"}),
    Attack("a name with a way out", "http://music.example/named", {"failed"}, child=True),
    Attack(
        "a page",
        "http://music.example/page.html",
        {"unknown_site"},
        files={"page.html": "<html><title>A page</title><p>Hello.</p></html>"},
    ),
    _page(
        "a page with a film inside",
        "film.html",
        '<video src="http://inside.example/a.mp4"></video>',
        {"forbidden_address", "unknown_site"},
    ),
    _page(
        "a page with a file",
        "file.html",
        '<audio src="file:///etc/passwd"></audio>',
        {"unknown_site", "nothing_found", "failed"},
    ),
    _page(
        "HLS to this machine",
        "in.m3u8",
        HLS.format("#EXTINF:4,\nhttp://127.0.0.1/a.ts\n"),
        {"forbidden_address"},
        child=True,
    ),
    _page("HLS of files", "files.m3u8", HLS.format("#EXTINF:4,\nfile:///etc/passwd\n"), {"failed"}, child=True),
    _page(
        "HLS with a key inside",
        "key.m3u8",
        HLS.format('#EXT-X-KEY:METHOD=AES-128,URI="http://inside.example/k"\n#EXTINF:4,\n/segment\n'),
        {"forbidden_address", "nothing_found", "refused_by_site"},
        child=True,  # there a file that yt-dlp forgets to close is the child's
    ),
    _page(
        "HLS with a beginning inside",
        "map.m3u8",
        HLS.format('#EXT-X-MAP:URI="http://inside.example/i.mp4"\n#EXTINF:4,\n/segment\n'),
        {"forbidden_address"},
        child=True,
    ),
    _page(
        "HLS that names a list inside",
        "master.m3u8",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000\nhttp://inside.example/x.m3u8\n",
        {"forbidden_address"},
    ),
    _page("HLS of 10,000 pieces", "long.m3u8", HLS.format("#EXTINF:4,\n/segment\n" * 10_000), {"too_long"}),
    _page(
        "HLS of 10,000 pieces that claim little time",
        "dense.m3u8",
        HLS.format("#EXTINF:0.01,\n/segment\n" * 10_000),
        {"too_large"},
        child=True,  # there a file that yt-dlp forgets to close is the child's
    ),
    _page("HLS that is live", "live.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n/segment\n", {"live"}),
    _page("DASH to this machine", "in.mpd", MPD.format("http://127.0.0.1/a.m4a"), {"forbidden_address"}),
    _page("DASH of a file", "file.mpd", MPD.format("file:///etc/passwd"), {"gone"}),
    _page(
        "a feed of 10,000",
        "feed.xml",
        FEED.format(
            "".join(f"<item><title>{i}</title><link>http://music.example/{i}.mp3</link></item>" for i in range(10_000))
        ),
        {"playlist"},
        child=True,
    ),
    _page(
        "a feed of one, inside",
        "one.xml",
        FEED.format("<item><title>1</title><link>http://inside.example/1.mp3</link></item>"),
        {"unknown_site", "forbidden_address"},
    ),
    *(
        Attack(f"status {status}", f"http://music.example/status/{status}", codes)
        for status, codes in (
            (401, {"refused_by_site"}),
            (403, {"refused_by_site"}),
            (404, {"gone"}),
            (451, {"refused_by_site"}),
            (503, {"unreachable"}),
        )
    ),
]


def test_the_table_is_long_enough() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 75
    assert sum(attack.child for attack in ATTACKS) >= 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with Web(tmp_path_factory.mktemp("files")) as web:
        yield web


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let yt-dlp run in this process: what the child does after it has tied itself down."""

    def run_child(module: str, request: Mapping[str, Any], *_: object, folder: Path, **__: object) -> dict[str, Any]:
        assert module == fetch_child.__name__
        monkeypatch.chdir(folder)
        try:
            return fetch_child.answer(dict(request), lambda fraction: None)
        finally:
            monkeypatch.undo()

    return lambda: monkeypatch.setattr(fetch_module, "run_child", run_child)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack(attack: Attack, server: Web, here: Callable[[], None], tmp_path: Path, play_here: Play) -> None:
    for name, content in attack.files.items():
        (server.files / name).write_text(content)
    server.answers, server.asked, server.dialled, server.paths = dict(attack.answers), [], [], []
    routes = Routes(resolve=resolve, dial=server.dial) if attack.name.startswith("this machine") else server.routes
    limits = replace(LIMITS, link_hosts=attack.hosts, max_bytes=attack.max_bytes)
    folder = tmp_path / "folder"
    folder.mkdir()
    if not attack.child:
        here()
    with pytest.raises(TuneTaleError) as caught:
        file = fetch(attack.url, limits, folder, silent, routes=routes, timeout_s=attack.timeout_s)
        assert file.path.parent == folder and file.path.stat().st_size <= limits.max_bytes
        play_here(file.path)  # what was let through must at least be no sound
    sentence = caught.value.message
    assert caught.value.code in attack.codes, (caught.value.code, sentence)
    assert sentence.endswith(".") and "\n" not in sentence and "root:" not in sentence and len(sentence) < 400
    assert {address for address, _ in server.dialled} <= {PUBLIC}, "only what was checked is dialled"
    assert {port for _, port in server.dialled} <= {80, 443}
    assert len(list(folder.iterdir())) == (1 if caught.value.code == "not_audio" else 0)
    assert sorted(path.name for path in tmp_path.iterdir()) <= ["folder", "scratch"]


def test_a_name_that_changes_its_mind(server: Web, here: Callable[[], None], tmp_path: Path) -> None:
    """DNS rebinding under yt-dlp: the second request of the same fetch gets another answer, and ends there."""
    answers = iter([[PUBLIC], *[["127.0.0.1"]] * 20])
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    (server.files / "rebind.mp3").write_bytes(b"x" * 100)
    server.dialled = []
    here()
    with pytest.raises(TuneTaleError) as caught:
        fetch("http://music.example/rebind.mp3", LIMITS, tmp_path, silent, routes=Routes(rebinding, server.dial))
    assert caught.value.code == "forbidden_address"
    assert len(asked) >= 2 and server.dialled == [(PUBLIC, 80)]


def test_with_the_wall_of_addresses_removed_it_is_still_only_loopback(
    server: Web, here: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What these tests stand on: whatever the proxy lets through, the dialler leads to our own server."""
    peers: list[Any] = []
    connect = socket.create_connection

    def watched(address: tuple[str, int], *rest: Any, **named: Any) -> socket.socket:
        peers.append(address[0])
        return connect(address, *rest, **named)

    here()
    monkeypatch.setattr(socket, "create_connection", watched)
    server.answers = {"music.example": ["10.0.0.1"]}
    (server.files / "wall.mp3").write_bytes(b"x" * 100)
    routes = replace(server.routes, allowed=lambda address: True)
    fetch("http://music.example/wall.mp3", LIMITS, tmp_path, silent, routes=routes)
    assert server.dialled[-1] == ("10.0.0.1", 80) and set(peers) == {"127.0.0.1"}
