"""Which addresses are on the public internet, and which links are links. Pure decisions; opens no connection."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit, urlunsplit

from engine.errors import UserError

MAX_URL_CHARS = 2_048
WEB_PORTS = frozenset({80, 443})

_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        # `is_global` of Python 3.11 lets these pass; IANA's special-purpose registries do not call them reachable.
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "64:ff9b:1::/48",  # NAT64 of a local network
        "100::/64",  # discard
        "2001::/23",  # Teredo and other protocol assignments: a tunnel may lead anywhere
        "2001:db8::/32",
        "2002::/16",  # 6to4: the same
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fec0::/10",  # site-local
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


def is_public(address: str) -> bool:
    """Whether this literal IPv4 or IPv6 address is a single machine on the public internet."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:
            return False
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip in _NAT64:  # how an IPv6-only network sees the IPv4 internet
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip not in _GLOBAL_UNICAST:
            return False
    if any(ip in network for network in _NOT_PUBLIC if network.version == ip.version):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback)


def check_link(url: str, ports: frozenset[int] = WEB_PORTS) -> str:
    """Return the link in its normal form: IDNA host, no fragment (where yt-dlp would take orders from).

    Raises `UserError` with the code unsupported_scheme or bad_link.
    """
    url = url.strip()
    if len(url) > MAX_URL_CHARS:
        raise UserError(f"This link is longer than {MAX_URL_CHARS:,} characters; please shorten it.", code="bad_link")
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise UserError("This link holds blanks or backslashes; please copy it again.", code="bad_link")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad_link() from None
    if parts.scheme not in ("http", "https"):
        raise UserError(
            "Only links that start with http:// or https:// are read; please send such a link or upload the file.",
            code="unsupported_scheme",
        )
    if "@" in parts.netloc:
        raise UserError("Links with a user name or password are not read; please leave it out.", code="bad_link")
    if port is not None and port not in ports:
        raise UserError("Links with an unusual port are not read; please upload the file instead.", code="bad_link")
    host = _normal_host(parts.hostname or "")
    return urlunsplit((parts.scheme, host if port is None else f"{host}:{port}", parts.path or "/", parts.query, ""))


def _normal_host(host: str) -> str:
    if ":" in host:  # only brackets let a colon into a host
        try:
            return f"[{ipaddress.IPv6Address(host)}]"
        except ValueError:
            raise _bad_link() from None
    try:
        name = host.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise _bad_link() from None
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?", name):
        raise _bad_link()
    return name


def _bad_link() -> UserError:
    return UserError("This is not a link that can be read; please copy it again from the browser.", code="bad_link")


def is_under(host: str, hosts: tuple[str, ...]) -> bool:
    """Whether `host` is one of `hosts` or a name below one of them."""
    return any(host == known or host.endswith("." + known) for known in (name.lower().strip(".") for name in hosts))
