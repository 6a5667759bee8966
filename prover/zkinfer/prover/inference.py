"""Answers at once: the circuit's own forward pass, by engines that are held ready.

What is answered is what will be proven: the integers of the circuit. `outputs_digest` names them, so that a proof can
be compared with the answer that was given.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.circuit import MODEL
from zkinfer.circuits.digest import Digest
from zkinfer.circuits.errors import RangeError
from zkinfer.circuits.frontend.float_session import FloatSession
from zkinfer.circuits.sandbox import resources
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.tensors import dequantise
from zkinfer.prover.quantised_inputs import integers_digest
from zkinfer.prover.session_pool import SessionPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.base import ForwardSession
    from zkinfer.circuits.tensors import TensorSpec
    from zkinfer.prover.quantised_inputs import Inputs
    from zkinfer.prover.repository import ModelVersion

    Arrays = dict[str, NDArray[np.generic]]

_WAITING = 256
_IDLE_SECONDS = 600.0
_FLOAT_LIMITS = Limits(seconds=30.0, memory=4 << 30)


@dataclass(frozen=True, slots=True)
class Answer:
    """The outputs of one inference.

    Args:
        outputs: arrays by name, of the model's own dtypes.
        integers: the same as the circuit has them, row-major, in the program's order.
        outputs_digest: names these integers.
        waited: seconds until a session was free.
        computed: seconds of the forward pass.
    """

    outputs: Arrays
    integers: list[list[int]]
    outputs_digest: Digest
    waited: float
    computed: float


@dataclass(slots=True)
class _Kept:
    """A pool, and when it was last asked for something."""

    pool: SessionPool[Any]
    asked_at: float


@dataclass(frozen=True, slots=True)
class _Place:
    """What a pool is for: a folder of this content, as a circuit or as the float model in it."""

    folder: Path
    circuit: Digest
    floats: bool


class Answers:
    """Sessions with the engines, for as many models as are asked for. Threads may share it.

    Args:
        sessions: per model; None for one on each core.
        waiting: requests per model that may wait for a session.
        idle_seconds: after so long without a request, `keep` ends the sessions of a model.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        *,
        sessions: int | None = None,
        waiting: int = _WAITING,
        idle_seconds: float = _IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions or resources.cores()
        self._waiting = waiting
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[_Place, _Kept] = {}

    def forward(self, model: ModelVersion, integers: Sequence[Sequence[int]]) -> Future[Answer]:
        """The circuit's answer to the integers of one inference, as `integers_of` makes them.

        The future raises:
            RangeError: a value leaves the range of the circuit.
            EngineError: the engine failed.
            ModelUnavailableError: the model went away meanwhile.

        Raises:
            BusyError: too many requests wait already.
        """
        return self._circuit_pool(model).submit(partial(_forward, model, integers, time.perf_counter()))

    def floats(self, model: ModelVersion, inputs: Inputs) -> Future[Arrays]:
        """What the original model says to the same inputs, which must have its shapes and dtypes.

        The future raises ModelError, EngineError, ModelUnavailableError. Raises BusyError as `forward`.
        """
        place = _Place(model.circuit.folder, model.digest, floats=True)
        return self._pool(place, partial(_open_floats, model), 1).submit(partial(_float_answer, inputs=inputs))

    def warm(self, model: ModelVersion) -> Future[None]:
        """Open a session before the first request; it may fail as that would."""
        return self._circuit_pool(model).submit(lambda _: None)

    def unfinished(self) -> int:
        """Requests that wait or are being answered."""
        with self._lock:
            return sum(kept.pool.unfinished for kept in self._kept.values())

    def keep(self, models: Iterable[ModelVersion]) -> None:
        """End the sessions of all models but these, and of those that nobody asks for; call it now and then."""
        wanted = {(model.circuit.folder, model.digest) for model in models}
        latest = self._clock() - self._idle_seconds
        with self._lock:
            ending = [
                place
                for place, kept in self._kept.items()
                if (place.folder, place.circuit) not in wanted or (kept.asked_at < latest and not kept.pool.unfinished)
            ]
            pools = [self._kept.pop(place).pool for place in ending]
        for pool in pools:
            pool.close()

    def close(self) -> None:
        """End all sessions."""
        self.keep(())

    def _circuit_pool(self, model: ModelVersion) -> SessionPool[ForwardSession]:
        place = _Place(model.circuit.folder, model.digest, floats=False)
        return self._pool(place, partial(_open_circuit, model), self._sessions)

    def _pool(self, place: _Place, open_session: Callable[[], Any], size: int) -> SessionPool[Any]:
        with self._lock:
            kept = self._kept.get(place)
            if kept is None:
                pool = SessionPool(
                    open_session, size=size, waiting=self._waiting, name=f"answers-{place.circuit.hex[:8]}"
                )
                kept = self._kept[place] = _Kept(pool, 0.0)
            kept.asked_at = self._clock()
            return kept.pool


def _open_circuit(model: ModelVersion) -> ForwardSession:
    return model.engine.session(model.circuit.folder, model.circuit.manifest.program)


def _open_floats(model: ModelVersion) -> FloatSession:
    digest = Digest.parse(model.circuit.manifest.identity.model)
    return FloatSession(model.circuit.folder / MODEL, digest, _FLOAT_LIMITS)


def _forward(
    model: ModelVersion, integers: Sequence[Sequence[int]], asked_at: float, session: ForwardSession
) -> Answer:
    began = time.perf_counter()
    answered = session.forward(integers)
    computed = time.perf_counter() - began
    specs = model.circuit.manifest.program.outputs
    outputs = {spec.name: _typed(tensor, spec) for spec, tensor in zip(specs, answered, strict=True)}
    return Answer(outputs, answered, integers_digest(answered), began - asked_at, computed)


def _typed(integers: Sequence[int], spec: TensorSpec) -> NDArray[np.generic]:
    """In the model's dtype, to which fractions are rounded."""
    low, high = spec.integer_range
    if min(integers) < low or max(integers) > high:
        raise RangeError(f"The answer {spec.name!r} leaves the range of {spec.dtype}.")
    with np.errstate(over="ignore"):
        return dequantise(integers, spec).astype(spec.dtype)


def _float_answer(session: FloatSession, *, inputs: Inputs) -> Arrays:
    return session.answer(inputs)
