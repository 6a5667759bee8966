"""The entry point of a worker process: `python -m zkinfer.prover.workers.worker`, with its settings on stdin.

It dies with the process that started it, and writes pulses to stdout; without them it counts as hanging.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from zkinfer.circuits.engines import production_engines
from zkinfer.circuits.errors import ZkinferError
from zkinfer.circuits.home import Home
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.sandbox.processes import die_with, disable_core_dumps
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.jobs.store import JobStore
from zkinfer.prover.prover import Prover
from zkinfer.prover.workers.config import WorkerSettings, worker_name
from zkinfer.prover.workers.job_loop import Worker
from zkinfer.prover.workers.key_prefetch import KeyPrefetcher
from zkinfer.verifier import SigningKey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from zkinfer.circuits.engines.base import Engine


FIELDS = ("worker", "job", "model", "attempt", "reason", "seconds")


class JsonLines(logging.Formatter):
    """One JSON object per line: event, known fields of the record, level and time."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one line; exceptions by type and location only, because their text may quote input values."""
        return json.dumps(_line_of(record))


class TextLines(logging.Formatter):
    """The same fields as a readable line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = _line_of(record)
        time, level, event = (line.pop(name) for name in ("timestamp", "level", "event"))
        text = f"{time} [{level:<9}] {event:<30} {' '.join(f'{name}={value}' for name, value in line.items())}".rstrip()
        return "".join(letter if letter.isprintable() else "?" for letter in text)


def _line_of(record: logging.LogRecord) -> dict[str, object]:
    line: dict[str, object] = {"event": record.getMessage()}
    line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
    if record.exc_info and record.exc_info[1] is not None:
        line |= _exception_fields(record.exc_info[1])
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return line | {"level": record.levelname.lower(), "timestamp": time}


def _exception_fields(err: BaseException) -> dict[str, str]:
    frames = traceback.extract_tb(err.__traceback__)[-6:]
    place = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return {"error": type(err).__name__, "place": place}


def log_to_stderr(level: str = "info", form: str = "json") -> None:
    """Configure logging of a worker process; levels and formats are those of `WorkerSettings`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines() if form == "text" else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda caught: _log_uncaught(caught.exc_type, caught.exc_value, caught.exc_traceback)


def _log_uncaught(kind: type[BaseException], err: BaseException | None, trace: TracebackType | None) -> None:
    """Log an uncaught exception without its text."""
    if err is not None:
        logging.getLogger(__name__).critical("the worker failed", exc_info=(kind, err, trace))


_LOG = logging.getLogger(__name__)


def serve(settings: WorkerSettings, *, engines: Mapping[str, Engine] | None = None) -> None:
    """Prove jobs in this process until SIGTERM.

    Args:
        settings: of the worker.
        engines: proving systems by id; by default the production engines. Not reachable from settings.
    """
    store = JobStore(
        settings.database.get_secret_value(),
        ArtifactStore(Path(settings.artifacts)),
        retry_policy=settings.retry_policy,
    )
    name, home = worker_name(settings.host, os.getpid()), _home(settings)
    prover = _prover(settings, home, engines)
    prefetcher = KeyPrefetcher(Path(settings.repository), home, prover, engines=engines, heartbeat=_pulse)
    worker = Worker(name, store, prover, settings, _pulse, prefetcher.prefetch_next)
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
    disable_core_dumps()
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
