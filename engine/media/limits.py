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
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_NO_NEW_PRIVS = 38

_SYS_LANDLOCK_CREATE_RULESET = 444  # the same number on every architecture (linux/landlock.h)
_SYS_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_ACCESS_FS_V1 = (1 << 13) - 1
"""All file-system rights of Landlock's first version: execute, read, write, list, remove, make."""
_LANDLOCK_ACCESS_NET_V4 = 0b11
"""Bind and connect TCP (Landlock's fourth version)."""


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


def close_doors() -> bool:
    """Forbid opening any file or TCP connection from now on; what is open stays open.

    Returns whether the kernel has Landlock for it; older kernels have only the first half, or nothing.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    for rights in ((_LANDLOCK_ACCESS_FS_V1, _LANDLOCK_ACCESS_NET_V4), (_LANDLOCK_ACCESS_FS_V1,)):
        attributes = (ctypes.c_uint64 * len(rights))(*rights)
        size = ctypes.c_size_t(ctypes.sizeof(attributes))
        ruleset = libc.syscall(
            ctypes.c_long(_SYS_LANDLOCK_CREATE_RULESET), ctypes.byref(attributes), size, ctypes.c_uint(0)
        )
        if ruleset >= 0:
            done = libc.syscall(ctypes.c_long(_SYS_LANDLOCK_RESTRICT_SELF), ctypes.c_long(ruleset), ctypes.c_uint(0))
            os.close(ruleset)
            return bool(done == 0)
    return False


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
