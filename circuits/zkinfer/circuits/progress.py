"""Telling a caller how long work goes on, and how long it took."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Observer(Protocol):
    """Whoever watches: a progress display, a log, a job record."""

    def progress(self, stage: str, fraction: float) -> None:
        """A stage has come to `fraction` (0..1); 0 announces it and 1 ends it."""
        ...

    def note(self, text: str) -> None:
        """One sentence worth telling a person, such as an estimate."""
        ...


class _Nobody:
    def progress(self, stage: str, fraction: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass


NOBODY: Observer = _Nobody()


@dataclass(slots=True)
class Stages:
    """Times named stages of one piece of work and reports them to an observer."""

    observer: Observer = NOBODY
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[float], None]]:
        """Time a block; yields a function that takes the fraction done."""
        self.observer.progress(name, 0.0)
        start = time.perf_counter()
        yield lambda fraction: self.observer.progress(name, min(fraction, 0.999))
        self.seconds[name] = round(time.perf_counter() - start, 4)
        self.observer.progress(name, 1.0)
