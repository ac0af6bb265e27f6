"""What is a link, and what is a public address: tables of attacks and of honest cases. No connection is opened."""

from __future__ import annotations

import pytest

from engine.errors import UserError
from engine.media.addresses import check_link, is_public, is_under

NOT_PUBLIC = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",  # carrier-grade NAT
    "169.254.169.254",  # cloud metadata
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",  # IPv4-compatible
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",  # translated
    "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
    "64:ff9b::a9fe:a9fe",  # NAT64 of 169.254.169.254
    "64:ff9b:1::1",
    "100::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2002:c0a8:101::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # cloud metadata
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1111%lo",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "",
    "localhost",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
]
PUBLIC = ["93.184.216.34", "1.1.1.1", "::ffff:1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101", "2a00:1450::1"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "unsupported_scheme"),
        ("song.mp3", "unsupported_scheme"),
        ("file:///etc/passwd", "unsupported_scheme"),
        ("ftp://example.com/a.mp3", "unsupported_scheme"),
        ("ytsearch:love", "unsupported_scheme"),
        ("data:audio/mpeg;base64,AAAA", "unsupported_scheme"),
        ("javascript:alert(1)", "unsupported_scheme"),
        ("-i", "unsupported_scheme"),
        ("rtmp://example.com/x", "unsupported_scheme"),
        ("http://", "bad_link"),
        ("http:///x", "bad_link"),
        ("http://user@example.com/", "bad_link"),
        ("http://user:pw@example.com/", "bad_link"),
        ("http://example.com@127.0.0.1/", "bad_link"),
        ("http://example.com:22/", "bad_link"),
        ("http://example.com:0/", "bad_link"),
        ("http://example.com:99999/", "bad_link"),
        ("http://example.com:http/", "bad_link"),
        ("http://example.com\\@127.0.0.1/", "bad_link"),
        ("http://exa mple.com/", "bad_link"),
        ("http://example.com/\r\nHost: x", "bad_link"),
        ("http://[::1", "bad_link"),
        ("http://[nonsense]/", "bad_link"),
        ("http://a..b/", "bad_link"),
        ("http://" + "a" * 64 + ".com/", "bad_link"),
        ("http://exa%6dple.com/", "bad_link"),
        ("http://example.com/" + "a" * 2_048, "bad_link"),
    ],
)
def test_bad_links(url: str, code: str) -> None:
    with pytest.raises(UserError) as caught:
        check_link(url)
    assert caught.value.code == code
    assert caught.value.message.endswith(".") and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://Example.COM", "https://example.com/"),
        ("  http://example.com:80/a?b=c  ", "http://example.com:80/a?b=c"),
        ("HTTPS://example.com./x", "https://example.com/x"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/ä"),
        ("https://ⓔxample.com/", "https://example.com/"),
        ("http://[2606:4700::1111]/x", "http://[2606:4700::1111]/x"),
        ("https://example.com/x#__youtubedl_smuggle=%7B%7D", "https://example.com/x"),
    ],
)
def test_normal_form(url: str, normal: str) -> None:
    assert check_link(url) == normal


def test_hosts_and_names_below_them() -> None:
    assert is_under("example.com", ("example.com",)) and is_under("cdn.example.com", ("Example.com.",))
    assert not is_under("badexample.com", ("example.com",)) and not is_under("com", ("example.com",))
