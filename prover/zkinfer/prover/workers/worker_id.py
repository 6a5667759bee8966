"""Unique names of worker processes, and the check whether a named process is dead.

A name is `host/boot.namespace.pid.start`. A process id alone is not unique: it is reused, and differs per container.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

_PROC = Path("/proc")


def this_host() -> str:
    """The name of this machine, the host part of worker names."""
    return socket.gethostname().replace("/", "-") or "localhost"


def worker_name(host: str, pid: int) -> str:
    """The name of a running process on this host."""
    return f"{host}/{_boot()}.{_namespace()}.{pid}.{_started(pid) or 0}"


def is_dead(name: str, host: str) -> bool:
    """Whether the process is certainly dead; False if this host cannot tell."""
    where, _, process = name.partition("/")
    parts = process.split(".")
    if where != host or len(parts) != 4:
        return False
    boot, namespace, pid, started = parts
    if boot != _boot():
        return True
    return namespace == _namespace() and not _runs(int(pid), started)


def _runs(pid: int, started: str) -> bool:
    if (_PROC / "self").exists():
        return _started(pid) == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text()[:8]
    except OSError:  # not Linux
        return "0"


def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").stat().st_ino)
    except OSError:  # not Linux
        return "0"


def _started(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None if it has ended, reaped or not."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
