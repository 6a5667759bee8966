"""What a worker tells the log: one JSON object a line, of names and numbers, never of values.

A formatter that writes only fields it knows cannot be made to write a tensor.
"""

from __future__ import annotations

import json
import logging
import sys

FIELDS = ("worker", "job", "model", "attempt", "reason", "seconds")


class JsonLines(logging.Formatter):
    """Time, level and event, and those of the known fields that a record has."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback, which is a bug's, goes into it too."""
        line: dict[str, object] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr() -> None:
    """Set up the log of a process of our own."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
