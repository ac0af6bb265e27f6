"""The library's calls over aiohttp: forms, files, time-outs, and no address in any message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from telegram import InputFile
from telegram.error import NetworkError, TimedOut
from telegram.request import RequestData
from telegram.request._requestparameter import RequestParameter

from bot.telegram.connection import Connection

SECRET = "123456:AAsentinelSENTINELsentinelSENTINEL00"


class Service:
    """Answers as it is told, and keeps what it was sent."""

    def __init__(self) -> None:
        self.fields: dict[str, object] = {}
        self.kind = ""
        self.status = 200
        self.waits = False
        self.breaks = False
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        if self.waits:
            await asyncio.Event().wait()
        self.kind = request.content_type
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                with value.file as file:
                    self.fields[name] = (value.filename, value.content_type, file.read())
            else:
                self.fields[name] = value
        if self.breaks and request.transport is not None:
            request.transport.abort()
        return web.json_response({"ok": True, "result": True}, status=self.status)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    here = Service()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{tail:.*}", here.answer)
    async with TestServer(app) as server:
        here.url = f"{server.make_url(f'/bot{SECRET}/sendMessage')}"
        yield here


@asynccontextmanager
async def connection(read_s: float = 60.0, upload_s: float = 60.0) -> AsyncIterator[Connection]:
    async with Connection(2, base_url="http://localhost", connect_s=60.0, read_s=read_s, upload_s=upload_s) as made:
        yield made


def data(**values: object) -> RequestData:
    return RequestData([RequestParameter.from_input(name, value) for name, value in values.items()])


async def test_fields_are_sent_as_a_form(service: Service) -> None:
    async with connection() as calls:
        assert await calls.post(service.url, data(chat_id=5, text="雨 & sun", silent=True))
    assert service.kind == "application/x-www-form-urlencoded"
    assert service.fields == {"chat_id": "5", "text": "雨 & sun", "silent": "true"}


@pytest.mark.parametrize("content", [b"ID3", bytes(3 << 20)])
async def test_files_are_sent_with_name_and_kind(service: Service, content: bytes) -> None:
    song = InputFile(BytesIO(content), "雨.mp3")
    async with connection() as calls:
        assert await calls.post(service.url, data(chat_id=5, audio=song))
    assert service.kind == "multipart/form-data"
    assert service.fields == {"chat_id": "5", "audio": ("雨.mp3", "audio/mpeg", content)}


async def test_a_refusal_comes_with_its_body(service: Service) -> None:
    service.status = 400
    async with connection() as calls:
        status, body = await calls.do_request(service.url, "POST", data(chat_id=5))
    assert (status, body) == (400, b'{"ok": true, "result": true}')


@pytest.mark.parametrize("files", [False, True])
async def test_no_answer_is_a_time_out(service: Service, files: bool) -> None:
    service.waits = True
    more = {"audio": InputFile(b"ID3", "a.mp3")} if files else {}
    async with connection(read_s=0.05, upload_s=0.05) as calls:
        with pytest.raises(TimedOut) as failed:
            await calls.post(service.url, data(chat_id=5, **more))
    assert SECRET not in str(failed.value)


async def test_a_longer_poll_may_take_longer(service: Service) -> None:
    async with connection(read_s=0.0001) as calls:
        assert await calls.post(service.url, data(timeout=5), read_timeout=60.0)


async def test_a_broken_connection_names_no_address(service: Service) -> None:
    service.breaks = True
    async with connection() as calls:
        with pytest.raises(NetworkError) as failed:
            await calls.post(service.url, data(chat_id=5))
        assert not isinstance(failed.value, TimedOut)
        assert failed.value.message == "ServerDisconnectedError"
        with pytest.raises(NetworkError) as refused:
            await calls.post(f"http://127.0.0.1:1/bot{SECRET}/getMe", data())
        assert refused.value.message == "ClientConnectorError"
        with pytest.raises(NetworkError) as bad:
            await calls.post(f"http:///bot{SECRET}/getMe", data())
    for error in (failed.value, refused.value, bad.value):
        assert SECRET not in str(error) and error.__suppress_context__


async def test_it_can_be_opened_again_but_not_used_when_closed(service: Service) -> None:
    calls = Connection(2, base_url=service.url, connect_s=60.0, read_s=60.0, upload_s=60.0)
    await calls.shutdown()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="initialize"):
            await calls.do_request(service.url, "POST")
        async with calls:
            assert (await calls.do_request(service.url, "GET"))[0] == 200


async def test_the_proxy_of_the_environment_is_used(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", service.url.partition("/bot")[0])
    monkeypatch.setenv("no_proxy", "inside.invalid")
    calls = Connection(2, base_url="http://api.invalid/bot", connect_s=60.0, read_s=60.0, upload_s=60.0)
    async with calls:
        assert (await calls.do_request("http://api.invalid/bot1/getMe", "POST"))[0] == 200
    direct = Connection(2, base_url="http://inside.invalid/bot", connect_s=60.0, read_s=60.0, upload_s=60.0)
    async with direct:
        with pytest.raises(NetworkError):
            await direct.do_request("http://inside.invalid/bot1/getMe", "POST")
