"""The protocol without I/O: steps that a driver executes, with threads or with an event loop.

A *flow* is a generator that yields steps and receives their results; a failed call is thrown into it as `CallError`.
So the order of calls, the retries and the checks are written once for both clients.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class UnaryCall:
    """A call with one response."""

    method: str
    request: Message
    response_type: type[Message]
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class StreamCall:
    """A call with a response stream; `on_response` gets each one as it arrives, so none is lost on an error."""

    method: str
    request: Message
    response_type: type[Message]
    on_response: Callable[[Any], None]
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """CPU-bound work."""

    run: Callable[[], Any]


ResultT = TypeVar("ResultT")
Step = UnaryCall | StreamCall | Pause | Work
Flow = Generator[Step, Any, ResultT]


@dataclass(slots=True)
class Backoff:
    """A deadline and exponential backoff with jitter between attempts.

    Args:
        seconds: until the deadline; None for no deadline.
        max_pause: the longest pause, in seconds.
    """

    seconds: float | None
    max_pause: float = 5.0
    _pause: float = 0.1
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = float("inf") if self.seconds is None else time.monotonic() + self.seconds

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; infinite without one."""
        return max(0.0, self._end - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self._end

    def capped(self, seconds: float) -> float:
        """The given seconds, or those until the deadline if they are fewer."""
        return min(seconds, self.remaining)

    def pause(self, at_least: float | None = None) -> Pause:
        """The next pause, with jitter so that clients do not retry in step."""
        self._pause = min(self.max_pause, self._pause * 2)
        seconds = max(self._pause * random.uniform(0.5, 1.0), at_least or 0.0)  # noqa: S311 - no secret
        return Pause(self.capped(seconds))

    def reset(self) -> None:
        """Start with short pauses again, after a successful call."""
        self._pause = 0.1
