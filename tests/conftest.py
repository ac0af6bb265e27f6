"""What every test gets: no network beyond loopback, one tensor thread, a fresh home."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

# Before torch is imported anywhere: two threads on a busy two-core machine make tiny models 20–80 times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"


def _is_loopback(address: object) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    try:
        return bool(ipaddress.ip_address(str(address[0])).is_loopback)
    except ValueError:
        return bool(address[0] == "localhost")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that would leave this machine."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(self: socket.socket, address: Any) -> None:
        assert _is_loopback(address), f"a test tried to reach {address!r}"
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        assert _is_loopback(address), f"a test tried to reach {address!r}"
        return connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_ex)
    yield
