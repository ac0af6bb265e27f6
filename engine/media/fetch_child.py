"""Fetches the sound behind one link with yt-dlp, in a confined child whose only way out is our proxy.

Runs as `python -m engine.media.fetch_child` in an empty scratch folder. Knows yt-dlp; knows facts and codes, no
sentences. No post-processor, no external program, no plug-in, no cookie, no cache, no configuration file.
"""

from __future__ import annotations

import errno
import os
import site
import sys
import sysconfig
from pathlib import Path
from typing import Any

import yt_dlp
from yt_dlp.networking.exceptions import HTTPError, ProxyError, RequestError, TransportError
from yt_dlp.utils import (
    DownloadCancelled,
    DownloadError,
    ExtractorError,
    GeoRestrictedError,
    UnsupportedError,
    YoutubeDLError,
)

from engine.media.limits import Tell, close_doors, serve

_PROTOCOLS = "^(https?|m3u8_native|http_dash_segments)$"
"""What yt-dlp reads itself; anything else it would hand to another program."""
_SOCKET_TIMEOUT_S = 15
_WRITING = {errno.EFBIG: "too_large", errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full"}
_MAX_HOPS = 3
"""Pages that may only point to another page."""


class Refused(DownloadCancelled):  # type: ignore[misc]
    """The link cannot be used: a code, and facts for the sentence. Passes through yt-dlp untouched."""

    def __init__(self, code: str, **facts: float | str) -> None:
        super().__init__(code)
        self.code, self.facts = code, facts


class _Quiet:
    """Takes yt-dlp's messages; the last ones go to the log of the parent through standard error."""

    def debug(self, message: str) -> None:
        """Drop progress lines."""

    def info(self, message: str) -> None:
        """Drop them too."""

    def warning(self, message: str) -> None:
        """Keep."""
        print(message[:500], file=sys.stderr)  # noqa: T201

    def error(self, message: str) -> None:
        """Keep."""
        self.warning(message)


def options(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Return the options of `yt_dlp.YoutubeDL`; everything that could reach further is off, by name."""
    most = int(request["max_bytes"])

    def watch(status: dict[str, Any]) -> None:
        done = int(status.get("downloaded_bytes") or 0)
        if done > most:
            raise Refused("too_large")
        total = status.get("total_bytes") or status.get("total_bytes_estimate") or most
        tell(min(1.0, done / max(1.0, float(total))))

    size = f"[filesize<?{most}][protocol~='{_PROTOCOLS}']"
    return {
        "proxy": request["proxy"],
        "geo_verification_proxy": "",
        "allowed_extractors": list(request["extractors"]),
        "format": f"ba{size}[protocol^=http]/ba{size}/b{size}[height<=?480]/b{size}",
        "outtmpl": {"default": request["name"]},
        "restrictfilenames": True,
        "nopart": True,
        "overwrites": True,
        "noplaylist": True,
        "playlist_items": "1:2",
        "extract_flat": "in_playlist",
        "max_filesize": most,
        "progress_hooks": [watch],
        "logger": _Quiet(),
        "quiet": True,
        "noprogress": True,
        "color": "no_color",
        "socket_timeout": _SOCKET_TIMEOUT_S,
        "retries": 2,
        "fragment_retries": 2,
        "extractor_retries": 1,
        "skip_unavailable_fragments": False,
        "concurrent_fragment_downloads": 1,
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "fixup": "never",
        "postprocessors": [],
        "js_runtimes": {},
        "remote_components": set(),
        "cachedir": False,
        "cookiefile": None,
        "cookiesfrombrowser": None,
        "usenetrc": False,
        "netrc_cmd": None,
        "enable_file_urls": False,
        "allow_unplayable_formats": False,
        "check_formats": None,
        "writethumbnail": False,
        "writesubtitles": False,
        "writeinfojson": False,
        "live_from_start": False,
        "wait_for_video": None,
        "updatetime": False,
    }


def _look(ydl: yt_dlp.YoutubeDL, url: str, max_seconds: float) -> dict[str, Any]:
    """Extract without downloading; refuse lists, live streams and what is too long."""
    for _ in range(_MAX_HOPS):
        info = ydl.extract_info(url, download=False)
        if not isinstance(info, dict):
            raise Refused("nothing_found")
        if info.get("_type") in (None, "video"):
            break
        entries = [entry for entry in info.get("entries") or () if entry]
        if len(entries) != 1:
            raise Refused("playlist" if entries else "nothing_found")
        url = str(entries[0].get("url") or "")
        if not url.startswith(("http://", "https://")):
            raise Refused("nothing_found")
    else:
        raise Refused("playlist")
    if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming", "post_live"):
        raise Refused("live")
    duration = info.get("duration")
    if isinstance(duration, int | float) and duration > max_seconds:
        raise Refused("too_long", seconds=float(duration))
    return info


def fetch(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Write the sound behind the link to the file `name` here; return its title."""
    with yt_dlp.YoutubeDL(options(request, tell)) as ydl:
        info = _look(ydl, request["url"], float(request["max_seconds"]))
        done = ydl.process_ie_result(info, download=True)
    if not os.path.isfile(request["name"]):
        raise Refused("too_large")  # the only reason for which yt-dlp skips without a word (max_filesize)
    return {"title": str((done or info).get("title") or "")[:4_000]}


def why(error: BaseException) -> str:
    """Return the code for what yt-dlp raised, by the types along its chain of causes, then by the site's own words."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        info = getattr(link, "exc_info", None)
        inner = info[1] if isinstance(info, tuple) and len(info) > 1 else getattr(link, "cause", None)
        link = inner or link.__cause__ or link.__context__
    for link in chain:
        if isinstance(link, OSError) and link.errno in _WRITING:
            return _WRITING[link.errno]
        if isinstance(link, HTTPError):
            return (
                "refused_by_site"
                if link.status in (401, 402, 403, 429, 451)
                else ("gone" if link.status in (404, 410) else "unreachable")
            )
        if isinstance(link, UnsupportedError):
            return "unknown_site"
        if isinstance(link, GeoRestrictedError):
            return "refused_by_site"
        if isinstance(link, TransportError | ProxyError | TimeoutError):
            return "unreachable"
        if isinstance(link, RequestError):
            return "failed"
    words = " ".join(str(link) for link in chain).lower()
    if "no suitable extractor" in words or "unsupported url" in words:
        return "unknown_site"
    if "drm" in words or "sign in" in words or "log in" in words or "login" in words or "private" in words:
        return "refused_by_site"
    if "requested format is not available" in words or "no video formats" in words:
        return "nothing_found"
    return "refused_by_site" if any(isinstance(link, ExtractorError) for link in chain) else "failed"


def _readable() -> list[str]:
    """Return what Python needs: its own folders, our package, certificates and the system's libraries."""
    paths = sysconfig.get_paths()
    ours = str(Path(__file__).resolve().parents[1])
    system = ["/usr", "/lib", "/lib64", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/mime.types", "/dev/null"]
    return [*site.getsitepackages(), paths["stdlib"], paths["platstdlib"], ours, *system]


def answer(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Do as `fetch`, and say what goes wrong as a code with facts."""
    try:
        return fetch(request, tell)
    except Refused as refusal:
        return {"refused": refusal.code, **refusal.facts}
    except (YoutubeDLError, DownloadError, OSError, ValueError) as error:
        return {"refused": why(error), "detail": str(error)[:500]}


def _work(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    close_doors(readable=_readable(), writable=["."], connect_port=int(request["proxy_port"]))
    return answer(request, tell)


if __name__ == "__main__":
    serve(_work)
