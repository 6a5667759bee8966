"""Immediate answers: the circuit's own forward pass, in pools of engine sessions.

Answers consist of the circuit's integers, which a proof states later. `outputs_digest` identifies them, so that the
proof can be compared with the answer that was given.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.digest import Digest
from zkinfer.circuits.errors import RangeError
from zkinfer.circuits.frontend.api import FloatSession
from zkinfer.circuits.manifest import MODEL
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
        outputs: arrays by name, in the model's dtypes.
        integers: the circuit's integers of the same outputs, row-major, in the program's order.
        outputs_digest: of these integers.
        waited: seconds until a session was free.
        computed: seconds of the forward pass.
    """

    outputs: Arrays
    integers: list[list[int]]
    outputs_digest: Digest
    waited: float
    computed: float


@dataclass(slots=True)
class _PoolEntry:
    """A pool and the time of its last request."""

    pool: SessionPool[Any]
    asked_at: float


@dataclass(frozen=True, slots=True)
class _PoolKey:
    """Identifies a pool: a folder with this content, as a circuit or as the float model in it."""

    folder: Path
    circuit: Digest
    floats: bool


class InferencePools:
    """Pools of sessions, one per requested model; thread-safe.

    Args:
        sessions: per model; None for one per core.
        waiting: upper limit of requests per model that wait for a session.
        idle_seconds: time without requests after which `keep` ends the sessions of a model.
        clock: monotonic, in seconds.
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
        self._kept: dict[_PoolKey, _PoolEntry] = {}

    def forward(self, model: ModelVersion, integers: Sequence[Sequence[int]]) -> Future[Answer]:
        """The circuit's answer to the integers of one inference, as `integers_of` makes them.

        The future raises:
            RangeError: a value exceeds the range of the circuit.
            EngineError: the engine failed.
            ModelUnavailableError: the model was removed in the meantime.

        Raises:
            BusyError: too many requests are waiting.
        """
        return self._circuit_pool(model).submit(partial(_forward, model, integers, time.perf_counter()))

    def floats(self, model: ModelVersion, inputs: Inputs) -> Future[Arrays]:
        """The outputs of the original model for inputs of its shapes and dtypes.

        The future raises ModelError, EngineError or ModelUnavailableError. Raises BusyError as `forward`.
        """
        place = _PoolKey(model.circuit.folder, model.digest, floats=True)
        return self._pool(place, partial(_open_floats, model), 1).submit(partial(_float_answer, inputs=inputs))

    def warm(self, model: ModelVersion) -> Future[None]:
        """Open a session before the first request; the future fails as that of a request would."""
        return self._circuit_pool(model).submit(lambda _: None)

    def unfinished(self) -> int:
        """The number of requests that are waiting or running."""
        with self._lock:
            return sum(kept.pool.unfinished for kept in self._kept.values())

    def keep(self, models: Iterable[ModelVersion]) -> None:
        """End the sessions of other models, and of idle ones; call it periodically."""
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
        place = _PoolKey(model.circuit.folder, model.digest, floats=False)
        return self._pool(place, partial(_open_circuit, model), self._sessions)

    def _pool(self, place: _PoolKey, open_session: Callable[[], Any], size: int) -> SessionPool[Any]:
        with self._lock:
            kept = self._kept.get(place)
            if kept is None:
                pool = SessionPool(
                    open_session, size=size, waiting=self._waiting, name=f"answers-{place.circuit.hex[:8]}"
                )
                kept = self._kept[place] = _PoolEntry(pool, 0.0)
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
    """The integers in the model's dtype; floats are rounded to it."""
    low, high = spec.integer_range
    if min(integers) < low or max(integers) > high:
        raise RangeError(f"The output {spec.name!r} exceeds the range of {spec.dtype}.", "Check the input's magnitude.")
    with np.errstate(over="ignore"):
        return dequantise(integers, spec).astype(spec.dtype)


def _float_answer(session: FloatSession, *, inputs: Inputs) -> Arrays:
    return session.answer(inputs)
