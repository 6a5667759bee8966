"""Stop the work of child processes from another thread or a signal handler."""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator


class StopSignal:
    """A flag that is set once and stays set. Call `close` after its last use."""

    def __init__(self) -> None:
        self.descriptor, self._write_end = os.pipe()
        self._is_set = False

    def set(self) -> None:
        """Stop the work that runs under this signal, and all work that is started under it later."""
        if not self._is_set:
            self._is_set = True
            os.write(self._write_end, b"\0")  # never read, so that the descriptor stays readable for every waiter

    def is_set(self) -> bool:
        """Whether the signal was set."""
        return self._is_set

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self.descriptor)
        os.close(self._write_end)


_CURRENT: ContextVar[StopSignal | None] = ContextVar("zkinfer_stop_signal", default=None)


@contextmanager
def stoppable(signal: StopSignal) -> Iterator[None]:
    """In this block and thread, kill every child process when the signal is set, and raise StoppedError."""
    token = _CURRENT.set(signal)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def stop_descriptor() -> int | None:
    """A descriptor that a wait for a child must watch too: readable once the work must stop; None without a signal."""
    current = _CURRENT.get()
    return None if current is None else current.descriptor


def stopped() -> StoppedError:
    """The error of work that was stopped."""
    return StoppedError("The work was stopped before it was done.")
