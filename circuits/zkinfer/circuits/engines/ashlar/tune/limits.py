"""What bounds a search for a recipe beside the budget: the memory of a proof, and the time of the search."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from zkinfer.circuits.cost import refuse_too_costly, unfinished_search

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.circuits.cost import Work
    from zkinfer.circuits.engines.base import TuneRequest


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """Limits of a request, counted from now.

    Args:
        request: has the limits, and what their messages tell.
        ends_at: on the monotonic clock; None for no limit.
        report: receives the fraction of all options that were tried.
    """

    request: TuneRequest
    ends_at: float | None
    report: Callable[[float], None]

    @classmethod
    def of(cls, request: TuneRequest, report: Callable[[float], None]) -> Self:
        """Those of a search that begins now."""
        seconds = request.search_seconds
        return cls(request, None if seconds is None else time.monotonic() + seconds, report)

    def refuse_late(self, tried: int) -> None:
        """Raise TooCostlyError if the time has passed; `tried` is the number of recipes that were measured."""
        if self.ends_at is not None and time.monotonic() > self.ends_at:
            raise unfinished_search(self.request.workload, tried)

    def refuse_costly(self, work: Work) -> None:
        """Raise TooCostlyError if a proof takes more memory than the request allows."""
        if self.request.max_memory is not None:
            refuse_too_costly(work.at(self.request.speed), self.request.max_memory, self.request.workload)
