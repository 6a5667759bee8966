"""Structured logs on stderr: one JSON object per line, with the ids of request and job.

Log lines hold text and numbers only: no arrays, no tokens, no control characters. The message of an unexpected
exception is left out because it may quote its input; class and traceback location are kept. Numbers are removed from
messages of engines, which may quote values.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import structlog

from zkinfer.circuits.errors import EngineError, ZkinferError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from zkinfer.service.settings import Log

_MAX_LENGTH = 600
_TOKEN = re.compile(r"zki_[0-9a-f]{12}_[0-9a-f]+|[Bb]earer\s+\S+")
_NUMBER = re.compile(r"\d+")
_FIELDS = ("worker", "job", "model", "attempt", "reason", "seconds")
_PLAIN_TYPES = (str, int, float, bool, type(None))

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("zkinfer")


def configure(settings: Log) -> None:
    """Configure logging for this process; called by the command, never on import."""
    render: Any = structlog.processors.JSONRenderer()
    if format_of(settings) == "text":
        render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_omit_exception)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            sanitised,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.level.upper()]),
        logger_factory=_StderrWriter,
    )
    logging.basicConfig(level=settings.level.upper(), handlers=[_StdlibHandler()], force=True)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it would log URLs, which may hold keys


def format_of(settings: Log) -> Literal["json", "text"]:
    """The format of log lines, in this process and in those that share its stderr."""
    if settings.format == "auto":
        return "text" if sys.stderr.isatty() else "json"
    return settings.format


class _StdlibHandler(logging.Handler):
    """Forwards Python's logging, which the workers use, to the structured log with the known fields."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the first line only; further lines may quote an exception, which is added as fields."""
        fields = {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[1] is not None:
            fields |= error_fields(record.exc_info[1])
        say = getattr(log, record.levelname.lower(), log.error)
        say(record.getMessage().partition("\n")[0], logger=record.name, **fields)


class _StderrWriter:
    """Writes to stderr. A failed write, such as on a full disk, must not fail a call."""

    def __init__(self, *_: object) -> None:
        self._file = sys.stderr

    def msg(self, message: str) -> None:
        """Write one line."""
        with suppress(OSError, ValueError):
            self._file.write(message + "\n")
            self._file.flush()

    debug = info = warning = error = critical = exception = log = msg


def sanitised(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep text and numbers, truncate long text, remove tokens and control characters; the last processor."""
    return {name: _sanitised(value) for name, value in event.items()}


def _sanitised(value: object) -> str | int | float | bool | None:
    if not isinstance(value, _PLAIN_TYPES):
        return f"<{type(value).__name__}>"
    if not isinstance(value, str):
        return value
    text = _TOKEN.sub("<token>", value)[:_MAX_LENGTH]
    return text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)


def error_fields(err: BaseException) -> dict[str, str]:
    """The log fields of an error: cause and cure of zkinfer's errors, class and location of all others."""
    if isinstance(err, EngineError):  # may quote input values
        return {"error": type(err).__name__, "cause": _NUMBER.sub("#", err.cause), "cure": err.cure}
    if isinstance(err, ZkinferError):
        return {"error": type(err).__name__, "cause": err.cause, "cure": err.cure}
    frames = traceback.extract_tb(err.__traceback__)[-6:]
    return {
        "error": type(err).__name__,
        "place": " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames)),
    }


def _omit_exception(*_: object) -> None:
    """Exceptions are logged through `error_fields`."""
