"""Gets the recording behind a link, or refuses it in one sentence.

Checks the link here; everything that comes from the network is read by a confined child (`fetch_child`, with yt-dlp)
through our own proxy (`egress`). Knows the sites, the limits and the words.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.errors import Crashed, Transient, TuneTaleError, UserError, disk_full
from engine.media.addresses import check_link, is_under
from engine.media.child import ChildDied, ChildTimeout, run_child
from engine.media.decode import spoken_length
from engine.media.egress import EgressProxy, Routes, Trouble
from engine.media.limits import Confinement
from engine.media.titles import UNTITLED, clean_title
from engine.report import Report
from engine.settings import MediaLimits

_log = logging.getLogger(__name__)

SITES = (
    "youtube(:.*)?",
    "youtubeytbe",
    "soundcloud(:.*)?",
    "bandcamp(:.*)?",
    "vimeo(:.*)?",
    "mixcloud",
    "audiomack",
    "audius(:track)?",
    "hearthisat",
    "jamendo",
    "freesound",
    r"archive\.org",
)
"""Names of yt-dlp's extractors that are allowed, as regular expressions: sites that exist to publish sound."""

FETCH_TIMEOUT_S = 120.0
"""Wall-clock seconds for a fetch."""
_PAGES_BYTES = 32_000_000
"""What pages and manifests around the sound may weigh together."""
_CHILD_MEMORY_BYTES = 2 << 30
_NAME = "music"
_UPLOAD = "please upload the file instead"

_SENTENCES = {
    "unknown_site": f"Recordings are not fetched from this site; {_UPLOAD}.",
    "refused_by_site": f"That site refuses to give this recording to servers. {_UPLOAD.capitalize()}.",
    "gone": "There is no recording behind this link any more; please check it.",
    "nothing_found": f"No recording was found behind this link; {_UPLOAD}.",
    "playlist": "This link is a list of recordings; please send the link of one of them.",
    "live": "This is a live broadcast; please send a finished recording.",
    "forbidden_address": f"This link leads to a place that is not on the public internet; {_UPLOAD}.",
    "forbidden_port": f"This link leads to an unusual port; {_UPLOAD}.",
    "no_such_host": "There is no such site; please check the link.",
    "failed": f"The recording could not be fetched from this link; {_UPLOAD}.",
}


@dataclass(frozen=True)
class FetchedFile:
    """What was behind a link: a file that now belongs to the caller, and the title that the site gives it."""

    path: Path
    title: str


def fetch(
    url: str,
    limits: MediaLimits,
    folder: Path,
    report: Report,
    *,
    routes: Routes | None = None,
    timeout_s: float = FETCH_TIMEOUT_S,
) -> FetchedFile:
    """Fetch the one recording behind an http(s) link into a new file in `folder`. Blocking.

    The file is data of a stranger: give it to `decode`. Raises `UserError` with one of the codes links_off,
    unsupported_scheme, bad_link, too_long, too_large, timeout and the keys of _SENTENCES; `Transient` (unreachable,
    disk_full) when trying again may help; `Crashed` when the child was killed, but not for one of its limits; and
    whatever `report` raises. Nothing stays in `folder` then.
    """
    if not limits.links:
        raise UserError(f"Links are switched off here; {_UPLOAD}.", code="links_off")
    routes = routes or Routes()
    link = check_link(url, routes.ports)
    generic = is_under(urlsplit(link).hostname or "", limits.link_hosts)
    report("fetch", 0.0)
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch,
        EgressProxy(limits.max_bytes + _PAGES_BYTES, routes) as proxy,
    ):
        request = {
            "url": link,
            "name": _NAME,
            "extractors": [*SITES, *(["generic"] if generic else [])],
            "max_bytes": limits.max_bytes,
            "max_seconds": limits.max_seconds,
            "proxy": proxy.url,
            "proxy_port": proxy.port,
        }
        facts = _run(request, Path(scratch), limits, timeout_s, report)
        if "refused" not in facts:
            facts.update(_weigh(Path(scratch, _NAME), proxy.received, limits))
        if "refused" in facts:
            raise _refusal(facts, proxy.troubles, limits)
        path = folder / f"fetched-{secrets.token_hex(8)}"
        os.replace(Path(scratch, _NAME), path)
    report("fetch", 1.0)
    return FetchedFile(path, clean_title(str(facts.get("title", "")), UNTITLED))


def _run(
    request: dict[str, Any], scratch: Path, limits: MediaLimits, timeout_s: float, report: Report
) -> dict[str, Any]:
    confinement = Confinement(
        memory_bytes=_CHILD_MEMORY_BYTES, cpu_s=int(timeout_s) + 1, file_bytes=limits.max_bytes + 1, open_files=64
    )
    try:
        return run_child(
            "engine.media.fetch_child",
            request,
            confinement,
            timeout_s=timeout_s,
            stage="fetch",
            report=report,
            folder=scratch,
            # Without PATH the system's default is searched, and yt-dlp hands some streams to an ffmpeg that it finds.
            environment={"PATH": "/nonexistent", "YTDLP_NO_PLUGINS": "1", "HOME": str(scratch), "TMPDIR": str(scratch)},
        )
    except ChildTimeout:
        return {"refused": "timeout", "seconds": timeout_s}
    except ChildDied as death:
        if death.signal is not None:
            raise Crashed("The process that fetched this link was ended, so the request was given up.") from death
        return {"refused": "failed"}


def _weigh(music: Path, received: int, limits: MediaLimits) -> dict[str, Any]:
    """Check what the child left; return why it cannot be taken, or nothing."""
    try:
        facts = music.lstat()
    except OSError:
        return {"refused": "nothing_found"}
    if not stat.S_ISREG(facts.st_mode) or facts.st_size == 0:
        return {"refused": "nothing_found"}
    if facts.st_size > limits.max_bytes:
        return {"refused": "too_large"}
    if facts.st_size > received:  # bytes that did not pass the proxy came by a way that must not be
        _log.error("a fetch brought %d bytes, %d through the proxy", facts.st_size, received)
        return {"refused": "failed"}
    return {}


def _refusal(facts: dict[str, Any], troubles: list[Trouble], limits: MediaLimits) -> TuneTaleError:
    """Say in words what went wrong; the proxy saw more of it than yt-dlp."""
    code = str(facts["refused"])
    _log.info("refused a link: %.600s; proxy: %s", facts, troubles)
    if troubles and code not in ("too_long", "too_large", "playlist", "live", "disk_full"):
        code = troubles[-1]
    if code in ("too_large", "budget"):
        most = f"{limits.max_bytes / 1e6:.1f} MB"
        return UserError(f"This recording is too large; the limit is {most}.", code="too_large")
    if code == "too_long":
        seconds = facts.get("seconds")
        length = spoken_length(seconds) if isinstance(seconds, float) and 0 < seconds < 1e9 else "longer"
        return UserError(
            f"This recording is too long: it lasts {length} and the limit is {spoken_length(limits.max_seconds)}.",
            code=code,
        )
    if code == "timeout":
        return UserError(
            f"Fetching took longer than {spoken_length(float(facts['seconds']))}; {_UPLOAD}.", code="timeout"
        )
    if code == "disk_full":
        return disk_full()
    if code == "unreachable":
        return Transient("The site could not be reached; please try again later or upload the file.", code=code)
    return UserError(_SENTENCES.get(code, _SENTENCES["failed"]), code=code if code in _SENTENCES else "failed")
