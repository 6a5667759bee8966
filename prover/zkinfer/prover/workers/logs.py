"""What a worker tells the log: one JSON object a line, of names and numbers, never of values.

A formatter that writes only fields it knows cannot be made to write a tensor.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

FIELDS = ("worker", "job", "model", "attempt", "reason", "seconds")


class JsonLines(logging.Formatter):
    """Time, level and event, and those of the known fields that a record has."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; of an exception, which is a bug's, its kind and its place, since its text may quote a value."""
        line: dict[str, object] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[1] is not None:
            line |= _described(record.exc_info[1])
        return json.dumps(line)


def _described(err: BaseException) -> dict[str, str]:
    frames = traceback.extract_tb(err.__traceback__)[-6:]
    place = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return {"error": type(err).__name__, "place": place}


def log_to_stderr() -> None:
    """Set up the log of a process of our own."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    sys.excepthook = _unforeseen
    threading.excepthook = lambda caught: _unforeseen(caught.exc_type, caught.exc_value, caught.exc_traceback)


def _unforeseen(kind: type[BaseException], err: BaseException | None, trace: TracebackType | None) -> None:
    """What the interpreter says of an exception that nobody caught, without what the exception says."""
    if err is not None:
        logging.getLogger(__name__).critical("the worker broke", exc_info=(kind, err, trace))
