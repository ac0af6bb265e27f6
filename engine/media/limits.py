"""The child's side of `engine.media.child`: what a reader of hostile data may use, and how it ties itself down.

Knows Linux, not media. The child does it itself, first thing: a `preexec_fn` would run between fork and exec of a
process with many threads, which is not safe. Imports little: every child pays for it at its start.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import stat
import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_NO_NEW_PRIVS = 38

# Landlock (linux/landlock.h): system calls by number, the same on every architecture; rights as bits.
_SYS_CREATE_RULESET, _SYS_ADD_RULE, _SYS_RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH, _RULE_NET_PORT = 1, 2
_FS_READ = 1 << 2 | 1 << 3  # read file, read directory
_FS_ALL = (1 << 13) - 1  # of the first version: execute, write, read, list, remove, make
_FS_WRITE = _FS_ALL & ~_FS_READ & ~1
_NET_BIND, _NET_CONNECT = 1 << 0, 1 << 1  # TCP, since the fourth version


@dataclass(frozen=True)
class Confinement:
    """Resource limits of a child; the kernel enforces them (setrlimit(2))."""

    memory_bytes: int
    """Address space."""
    cpu_s: int
    """Processor seconds; the kernel kills beyond."""
    file_bytes: int
    """Size of any file it writes."""
    open_files: int = 32
    """Open descriptors."""


def confine(limits: Confinement, parent: int) -> None:
    """Tie this process down for good: limits, no privileges to gain, no core dump, no threads or children of its own.

    It also dies with the thread of process `parent` that started it. Exits at once if that is already gone.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for what, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))  # first SIGXCPU, which says why


def close_doors(
    readable: Iterable[str] = (), writable: Iterable[str] = (), connect_port: int | None = None
) -> Literal["all", "files", "none"]:
    """Forbid from now on what is not named: files outside these folders, TCP but to one port, running any program.

    What is open stays open. Returns what the kernel could close: older ones know no rules for TCP, or no Landlock.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    for rights in ((_FS_ALL, _NET_BIND | _NET_CONNECT), (_FS_ALL,)):
        attributes = struct.pack(f"={len(rights)}Q", *rights)
        ruleset = _landlock(libc, _SYS_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)))
        if ruleset < 0:
            continue
        for folders, granted in ((readable, _FS_READ), (writable, _FS_READ | _FS_WRITE)):
            for folder in folders:
                _allow_beneath(libc, ruleset, folder, granted)
        if connect_port is not None and len(rights) == 2:
            rule = struct.pack("=QQ", _NET_CONNECT, connect_port)
            _landlock(libc, _SYS_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_NET_PORT), rule)
        done = _landlock(libc, _SYS_RESTRICT_SELF, ctypes.c_int(ruleset)) == 0
        os.close(ruleset)
        return ("all" if len(rights) == 2 else "files") if done else "none"
    return "none"


def _allow_beneath(libc: ctypes.CDLL, ruleset: int, folder: str, granted: int) -> None:
    try:
        descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no right
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        granted &= 1 << 1 | 1 << 2  # a file has no entries to list or make
    rule = struct.pack("=Qi", granted, descriptor)
    _landlock(libc, _SYS_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), rule)
    os.close(descriptor)


def _landlock(libc: ctypes.CDLL, number: int, *arguments: object) -> int:
    return int(libc.syscall(ctypes.c_long(number), *arguments, ctypes.c_uint(0)))


Tell = Callable[[float], None]
"""Called by the child's work with the fraction that is done."""


def serve(work: Callable[[dict[str, Any], Tell], dict[str, Any]]) -> None:
    """Be the child: tie this process down, do `work`, and print what it returns. Called by the child's module."""
    argument = json.loads(sys.argv[1])
    confine(Confinement(**argument["confinement"]), argument["parent"])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library that prints must not talk over us

    def tell(fraction: float) -> None:
        print(json.dumps({"fraction": round(fraction, 3)}), file=answers, flush=True)

    answer = work(argument["request"], tell)
    print(json.dumps({"answer": answer}), file=answers, flush=True)
