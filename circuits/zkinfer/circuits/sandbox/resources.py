"""The memory and processors of this machine, and a fingerprint that distinguishes it from others."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class _Groups:
    """The file names of one version of the kernel's control groups.

    controller: its name in /proc/self/cgroup; folder: the root of its groups; limit, usage: the files with these
    numbers of bytes; cache: the entry of `memory.stat` for bytes that count as used but are reclaimed when needed;
    events: the file that counts killed processes.
    """

    controller: str
    folder: str
    limit: str
    usage: str
    cache: str
    events: str


_VERSIONS = (
    _Groups("", "", "memory.max", "memory.current", "inactive_file ", "memory.events"),
    _Groups(
        "memory",
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file ",
        "memory.oom_control",
    ),
)


def available_memory(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that a new process can use before the machine, or one of its control groups, runs out of memory."""
    free = [physical_memory(), _number_after("MemAvailable:", proc / "meminfo", 1024)]
    for version in _VERSIONS:
        free += [_free(folder, version) for folder in _folders(proc / "self/cgroup", groups, version)]
    return min(count for count in free if count is not None)


def usable_memory() -> int:
    """Bytes that zkinfer may use: nine tenths of the available memory, so that no other process is killed."""
    return available_memory() * 9 // 10


def physical_memory() -> int:
    """Bytes of memory in this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def oom_kills(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """How many processes of this control group, or of the machine, the kernel has killed for lack of memory.

    If this number grows while a process dies by SIGKILL, it ran out of memory; otherwise another process killed it.
    None if the kernel does not count.
    """
    for version in _VERSIONS:
        for folder in _folders(proc / "self/cgroup", groups, version):
            if (count := _number_after("oom_kill ", folder / version.events, 1)) is not None:
                return count
    return _number_after("oom_kill ", proc / "vmstat", 1)


def fingerprint(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """A name for the processor and the usable cores; measured speeds are valid while it stays the same."""
    model = next((line for line in _lines(cpuinfo) if line.startswith("model name")), platform.machine())
    return f"{model.partition(':')[2].strip() or model}, {cores()} cores"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _folders(membership: Path, groups: Path, version: _Groups) -> list[Path]:
    """The folders of this process's group and of its parents, each of which has its own limit.

    Inside a container the path may be that of the host and not exist; the outermost group is then the container's.
    """
    outermost = groups / version.folder
    inner = outermost / _path(membership, version.controller)
    return [inner, *(folder for folder in inner.parents if folder.is_relative_to(outermost))]


def _path(membership: Path, controller: str) -> str:
    for line in _lines(membership):
        controllers, _, path = line.partition(":")[2].partition(":")
        if controller in controllers.split(",") and ".." not in Path(path).parts:  # else outside the visible groups
            return path.lstrip("/")
    return ""


def _free(folder: Path, version: _Groups) -> int | None:
    allowed, used = _number(folder / version.limit), _number(folder / version.usage)
    if allowed is None or used is None:
        return None
    reclaimable = _number_after(version.cache, folder / "memory.stat", 1) or 0
    return max(0, allowed - max(0, used - reclaimable))


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
