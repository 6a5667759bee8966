"""What a proof of a model will take on this machine."""

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
class Prediction:
    """Peak memory, and wall time; `measured` says whether this machine's speed is known, or another's was taken."""

    memory_bytes: int
    seconds: float
    measured: bool


class Predictions:
    """Predicts, once for each circuit.

    Args:
        home: knows how fast this machine is, once `zkinfer calibrate` was run.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._known: dict[Digest, Prediction] = {}

    def of(self, model: ModelVersion) -> Prediction:
        """For one proof. Where the engine cannot tell, the memory is the manifest's and the time 0, for unknown."""
        digest = model.circuit.digest
        if digest not in self._known:
            self._known[digest] = self._predicted(model)
        return self._known[digest]

    def _predicted(self, model: ModelVersion) -> Prediction:
        manifest = model.circuit.manifest
        speed = self._speed(model)
        try:
            work = model.engine.work(model.circuit.folder)
        except EngineError:
            return Prediction(manifest.cost.memory_bytes, 0.0, measured=False)
        cost = work.at(speed or REFERENCE_SPEED)
        return Prediction(manifest.cost.memory_bytes, cost.prove_seconds, measured=speed is not None)

    def _speed(self, model: ModelVersion) -> Speed | None:
        """What was measured here; a file that others could have written is as good as none."""
        try:
            return known_speed(model.engine, self._home)
        except InputError:
            return None
