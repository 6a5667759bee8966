"""The parent's side of a worker process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import why
from zkinfer.prover.errors import StoreError
from zkinfer.prover.workers.worker_id import worker_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.prover.workers.config import WorkerSettings

COMMAND = (sys.executable, "-I", "-m", "zkinfer.prover.workers.worker")


class WorkerProcess:
    """A new interpreter in its own session, so that signals for the parent's process group do not reach it.

    The kernel kills it when the thread that created it ends.

    Args:
        settings: sent on stdin.
        command: to run; the parent's process id is appended.

    Raises:
        StoreError: the process cannot be started.
    """

    def __init__(self, settings: WorkerSettings, command: Sequence[str] = COMMAND) -> None:
        try:
            self._process = subprocess.Popen(
                [*command, str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as err:
            raise StoreError(f"No worker can be started: {why(err)}.", "Raise the limit of processes.") from err
        self.name = worker_name(settings.host, self._process.pid)
        self.began_work = False
        self._heard = time.monotonic()
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: PIPE was requested
        os.set_blocking(self._process.stdout.fileno(), False)
        self._tell(settings)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """The exit status; None while it runs, negative for a signal."""
        return self._process.poll()

    def silent_for(self) -> float:
        """Seconds since its last sign of life."""
        assert self._process.stdout is not None  # noqa: S101 - as above
        if self._process.stdout.read(1 << 16):
            self.began_work = True
            self._heard = time.monotonic()
        return time.monotonic() - self._heard

    def drain(self) -> None:
        """Ask it to end after its current job."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it; its own children die with it."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the pipes of an ended process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _tell(self, settings: WorkerSettings) -> None:
        assert self._process.stdin is not None  # noqa: S101 - as above
        with contextlib.suppress(BrokenPipeError):  # it died already, which the pool notices
            self._process.stdin.write(settings.to_bytes())
            self._process.stdin.close()
