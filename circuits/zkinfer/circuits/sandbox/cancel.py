"""Stopping, from another thread or a signal handler, the work that a child process does for this one."""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator


class StopSignal:
    """Something that is set once and stays set. `close` it when nobody uses it any more."""

    def __init__(self) -> None:
        self.descriptor, self._write_end = os.pipe()
        self._is_set = False

    def set(self) -> None:
        """Stop what runs under this signal, and whatever is started under it from now on."""
        if not self._is_set:
            self._is_set = True
            os.write(self._write_end, b"\0")  # never read, so the descriptor stays readable for all who wait

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self.descriptor)
        os.close(self._write_end)


_CURRENT: ContextVar[StopSignal | None] = ContextVar("zkinfer_stop_signal", default=None)


@contextmanager
def stoppable(signal: StopSignal) -> Iterator[None]:
    """In this block and thread, every child process is killed when the signal is set; StoppedError is raised then."""
    token = _CURRENT.set(signal)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def stop_descriptor() -> int | None:
    """What a wait for a child process must watch as well: readable once the work is to be stopped."""
    current = _CURRENT.get()
    return None if current is None else current.descriptor


def stopped() -> StoppedError:
    """The error for work that was stopped."""
    return StoppedError("The work was stopped before it was done.")
