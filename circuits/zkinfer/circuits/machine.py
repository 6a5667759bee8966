"""The machine we run on: how much memory is free, and what tells one machine from another."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_LIMITS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


def available_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = _CGROUP) -> int:
    """Bytes that a new process can use before the kernel runs out: of the machine, or of its container if less."""
    free = [physical_memory(), _number_after("MemAvailable:", meminfo, 1024)]
    for limit, usage in _LIMITS:
        allowed, used = _number(cgroup / limit), _number(cgroup / usage)
        if allowed is not None and used is not None:
            free.append(max(0, allowed - used))
    return min(count for count in free if count is not None)


def physical_memory() -> int:
    """Bytes of memory in this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def fingerprint(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """A name that changes when measured speeds no longer hold: the processor and the cores we may use."""
    model = next((line for line in _lines(cpuinfo) if line.startswith("model name")), platform.machine())
    return f"{model.partition(':')[2].strip() or model}, {cores()} cores"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _number_after(name: str, path: Path, unit: int) -> int | None:
    line = next((line for line in _lines(path) if line.startswith(name)), "")
    words = line.removeprefix(name).split()
    return int(words[0]) * unit if words and words[0].isdecimal() else None


def _number(path: Path) -> int | None:
    words = "".join(_lines(path)).split()
    return int(words[0]) if words and words[0].isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):  # not this kind of system
        return []
