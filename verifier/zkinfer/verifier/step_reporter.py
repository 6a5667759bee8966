"""Reports the steps of a verification to its caller."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import ZkinferError
from zkinfer.verifier.errors import RefusedError
from zkinfer.verifier.steps import TITLES, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zkinfer.verifier.steps import Status


class StepReporter:
    """Reports every step to an observer exactly once and in order, also if the verification fails."""

    def __init__(self, observer: Callable[[Step], None] | None) -> None:
        self._observer = observer

    @contextmanager
    def step(self, number: int) -> Iterator[list[str]]:
        """Run one step; the block may append details to the yielded list.

        A RefusedError raised in the block gets its `step` set; other errors of zkinfer fail the step as well.
        """
        details: list[str] = []
        try:
            yield details
        except ZkinferError as err:
            step = self._report(number, "failed", str(err))
            if isinstance(err, RefusedError):
                err.step = step
            for later in range(number + 1, len(TITLES) + 1):
                self._report(later, "not_reached")
            raise
        self._report(number, "passed", "; ".join(details))

    def skip(self, number: int, why: str) -> None:
        """Report a step that this verification does not perform."""
        self._report(number, "skipped", why)

    def _report(self, number: int, status: Status, detail: str = "") -> Step:
        step = Step(number, TITLES[number - 1], status, detail)
        if self._observer is not None:
            self._observer(step)
        return step
