"""HTTP for the Telegram library: its `BaseRequest` on aiohttp, which the Discord library brings along anyhow.

The library's own `HTTPXRequest` takes about half of the processor time of an answer: httpcore 1.0 asks the system about
every connection of its pool at every call (`connection_pool.py`, `_assign_requests_to_connections`). `BaseRequest` is
the place that the library has for another client; its users' collection ptbcontrib has one on aiohttp as well.

In Telegram's addresses stands the token, and aiohttp puts addresses into its messages: none of them goes further.
"""

from __future__ import annotations

import io
from typing import Any, ClassVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest, RequestData

POOL_S = 30.0
"""A call waits so long for a place in the pool; the flood gate lets only a few be under way at once."""
IDLE_S = 15.0
"""A connection that was unused for so long is not used again: the other end may be closing it just then."""


class Connection(BaseRequest):
    """A pool of connections to one server.

    Seconds: `connect_s` for a connection, `read_s` for the answer once everything is sent and for any pause in it,
    `upload_s` for a whole call with files.
    """

    _headers: ClassVar[dict[str, str]] = {"User-Agent": BaseRequest.USER_AGENT}

    def __init__(self, size: int, *, base_url: str, connect_s: float, read_s: float, upload_s: float) -> None:
        self._size = size
        self._proxy = _proxy_of(base_url)
        self._connect_s, self._read_s, self._upload_s = connect_s, read_s, upload_s
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float | None:
        """The seconds that an answer may take; the library adds those for which a poll is held open."""
        return self._read_s

    async def initialize(self) -> None:
        """Make the pool; it connects when it is needed."""
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(limit=self._size, keepalive_timeout=IDLE_S)
            jar = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=jar, headers=self._headers)

    async def shutdown(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Make one call and return status and body. Raises `TimedOut`, or another `NetworkError`."""
        if self._session is None or self._session.closed:
            raise RuntimeError("a connection is used before `initialize` or after `shutdown`")
        files = request_data is not None and request_data.contains_files
        read_s = self._read_s if read_timeout is BaseRequest.DEFAULT_NONE else read_timeout
        connect_s = self._connect_s if connect_timeout is BaseRequest.DEFAULT_NONE else connect_timeout
        timeout = aiohttp.ClientTimeout(
            total=self._upload_s if files else None,
            connect=POOL_S + connect_s,
            sock_connect=connect_s,
            sock_read=read_s,
        )
        try:
            async with self._session.request(
                method,
                url,
                data=None if request_data is None else _body(request_data),
                timeout=timeout,
                proxy=self._proxy,
                allow_redirects=False,
            ) as answer:
                return answer.status, await answer.read()
        except TimeoutError:
            raise TimedOut from None
        except (aiohttp.ClientError, OSError) as error:
            raise NetworkError(type(error).__name__) from None


def _body(data: RequestData) -> aiohttp.FormData | dict[str, str]:
    """Return the fields of a call, with its files if it has any."""
    if not data.contains_files:
        return data.json_parameters
    form = aiohttp.FormData(data.json_parameters, quote_fields=False)  # file names as they are, not %-coded
    for field, (name, content, kind) in data.multipart_data.items():
        # As a file it is sent in pieces, and the loop goes on in between.
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        form.add_field(field, file, filename=name, content_type=kind)
    return form


def _proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for an address (`HTTPS_PROXY`, `NO_PROXY`)."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
