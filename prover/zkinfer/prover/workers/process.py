"""One worker process, seen from the process that started it."""

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
    """A fresh interpreter in a session of its own, so that signals for this process's group do not reach it.

    The kernel kills it when the thread that made it ends.

    Args:
        settings: what it is told.
        command: what to run; it is given this process's id, and the settings on stdin.

    Raises:
        StoreError: no process could be started.
    """

    def __init__(self, settings: WorkerSettings, command: Sequence[str] = COMMAND) -> None:
        try:
            self._process = subprocess.Popen(
                [*command, str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as err:
            raise StoreError(f"No worker could be started: {why(err)}.", "Make room for processes.") from err
        self.name = worker_name(settings.host, self._process.pid)
        self.began_work = False
        self._heard = time.monotonic()
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: PIPE was asked for
        os.set_blocking(self._process.stdout.fileno(), False)
        self._tell(settings)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.poll()

    def silent_for(self) -> float:
        """Seconds since it last showed that it is alive."""
        assert self._process.stdout is not None  # noqa: S101 - as above
        if self._process.stdout.read(1 << 16):
            self.began_work = True
            self._heard = time.monotonic()
        return time.monotonic() - self._heard

    def drain(self) -> None:
        """Ask it to end after its present job."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now. Children of its own die with it."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Give the pipes back, once it has ended."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _tell(self, settings: WorkerSettings) -> None:
        assert self._process.stdin is not None  # noqa: S101 - as above
        with contextlib.suppress(BrokenPipeError):  # it died already, as will be seen
            self._process.stdin.write(settings.to_bytes())
            self._process.stdin.close()
