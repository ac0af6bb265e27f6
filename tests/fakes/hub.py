"""A hub on loopback: what huggingface_hub asks of it, and nothing else. An unknown route fails the test."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".pt", ".pth")
"""Endings of what the hub keeps in its large file storage, and gives the SHA-256 of."""


@dataclass
class Repo:
    """A model: its files by name for each commit; `main` names the newest."""

    commits: dict[str, dict[str, bytes]]
    main: str
    licence: str = "apache-2.0"
    gated: bool = False
    lies: dict[str, bytes] = field(default_factory=dict)
    """What is sent instead of a file."""


def sha1_of(data: bytes) -> str:
    """Return what git calls a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeHub

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        with self.server.lock:
            self.server.requests.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._api(parts[2:])
        elif "resolve" in parts:
            at = parts.index("resolve")
            self._file("/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2 :]))
        else:
            self._unknown()

    do_HEAD = do_GET

    def _api(self, parts: list[str]) -> None:
        kind = next((part for part in ("revision", "tree") if part in parts), None)
        at = parts.index(kind) if kind else len(parts)
        repo = self._repo("/".join(parts[:at]))
        if repo is None:
            return
        commit = self._commit(repo, parts[at + 1] if kind else "main")
        if commit is None:
            return
        files = repo.commits[commit]
        if kind == "tree":
            self._json(200, [{"type": "file", "path": name, **self._facts(name, data)} for name, data in files.items()])
            return
        siblings = [
            {"rfilename": name, "blobId": sha1_of(data), **self._facts(name, data)} for name, data in files.items()
        ]
        document = {
            "id": "/".join(parts[:at]),
            "sha": commit,
            "siblings": siblings,
            "cardData": {"license": repo.licence},
        }
        self._json(200, document | {"private": False, "tags": [], "downloads": 0, "likes": 0})

    def _file(self, name: str, revision: str, file: str) -> None:
        repo = self._repo(name)
        commit = self._commit(repo, revision) if repo else None
        if repo is None or commit is None:
            return
        data = repo.commits[commit].get(file)
        if data is None:
            self._json(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
            return
        etag = hashlib.sha256(data).hexdigest() if file.endswith(LARGE) else sha1_of(data)
        sent = repo.lies.get(file, data)
        self._send(200, sent, "application/octet-stream", ETag=f'"{etag}"', X_Repo_Commit=commit)

    def _repo(self, name: str) -> Repo | None:
        repo = self.server.repos.get(name)
        if repo is None:
            self._json(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        elif repo.gated:
            self._json(403, {"error": "Access is restricted"}, X_Error_Code="GatedRepo")
        elif self.server.broken:
            self._json(500, {"error": "Internal error"})
        else:
            return repo
        return None

    def _commit(self, repo: Repo, revision: str) -> str | None:
        commit = repo.main if revision == "main" else revision
        if commit in repo.commits:
            return commit
        self._json(404, {"error": "Revision not found"}, X_Error_Code="RevisionNotFound")
        return None

    def _facts(self, name: str, data: bytes) -> dict[str, Any]:
        facts: dict[str, Any] = {"size": len(data), "oid": sha1_of(data)}
        if name.endswith(LARGE):
            digest = hashlib.sha256(data).hexdigest()
            facts["lfs"] = {"sha256": digest, "oid": digest, "size": len(data), "pointerSize": 130}
        return facts

    def _unknown(self) -> None:
        with self.server.lock:
            self.server.unknown.append(self.path)
        self._json(404, {"error": "no such route"})

    def _json(self, status: int, document: Any, **headers: str) -> None:
        self._send(status, json.dumps(document).encode(), "application/json", **headers)

    def _send(self, status: int, data: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class FakeHub(ThreadingHTTPServer):
    """Holds the models, and what was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, repos: dict[str, Repo]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos = repos
        self.broken = False
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def hub_with(repos: dict[str, Repo]) -> Iterator[FakeHub]:
    """Serve models; afterwards every route that was asked for must have been a known one."""
    server = FakeHub(repos)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert not server.unknown


def files_of(folder: Path) -> dict[str, bytes]:
    """Return a directory's files as a commit of a model."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
