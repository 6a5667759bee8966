"""Progress reports: observers of long work, and the time that each of its stages took."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from zkinfer.circuits.cost import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NOTE_EVERY = 10.0  # seconds


class Observer(Protocol):
    """Receives progress: a progress display, a log or a job record."""

    def progress(self, stage: str, fraction: float) -> None:
        """A stage has reached `fraction` (0..1); 0 announces the stage and 1 ends it."""
        ...

    def note(self, text: str) -> None:
        """One sentence for the user, such as an estimate."""
        ...


class _NullObserver:
    def progress(self, stage: str, fraction: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass


NULL_OBSERVER: Observer = _NullObserver()


def with_time_left(
    progress: Callable[[float], None], observer: Observer, what: str, clock: Callable[[], float] = time.monotonic
) -> Callable[[float], None]:
    """A callback for the fraction done that also notes, every ten seconds at most, how long the rest may take.

    Args:
        progress: receives every fraction.
        observer: receives the notes.
        what: the work, for the notes.
        clock: a monotonic clock, in seconds.
    """
    began = last = clock()

    def report(fraction: float) -> None:
        nonlocal last
        progress(fraction)
        now = clock()
        if 0 < fraction < 1 and now - last >= _NOTE_EVERY:
            last, left = now, (now - began) * (1 - fraction) / fraction
            observer.note(f"{what}: {fraction:.0%} after {duration(now - began)}, about {duration(left)} left")

    return report


@dataclass(slots=True)
class Stages:
    """Times the named stages of one task and reports them to an observer."""

    observer: Observer = NULL_OBSERVER
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[float], None]]:
        """Time a block; yields a callback for the fraction done."""
        self.observer.progress(name, 0.0)
        start = time.perf_counter()
        yield lambda fraction: self.observer.progress(name, min(fraction, 0.999))
        self.seconds[name] = round(time.perf_counter() - start, 4)
        self.observer.progress(name, 1.0)
