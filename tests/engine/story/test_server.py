"""Stories from a server: what is sent, every way to fail, and a real server with a tiny model."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import Cancelled, Transient, TuneTaleError, UserError
from engine.settings import ServerSettings, WritingSettings
from engine.story import server as server_module
from engine.story.chat import Ask, Message
from engine.story.server import MAX_CHARS, ServerChat
from tests.fakes import openai_server as fake
from tests.fakes.openai_server import Behaviour, good, serving, status
from tests.fakes.tiny_llama import PIECES, reciting_llama

KEY = "sk-sentinel-0123456789"
STORY = "".join(PIECES)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between attempts."""
    monkeypatch.setattr(server_module, "RETRY_S", 0.0)
    monkeypatch.setattr("openai._constants.INITIAL_RETRY_DELAY", 0.0)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.0)


def chat(url: str, **settings: Any) -> ServerChat:
    return ServerChat.load(ServerSettings(**{"url": url, "model": "tiny", **settings}), WritingSettings())


def ask(seed: int = 1, tokens: int = 100) -> Ask:
    return Ask((Message("system", "You write."), Message("user", "Write.")), seed, tokens)


def ignore(share: float) -> None:
    pass


def test_what_is_asked_and_what_comes(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    (tmp_path / "key").chmod(0o600)
    shares: list[float] = []
    with serving(good(STORY)) as server:
        model = chat(server.url, api_key_file=str(tmp_path / "key"))
        assert model.write([ask(seed=2**40 + 7), ask(seed=8)], shares.append) == [STORY, STORY]
    assert model.name == "openai/tiny"
    headers, body = next(pair for pair in server.requests if pair[1]["seed"] == 7)
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body["messages"] == [{"role": "system", "content": "You write."}, {"role": "user", "content": "Write."}]
    assert (body["model"], body["max_tokens"], body["stream"]) == ("tiny", 100, True)
    assert (body["temperature"], body["top_p"]) == (0.9, 0.95)
    assert shares == sorted(shares) and shares[-1] == 1.0


@pytest.mark.parametrize(
    "failure",
    [
        status(429, Retry_After="0"),
        status(500),
        status(503),
        fake.cut("Once upon"),
        fake.events("{not json"),
        fake.events("[1, 2]"),
        fake.events('{"choices": [{"delta": 5}]}'),
        fake.events('{"choices": "many"}'),
        fake.events('{"error": {"message": "overloaded"}}'),
        fake.no_stream,
        fake.endless_line,
    ],
)
def test_a_failure_that_passes_is_not_seen(failure: Behaviour) -> None:
    with serving(failure, good(STORY)) as server:
        assert chat(server.url).write([ask()], ignore) == [STORY]
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("failure", "kind", "code", "said"),
    [
        (status(429), Transient, "server_busy", "is busy; please try again later"),
        (status(500), Transient, "server_failed", r"failed \(500\)"),
        (fake.cut("Once"), Transient, "server_broken", "broke off its answers"),
        (fake.events("{not json"), Transient, "server_broken", "broke off its answers"),
        (fake.no_stream, Transient, "server_broken", "does not speak OpenAI's protocol"),
        (fake.endless_line, Transient, "server_broken", "broke off"),
        (status(400, f"bad \x1b[31m{KEY} {'x' * 999}"), UserError, "server_refuses", r"\(400: .*bad .*\*\*\*"),
        (status(401, f"Incorrect API key provided: {KEY}"), UserError, "bad_key", "refuses the API key"),
        (status(403), UserError, "bad_key", "refuses the API key"),
        (fake.redirect, UserError, "server_refuses", "307"),
    ],
)
def test_a_failure_that_stays_is_one_sentence(
    failure: Behaviour,
    kind: type[TuneTaleError],
    code: str,
    said: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(failure) as server, pytest.raises(kind, match=said) as caught:
        chat(server.url, retries=1, api_key_variable="MY_KEY").write([ask(), ask(2)], ignore)
    assert caught.value.code == code
    assert caught.value.message.isprintable() and len(caught.value.message) < 400
    assert KEY not in caught.value.message
    assert KEY not in caplog.text


def test_a_server_that_is_not_there() -> None:
    with serving(good("")) as server:
        url = server.url
    with pytest.raises(Transient, match=rf"{url} cannot be reached") as caught:
        chat(url, retries=1).write([ask()], ignore)
    assert caught.value.code == "server_unreachable"


def test_a_silent_server() -> None:
    with serving(fake.silent) as server, pytest.raises(Transient, match=r"was silent for 0\.2 s") as caught:
        chat(server.url, timeout_s=0.2, retries=0).write([ask()], ignore)
    assert caught.value.code == "server_silent"


@pytest.mark.parametrize(
    ("models", "code", "said"),
    [
        (["tinny", "other"], "no_model", r"has no model tiny; did you mean tinny\?"),
        (["zebra"], "no_model", "it has: zebra"),
        ([], "no_model", "it has: none"),
        (None, "bad_url", "Nothing at .* speaks OpenAI's protocol"),
    ],
)
def test_an_unknown_model(models: list[str] | None, code: str, said: str) -> None:
    with serving(status(404), models=models) as server, pytest.raises(UserError, match=said) as caught:
        chat(server.url).write([ask()], ignore)
    assert caught.value.code == code


def test_one_answer_of_several_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    with serving(status(500), good(STORY)) as server:
        answers = chat(server.url, retries=0, parallel=1).write([ask(1), ask(2)], ignore)
    assert answers == ["", STORY]
    assert "1 of 2 answers of openai/tiny failed: InternalServerError" in caplog.text


def test_an_empty_answer_is_an_answer() -> None:
    with serving(good("")) as server:
        assert chat(server.url).write([ask()], ignore) == [""]


def test_ten_megabytes_are_cut() -> None:
    with serving(fake.endless_text) as server:
        (text,) = chat(server.url).write([ask()], ignore)
    assert len(text) == MAX_CHARS


def test_so_many_at_once() -> None:
    lock, most, now = threading.Lock(), 0, 0

    def counted(handler: fake.Handler) -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        good("x" * 400)(handler)
        with lock:
            now -= 1

    with serving(counted) as server:
        assert chat(server.url, parallel=1).write([ask(n) for n in range(4)], ignore) == ["x" * 400] * 4
    assert len(server.requests) == 4
    assert most <= 2  # the next may come while the last thread of the server still counts itself out


def test_cancel_lets_go() -> None:
    def cancel(share: float) -> None:
        if share > 0:
            raise Cancelled

    with serving(fake.silent) as server, pytest.raises(Cancelled):
        chat(server.url).write([ask(), ask(2)], cancel)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "ftp://x/v1"}, "is no address of a server"),
        ({"url": "localhost:11434"}, "is no address of a server"),
        ({"url": "http://[::1"}, "is no address of a server"),
        ({"url": f"https://me:{KEY}@host/v1"}, "holds a password"),
        ({"model": ""}, "engine.server.model is empty"),
        ({"api_key_file": "/nowhere/key"}, "file /nowhere/key cannot be read"),
        ({"api_key_variable": "TUNETALE_NO_SUCH_KEY"}, "environment variable TUNETALE_NO_SUCH_KEY holds no API key"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        chat(**{"url": "http://127.0.0.1:1/v1", **settings})
    assert KEY not in caught.value.message


def test_a_file_that_is_no_key(tmp_path: Path) -> None:
    for text in ("", "two words", "line\nbreak", "schlüssel"):
        (tmp_path / "key").write_text(text)
        (tmp_path / "key").chmod(0o600)
        with pytest.raises(UserError, match="holds no API key"):
            chat("http://127.0.0.1:1/v1", api_key_file=str(tmp_path / "key"))


def test_a_key_that_others_may_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(UserError, match="chmod 600") as caught:
        chat("http://127.0.0.1:1/v1", api_key_file=str(tmp_path / "key"))
    assert KEY not in caught.value.message


def test_a_key_in_the_open_is_warned_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    for url in ("http://127.0.0.1:1/v1", "http://localhost/v1", "https://api.example/v1"):
        chat(url, api_key_variable="MY_KEY")
    assert not caplog.text
    chat("http://api.example/v1", api_key_variable="MY_KEY")
    assert "travels to api.example unencrypted" in caplog.text
    assert KEY not in caplog.text


# --- a real server -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """`transformers serve` with a model that recites: (address, model)."""
    model = str(reciting_llama(tmp_path_factory.mktemp("models")))
    command = [str(Path(sys.executable).with_name("transformers")), "serve", model, "--device", "cpu"]
    # Port 0: the system chooses a free one, and the server says which.
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", "0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
                threading.Thread(target=process.stderr.read, daemon=True).start()  # or the pipe fills up
                yield f"{found[1]}/v1", model
                break
        else:
            pytest.fail("transformers serve ended before it served")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_real_server(real_server: tuple[str, str]) -> None:
    url, model = real_server
    assert chat(url, model=model).write([ask(), ask(2)], ignore) == [STORY] * 2
