"""The audit of dependencies notices what it is there to notice."""

from __future__ import annotations

import importlib.metadata

from tests.security.audit import CONSTRAINTS, HASHES, differences, fingerprint, listed, other_hashes

WANTED = listed("# comment\nyt-dlp==2026.10.26\nPillow==12.0.0\ntorch==2.13.0+cpu\n")


def test_the_list_is_read_as_the_index_names_packages() -> None:
    assert WANTED == {"yt-dlp": "2026.10.26", "pillow": "12.0.0", "torch": "2.13.0+cpu"}


def test_other_versions_and_strangers_are_named() -> None:
    assert differences(WANTED, {"pillow": "12.0.0", "torch": "2.13.0", "pip": "1"}) == []
    found = differences(WANTED, {"pillow": "11.0.0", "evil-package": "1.0"}, (3, 11))
    assert found == [
        "evil-package 1.0 is installed and not in constraints.txt",
        "pillow 11.0.0 is installed, constraints.txt has 12.0.0",
    ]


def test_a_wheel_with_another_content_is_named() -> None:
    locked = ["# comment", "av==18.1.0 cp311-x aa", "rich==14.0 py3-none-any bb"]
    assert other_hashes(locked, ["av==18.1.0 cp311-x aa", "rich==14.0 other-tag cc", "new==1 py3 dd"]) == []
    assert other_hashes(locked, ["av==18.1.0 cp311-x ee"]) == ["av==18.1.0 cp311-x is not the wheel that was locked"]


def test_the_lock_has_a_hash_for_what_reads_strangers_data() -> None:
    locked = [line.split("==")[0] for line in HASHES.read_text(encoding="utf-8").splitlines()]
    assert {"yt-dlp", "av", "pillow", "aiohttp", "pyrage", "discord-py"} <= set(locked)
    assert set(locked[1:]) <= set(listed(CONSTRAINTS.read_text(encoding="utf-8")))
    line = fingerprint(importlib.metadata.distribution("av"))
    assert (
        line is not None and line == fingerprint(importlib.metadata.distribution("av")) and len(line.split()[2]) == 64
    )
