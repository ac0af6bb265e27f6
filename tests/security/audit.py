"""Compares what is installed with the locked list of versions and hashes: see `make lint`.

Reads no network. `constraints.txt` has the versions, `constraints.sha256` a hash over what each wheel recorded of its
files (`--write` makes it anew); for packages that touch strangers' data the files themselves are hashed too. pip-audit,
where it is installed and the network allows, asks about known holes.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
HASHES = CONSTRAINTS.with_suffix(".sha256")
EXPOSED = ("yt-dlp", "av", "pillow", "soundfile", "aiohttp", "discord.py", "python-telegram-bot", "pyrage")
"""Packages that read what strangers send, or hold secrets."""
OURS = {"tunetale", "pip", "setuptools", "wheel"}
MADE_HERE = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}
AUDIT_S = 60
LISTED_FOR = (3, 11)
"""The Python that constraints.txt was made with."""


def canonical(name: str) -> str:
    """Return a package's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def listed(text: str) -> dict[str, str]:
    """Read `name==version` lines."""
    pairs = (line.split("==") for line in text.splitlines() if "==" in line and not line.startswith("#"))
    return {canonical(name.strip()): version.strip() for name, version in pairs}


def differences(
    wanted: Mapping[str, str], installed: Mapping[str, str], python: tuple[int, int] = sys.version_info[:2]
) -> list[str]:
    """Say, sorted, what is installed otherwise than listed, or not listed at all."""
    found = []
    for name, version in sorted(installed.items()):
        if name in OURS:
            continue
        if name not in wanted:
            if python == LISTED_FOR:  # other versions of Python need a few other packages
                found.append(f"{name} {version} is installed and not in constraints.txt")
        elif version.split("+")[0] != wanted[name].split("+")[0]:  # torch's builds differ behind the plus
            found.append(f"{name} {version} is installed, constraints.txt has {wanted[name]}")
    return found


def _recorded(distribution: importlib.metadata.Distribution) -> list[importlib.metadata.PackagePath]:
    """Return the files that came with a wheel; scripts and notes of pip are made here."""
    files = [file for file in distribution.files or [] if file.hash is not None and file.hash.mode == "sha256"]
    return [file for file in files if ".." not in file.parts and file.name not in MADE_HERE]


def fingerprint(distribution: importlib.metadata.Distribution) -> str | None:
    """Return `name==version tag sha256` of an installed wheel; None for what came otherwise."""
    tags = re.findall(r"^Tag: (\S+)$", distribution.read_text("WHEEL") or "", re.MULTILINE)
    lines = sorted(f"{file} {file.hash.value}" for file in _recorded(distribution) if file.hash is not None)
    if not tags or not lines:
        return None
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return f"{canonical(distribution.metadata['Name'])}=={distribution.version} {min(tags)} {digest}"


def other_hashes(locked: Iterable[str], installed: Iterable[str]) -> list[str]:
    """Name installed wheels whose version and tag are locked with another hash."""
    known = {" ".join(line.split()[:2]): line.split()[2] for line in locked if line and not line.startswith("#")}
    found = []
    for line in installed:
        wheel, _, digest = line.rpartition(" ")
        if known.get(wheel, digest) != digest:
            found.append(f"{wheel} is not the wheel that was locked")
    return found


def changed_files(names: Iterable[str]) -> list[str]:
    """Name installed files of packages that are not what their wheel recorded (RECORD, PEP 376)."""
    found = []
    for name in names:
        try:
            files = _recorded(importlib.metadata.distribution(name))
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            assert file.hash is not None
            path = Path(str(file.locate()))
            digest = hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b""
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
                found.append(f"{path} is not what {name} came with")
    return found


def main() -> int:
    """Print every difference; 0 without one."""
    found = {canonical(each.metadata["Name"]): each for each in importlib.metadata.distributions()}
    wheels = sorted(line for name, each in found.items() if name not in OURS and (line := fingerprint(each)))
    if sys.argv[1:] == ["--write"]:
        HASHES.write_text("\n".join(["# python -m tests.security.audit --write", *wheels]) + "\n", encoding="utf-8")
    wanted = listed(CONSTRAINTS.read_text(encoding="utf-8"))
    problems = differences(wanted, {name: each.version for name, each in found.items()})
    problems += other_hashes(HASHES.read_text(encoding="utf-8").splitlines(), wheels) + changed_files(EXPOSED)
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    if importlib.util.find_spec("pip_audit") is not None:
        try:
            command = [sys.executable, "-m", "pip_audit", "-r", str(CONSTRAINTS), "--no-deps", "--progress-spinner=off"]
            asked = subprocess.run(command, timeout=AUDIT_S, capture_output=True, text=True, check=False)
            sys.stdout.write(asked.stdout)
            if "Found" in asked.stderr:
                problems.append(asked.stderr)
        except subprocess.TimeoutExpired:
            sys.stdout.write("pip-audit did not reach its database\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
