"""Cost estimates: the time and memory that a proof of a model takes on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.cost import REFERENCE_SPEED
from zkinfer.circuits.errors import EngineError, InputError
from zkinfer.circuits.speed import known_speed

if TYPE_CHECKING:
    from zkinfer.circuits.cost import Speed
    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.home import Home
    from zkinfer.prover.repository import ModelVersion


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """Peak memory and wall time of a proof; `measured` is false if the speed of a reference machine was used."""

    memory_bytes: int
    seconds: float
    measured: bool


class CostEstimator:
    """Estimates the cost of proofs, once for each circuit.

    Args:
        home: holds the speed of this machine, after `zkinfer calibrate`.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._known: dict[Digest, CostEstimate] = {}

    def of(self, model: ModelVersion) -> CostEstimate:
        """The estimate for one proof; if the engine has none, the manifest's memory and 0 seconds, for unknown."""
        digest = model.circuit.digest
        if digest not in self._known:
            self._known[digest] = self._predicted(model)
        return self._known[digest]

    def _predicted(self, model: ModelVersion) -> CostEstimate:
        manifest = model.circuit.manifest
        speed = self._speed(model)
        try:
            work = model.engine.work(model.circuit.folder)
        except EngineError:
            return CostEstimate(manifest.cost.memory_bytes, 0.0, measured=False)
        cost = work.at(speed or REFERENCE_SPEED)
        return CostEstimate(manifest.cost.memory_bytes, cost.prove_seconds, measured=speed is not None)

    def _speed(self, model: ModelVersion) -> Speed | None:
        """The measured speed; a file that other users can write is ignored."""
        try:
            return known_speed(model.engine, self._home)
        except InputError:
            return None
