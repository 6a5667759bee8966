"""What child processes used: their peak memory and their processor time, as they report themselves before they end.

The figures are for display and for measurements. A child that was killed, or that lies, reports none or wrong ones.
"""

from __future__ import annotations

import contextlib
import re
import resource
import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPORT = re.compile(rb"usage ([0-9]{1,15}) ([0-9]{1,9}\.[0-9]{3})")
_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes: getrusage(2)
_PEAK = re.compile(r"^VmHWM:\s*([0-9]+) kB$", re.MULTILINE)


@dataclass(slots=True)
class Usage:
    """The children of one block: the peak of the largest in bytes, and the processor time of all in seconds."""

    memory: int = 0
    seconds: float = 0.0


_CURRENT: ContextVar[Usage | None] = ContextVar("zkinfer_usage", default=None)


@contextlib.contextmanager
def metered() -> Iterator[Usage]:
    """Collect what the children that this thread runs in this block use; the figures grow as they end."""
    usage = Usage()
    token = _CURRENT.set(usage)
    try:
        yield usage
    finally:
        _CURRENT.reset(token)


def collect(line: bytes) -> bool:
    """Add a child's report to the current block, if there is one; returns whether the line is a report."""
    found = _REPORT.fullmatch(line)
    if found and (usage := _CURRENT.get()) is not None:
        usage.memory = max(usage.memory, int(found[1]))
        usage.seconds += float(found[2])
    return found is not None


# --- the child's side -------------------------------------------------------------------------------------------


def report() -> bytes:
    """The line with which this process reports what it used up to now."""
    return b"usage %d %.3f\n" % (peak_memory(), time.process_time())


def peak_memory() -> int:
    """The most bytes of memory that this process has held.

    Where the kernel tells it, that is the peak of the address space: `ru_maxrss` may be that of the process that
    started this one.
    """
    with contextlib.suppress(OSError):  # not Linux
        if found := _PEAK.search(Path("/proc/self/status").read_text()):
            return int(found[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
