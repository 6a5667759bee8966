"""The protocol's statistics: inferences and durations of each model version since the server started."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkinfer.oip.messages import InferBatchStatistics, InferStatistics, ModelStatistics, StatisticDuration

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.prover.repository import ModelVersion


@dataclass(slots=True)
class _Duration:
    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds

    def message(self) -> StatisticDuration:
        return StatisticDuration(count=self.count, ns=round(self.seconds * 1e9))


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of one inference: decoding, waiting for a session, forward pass, encoding, and total."""

    input: float
    queue: float
    infer: float
    output: float
    total: float


@dataclass(slots=True)
class _Version:
    last: float = 0.0
    success: _Duration = field(default_factory=_Duration)
    fail: _Duration = field(default_factory=_Duration)
    queue: _Duration = field(default_factory=_Duration)
    input: _Duration = field(default_factory=_Duration)
    infer: _Duration = field(default_factory=_Duration)
    output: _Duration = field(default_factory=_Duration)


class Statistics:
    """Counts inferences. Belongs to one event loop.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._versions: dict[tuple[str, str], _Version] = {}

    def succeeded(self, model: ModelVersion, times: Timings) -> None:
        """Count a successful inference."""
        version = self._of(model)
        version.last = self._clock()
        version.success.add(times.total)
        for name in ("queue", "input", "infer", "output"):
            getattr(version, name).add(getattr(times, name))

    def failed(self, model: ModelVersion, seconds: float) -> None:
        """Count a failed inference."""
        self._of(model).fail.add(seconds)

    def of(self, model: ModelVersion) -> ModelStatistics:
        """The statistics of a version."""
        found = self._of(model)
        steps = {
            "compute_input": found.input.message(),
            "compute_infer": found.infer.message(),
            "compute_output": found.output.message(),
        }
        ends = {"success": found.success.message(), "fail": found.fail.message(), "queue": found.queue.message()}
        return ModelStatistics(
            name=model.name,
            version=model.version,
            last_inference=round(found.last * 1000),
            inference_count=found.success.count,
            execution_count=found.success.count,
            inference_stats=InferStatistics(**ends, **steps),
            batch_stats=[InferBatchStatistics(batch_size=1, **steps)] if found.success.count else [],
        )

    def _of(self, model: ModelVersion) -> _Version:
        return self._versions.setdefault((model.name, model.version), _Version())
