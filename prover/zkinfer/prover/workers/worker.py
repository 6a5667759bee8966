"""The entry point of a worker process: `python -m zkinfer.prover.workers.worker`, with its settings on stdin.

It dies with the process that started it. It writes a pulse to stdout; silence means that it hangs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zkinfer.circuits.engines import production_engines
from zkinfer.circuits.errors import ZkinferError
from zkinfer.circuits.home import Home
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.sandbox.processes import die_with, leave_no_core
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.jobs.store import JobStore
from zkinfer.prover.prover import Prover
from zkinfer.prover.workers.config import WorkerSettings
from zkinfer.prover.workers.job_loop import Worker
from zkinfer.prover.workers.key_prefetch import KeyPrefetcher
from zkinfer.prover.workers.logs import log_to_stderr
from zkinfer.prover.workers.worker_id import worker_name
from zkinfer.verifier import SigningKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zkinfer.circuits.engines.base import Engine

_LOG = logging.getLogger(__name__)


def serve(settings: WorkerSettings, *, engines: Mapping[str, Engine] | None = None) -> None:
    """Prove jobs in this process until SIGTERM.

    Args:
        settings: of the worker.
        engines: proving systems by id; by default the production engines. It cannot be set from outside.
    """
    store = JobStore.open(
        settings.database.get_secret_value(),
        ArtifactStore(Path(settings.artifacts)),
        retry_policy=settings.retry_policy,
    )
    name, home = worker_name(settings.host, os.getpid()), _home(settings)
    prover = _prover(settings, home, engines)
    warming = KeyPrefetcher(Path(settings.repository), home, prover, engines=engines, beat=_pulse)
    worker = Worker(name, store, prover, settings, _pulse, warming.one)
    signal.signal(signal.SIGTERM, lambda *_: worker.drain())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then signals its workers
    worker.run()
    store.close()


def _home(settings: WorkerSettings) -> Home:
    return Home(Path(settings.home), tuple(Path(folder) for folder in settings.setup_search))


def _prover(settings: WorkerSettings, home: Home, engines: Mapping[str, Engine] | None) -> Prover:
    pem = settings.signing_key
    key = None if pem is None else SigningKey.from_pem(pem.get_secret_value().encode())
    limits = replace(Limits.for_engine(), seconds=settings.job_seconds)
    return Prover(home=home, key=key, engines=production_engines(limits) if engines is None else engines)


def _pulse() -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), b".")


def main() -> None:
    """The entry point of `python -m`."""
    run_here()


def run_here(*, engines: Mapping[str, Engine] | None = None) -> None:
    """Run as a worker of the parent process; see `serve`."""
    die_with(int(sys.argv[1]))
    leave_no_core()
    log_to_stderr()
    settings = WorkerSettings.from_bytes(sys.stdin.buffer.read())
    log_to_stderr(settings.log_level, settings.log_format)
    try:
        serve(settings, engines=engines)
    except ZkinferError as err:
        _LOG.error("worker cannot start: %s", err)
        sys.exit(1)


if __name__ == "__main__":
    main()
