"""Log formats of workers: lines like those of the server, with names and numbers but never tensor values.

Formatters write known fields only, so that a record cannot leak a tensor.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

FIELDS = ("worker", "job", "model", "attempt", "reason", "seconds")


class JsonLines(logging.Formatter):
    """One JSON object per line: event, known fields of the record, level and time."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one line; of an exception only its type and location, since its text may quote a value."""
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
        line |= _described(record.exc_info[1])
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return line | {"level": record.levelname.lower(), "timestamp": time}


def _described(err: BaseException) -> dict[str, str]:
    frames = traceback.extract_tb(err.__traceback__)[-6:]
    place = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return {"error": type(err).__name__, "place": place}


def log_to_stderr(level: str = "info", form: str = "json") -> None:
    """Configure logging of a worker process; levels and formats are those of `WorkerSettings`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines() if form == "text" else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    sys.excepthook = _unforeseen
    threading.excepthook = lambda caught: _unforeseen(caught.exc_type, caught.exc_value, caught.exc_traceback)


def _unforeseen(kind: type[BaseException], err: BaseException | None, trace: TracebackType | None) -> None:
    """Log an uncaught exception without its text."""
    if err is not None:
        logging.getLogger(__name__).critical("the worker failed", exc_info=(kind, err, trace))
