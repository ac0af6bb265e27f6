"""Fetching for real: unmodified yt-dlp in its confined child, against a server on loopback."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yt_dlp

from engine.errors import Cancelled, Crashed, Transient, TuneTaleError, UserError
from engine.media import fetch as fetch_module
from engine.media import fetch_child
from engine.media.child import run_child
from engine.media.fetch import FetchedFile, fetch
from engine.media.limits import Confinement
from engine.report import Report, silent
from engine.settings import MediaLimits

from .conftest import Play
from .sounds import by_av, tone
from .webs import Web

LIMITS = MediaLimits(link_hosts=("music.example",), max_bytes=2_000_000)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    files = tmp_path / "files"
    files.mkdir()
    by_av(files / "My_song.mp3", tone(4), 44_100, "mp3", "libmp3lame")
    with Web(files) as web:
        yield web


def get(
    web: Web, url: str, tmp_path: Path, report: Report = silent, timeout_s: float = 60, **limits: Any
) -> FetchedFile:
    """Fetch into a folder of its own; after a refusal nothing is left there."""
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    try:
        return fetch(url, replace(LIMITS, **limits), folder, report, routes=web.routes, timeout_s=timeout_s)
    except BaseException:
        assert not list(folder.iterdir())
        raise


def test_a_direct_link(web: Web, tmp_path: Path, play: Play) -> None:
    seen: list[float] = []
    file = get(web, "http://music.example/My_song.mp3", tmp_path, lambda stage, fraction: seen.append(fraction))
    assert file.path.read_bytes() == (web.files / "My_song.mp3").read_bytes()
    assert file.title == "My_song" and seen[0] == 0.0 and seen[-1] == 1.0
    assert list(file.path.parent.iterdir()) == [file.path]
    assert play(file.path).duration_s == pytest.approx(4, abs=0.1)


def test_an_honest_redirect(web: Web, tmp_path: Path) -> None:
    file = get(web, "http://music.example/to?url=http://cdn.example/My_song.mp3", tmp_path)
    assert file.path.stat().st_size == (web.files / "My_song.mp3").stat().st_size
    assert ("cdn.example", 80) in web.asked


def test_a_known_site_is_asked_through_the_proxy(web: Web, tmp_path: Path) -> None:
    web.answers["soundcloud.com"] = ["10.0.0.1"]
    with pytest.raises(UserError) as caught:
        get(web, "https://soundcloud.com/someone/some-song", tmp_path)
    assert caught.value.code == "forbidden_address"
    assert {port for _, port in web.asked} == {443} and any("soundcloud" in host for host, _ in web.asked)
    assert not web.dialled


def test_a_server_in_trouble_may_be_tried_again(web: Web, tmp_path: Path) -> None:
    with pytest.raises(Transient) as caught:
        get(web, "http://music.example/status/503", tmp_path)
    assert caught.value.code == "unreachable"


@pytest.mark.parametrize("path", ["short", "more"])
def test_a_length_that_lies(web: Web, tmp_path: Path, path: str) -> None:
    """Either what came is taken as it is, and no sound for the decoder, or it is refused."""
    try:
        file = get(web, f"http://music.example/{path}", tmp_path)
    except (UserError, Transient):
        return
    assert file.path.stat().st_size <= LIMITS.max_bytes


def test_links_may_be_off(web: Web, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        get(web, "http://music.example/My_song.mp3", tmp_path, links=False)
    assert caught.value.code == "links_off" and not web.asked


def test_a_bad_link_starts_no_child(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "run_child", None)
    for url in ("file:///etc/passwd", "http://u@music.example/", "http://music.example:8080/"):
        with pytest.raises(UserError):
            get(web, url, tmp_path)


def test_no_program_can_be_found(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ffmpeg would open a way out beside the proxy."""
    environments: list[dict[str, str]] = []

    def run_child(*_: object, environment: dict[str, str], **__: object) -> dict[str, Any]:
        environments.append(environment)
        return {"refused": "gone"}

    monkeypatch.setattr(fetch_module, "run_child", run_child)
    with pytest.raises(UserError):
        get(web, "http://music.example/x", tmp_path)
    assert shutil.which("sh") and not shutil.which("sh", path=environments[0]["PATH"])


def test_a_slow_fetch_ends(web: Web, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        get(web, "http://music.example/endless", tmp_path, timeout_s=0.2)
    assert caught.value.code == "timeout"


@pytest.mark.parametrize(("what", "error"), [("die", Crashed), ("bug", UserError), ("spin", UserError)])
def test_who_ended_the_child(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, error: type[TuneTaleError]
) -> None:
    """One that was killed is tried again; one that ended by itself or for a limit is not."""
    ending = partial(run_child, "tests.engine.media.naughty_child", {"what": what, "signal": "SIGKILL"})

    def run(_: str, __: object, confinement: Confinement, **how: Any) -> dict[str, Any]:
        return ending(replace(confinement, cpu_s=1), **how)

    monkeypatch.setattr(fetch_module, "run_child", run)
    with pytest.raises(error) as caught:
        get(web, "http://music.example/My_song.mp3", tmp_path)
    assert caught.value.code == {"die": "crashed", "bug": "failed", "spin": "timeout"}[what]


def test_a_full_disk_may_be_tried_again(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = yt_dlp.utils.DownloadError("cannot write", exc_info=(OSError, OSError(errno.EDQUOT, "Quota exceeded"), None))
    monkeypatch.setattr(fetch_module, "run_child", lambda *_, **__: {"refused": fetch_child.why(full)})
    with pytest.raises(Transient, match=r"^There is no room left on the disk; please try again later\.$") as caught:
        get(web, "http://music.example/My_song.mp3", tmp_path)
    assert caught.value.code == "disk_full"


def test_cancel(web: Web, tmp_path: Path) -> None:
    def report(stage: str, fraction: float) -> None:
        if web.paths:
            raise Cancelled

    with pytest.raises(Cancelled):
        get(web, "http://music.example/endless", tmp_path, report, max_bytes=200_000_000)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"refused": "too_long", "seconds": 36_000.0}, "too_long"),
        ({"refused": "too_long", "seconds": "a trick"}, "too_long"),
        ({"refused": ["odd"]}, "failed"),
        ({"refused": "<b>x</b>"}, "failed"),
        ({"title": "no file"}, "nothing_found"),
    ],
)
def test_what_the_child_says_is_data(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], code: str
) -> None:
    monkeypatch.setattr(fetch_module, "run_child", lambda *_, **__: dict(facts))
    with pytest.raises(UserError) as caught:
        get(web, "http://music.example/x", tmp_path)
    assert caught.value.code == code and "<" not in caught.value.message


@pytest.mark.parametrize(("kind", "code"), [("link", "nothing_found"), ("bypass", "failed"), ("large", "too_large")])
def test_what_the_child_leaves_is_weighed(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, code: str
) -> None:
    """A link to a file of ours, bytes that did not come through the proxy, more bytes than allowed."""

    def run_child(*_: object, folder: Path, **__: object) -> dict[str, Any]:
        if kind == "link":
            (folder / "music").symlink_to("/etc/passwd")
        else:
            (folder / "music").write_bytes(bytes(100 if kind == "bypass" else 2_000_001))
        return {"title": "x"}

    monkeypatch.setattr(fetch_module, "run_child", run_child)
    with pytest.raises(UserError) as caught:
        get(web, "http://music.example/x", tmp_path)
    assert caught.value.code == code
