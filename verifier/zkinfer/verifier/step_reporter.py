"""How a caller follows a verification, step by step."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import ZkinferError
from zkinfer.verifier.errors import RefusedError
from zkinfer.verifier.steps import TITLES, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zkinfer.verifier.steps import Status


class Checklist:
    """Tells an observer about every step exactly once and in order, however the verification ends."""

    def __init__(self, observer: Callable[[Step], None] | None) -> None:
        self._observer = observer

    @contextmanager
    def step(self, number: int) -> Iterator[list[str]]:
        """Run one step; the block may append details to the list it is given.

        A refusal from the block leaves with its `step` set; other errors of zkinfer fail the step as well.
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
        """Report a step that this verification does not do."""
        self._report(number, "skipped", why)

    def _report(self, number: int, status: Status, detail: str = "") -> Step:
        step = Step(number, TITLES[number - 1], status, detail)
        if self._observer is not None:
            self._observer(step)
        return step
