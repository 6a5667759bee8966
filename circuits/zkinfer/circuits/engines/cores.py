"""Keeping a computation of many tiny steps on one core.

An engine that hands each step to a pool of threads, and waits for it, pays for a wake-up on another core each time. On
one core that is a mere switch of threads: a forward pass of hundreds of steps then takes half of the processor time.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_THREADS = "/proc/self/task"
_LIBC = ctypes.CDLL(None)


@contextmanager
def on_one_core() -> Iterator[None]:
    """Hold all threads of this process to the core that it is on; the scheduler chose that one as the least busy."""
    if not sys.platform.startswith("linux"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    _move({_LIBC.sched_getcpu()} & allowed or allowed)
    try:
        yield
    finally:
        _move(allowed)


def _move(cores: set[int]) -> None:
    for thread in os.listdir(_THREADS):  # noqa: PTH208 - three names, read twice for each forward pass
        with suppress(OSError):  # it ended, or the system does not let us: then it stays where it is
            os.sched_setaffinity(int(thread), cores)
