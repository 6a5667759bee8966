"""What a client does, step by step, without doing it: a driver makes the calls, with threads or with an event loop.

A *flow* is a generator that yields steps and is sent what came of them; an error is thrown into it as `CallError`.
So the order of calls, the patience and the checks are written once.
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
class Exchange:
    """One call with one answer, of the kind `answer`."""

    method: str
    request: Message
    answer: type[Message]
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """One call with a stream of answers; each is kept as it comes, so that what came before an error is not lost."""

    method: str
    request: Message
    answer: type[Message]
    take: Callable[[Any], None]
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing, for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Something that takes the processor for a while."""

    do: Callable[[], Any]


ResultT = TypeVar("ResultT")
Step = Exchange | Download | Pause | Work
Flow = Generator[Step, Any, ResultT]


@dataclass(slots=True)
class Patience:
    """How long to go on, and how long to pause between two tries: each time about twice as long, up to a bound.

    Args:
        seconds: None for ever.
        longest: pause.
    """

    seconds: float | None
    longest: float = 5.0
    _pause: float = 0.1
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = float("inf") if self.seconds is None else time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds until it ends; infinite for ever."""
        return max(0.0, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the time has passed."""
        return time.monotonic() >= self._end

    def bounded(self, seconds: float) -> float:
        """So long, but not beyond the end."""
        return min(seconds, self.left)

    def pause(self, at_least: float | None = None) -> Pause:
        """The next pause; differs between clients, so that they do not come back all at once."""
        self._pause = min(self.longest, self._pause * 2)
        wished = max(self._pause * random.uniform(0.5, 1.0), at_least or 0.0)  # noqa: S311 - no secret
        return Pause(self.bounded(wished))

    def refresh(self) -> None:
        """It went well: begin with short pauses again."""
        self._pause = 0.1
