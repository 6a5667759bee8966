"""Structured logs on stderr: one JSON object per line, with the ids of request and job.

A log line holds words and numbers, never an array, nothing that looks like a token, and no character that a terminal
takes for more than a letter. What an unforeseen exception says is left out too, since it may quote what it choked on;
its kind and its place are kept. Of what an engine says, the numbers are left out.
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

_LONGEST = 600
_TOKEN = re.compile(r"zki_[0-9a-f]{12}_[0-9a-f]+|[Bb]earer\s+\S+")
_NUMBER = re.compile(r"\d+")
_FIELDS = ("worker", "job", "model", "attempt", "reason", "seconds")
_PLAIN = (str, int, float, bool, type(None))

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("zkinfer")


def configure(settings: Log) -> None:
    """Set up logging for this process; called by the command, never on import."""
    render: Any = structlog.processors.JSONRenderer()
    if format_of(settings) == "text":
        render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_no_exception)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            harmless,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.level.upper()]),
        logger_factory=_Lines,
    )
    logging.basicConfig(level=settings.level.upper(), handlers=[_Foreign()], force=True)


def format_of(settings: Log) -> Literal["json", "text"]:
    """The form of each line, here and in the processes that share this stderr."""
    if settings.format == "auto":
        return "text" if sys.stderr.isatty() else "json"
    return settings.format


class _Foreign(logging.Handler):
    """Lines of Python's own logging, as the queue's workers write them: the event, and the fields that are known."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it in our own log: the first line, since others may quote an exception, which is described instead."""
        fields = {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[1] is not None:
            fields |= described(record.exc_info[1])
        say = getattr(log, record.levelname.lower(), log.error)
        say(record.getMessage().partition("\n")[0], logger=record.name, **fields)


class _Lines:
    """Writes to stderr. A line that cannot be written (a full disk behind it) must not fail a call."""

    def __init__(self, *_: object) -> None:
        self._file = sys.stderr

    def msg(self, message: str) -> None:
        """One line, whole."""
        with suppress(OSError, ValueError):
            self._file.write(message + "\n")
            self._file.flush()

    debug = info = warning = error = critical = exception = log = msg


def harmless(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep words and numbers, cut what is long, take tokens and control characters out; the last step of a line."""
    return {name: _harmless(value) for name, value in event.items()}


def _harmless(value: object) -> str | int | float | bool | None:
    if not isinstance(value, _PLAIN):
        return f"<{type(value).__name__}>"
    if not isinstance(value, str):
        return value
    text = _TOKEN.sub("<token>", value)[:_LONGEST]
    return text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)


def described(err: BaseException) -> dict[str, str]:
    """An error as a log has it: our own in words, any other by kind and place."""
    if isinstance(err, EngineError):  # it may quote the values that it was given
        return {"error": type(err).__name__, "cause": _NUMBER.sub("#", err.cause), "cure": err.cure}
    if isinstance(err, ZkinferError):
        return {"error": type(err).__name__, "cause": err.cause, "cure": err.cure}
    frames = traceback.extract_tb(err.__traceback__)[-6:]
    return {
        "error": type(err).__name__,
        "place": " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames)),
    }


def _no_exception(*_: object) -> None:
    """Exceptions are described by `described`."""
