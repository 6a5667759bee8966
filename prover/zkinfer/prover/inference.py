"""Immediate answers: the circuit's own forward pass, in pools of engine sessions.

Answers consist of the circuit's integers, which a proof states later. `outputs_digest` identifies them, so that the
proof can be compared with the answer already given.
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
from zkinfer.prover.quantised_inputs import integers_digest, naming_largest_input
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

_MAX_WAITING = 256
_IDLE_SECONDS = 600.0
_FLOAT_LIMITS = Limits(seconds=30.0, memory=4 << 30)


@dataclass(frozen=True, slots=True)
class Answer:
    """The outputs of one inference.

    Args:
        outputs: arrays by name, in the model's dtypes.
        integers: the circuit's integers of the same outputs, row-major, in the program's order.
        outputs_digest: of these integers.
        queue_seconds: wait for a free session.
        compute_seconds: duration of the forward pass.
    """

    outputs: Arrays
    integers: list[list[int]]
    outputs_digest: Digest
    queue_seconds: float
    compute_seconds: float


@dataclass(slots=True)
class _PoolEntry:
    """A pool and the time of its last request."""

    pool: SessionPool[Any]
    last_request: float


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
        max_waiting: maximum number of requests per model that wait for a session.
        idle_seconds: time without requests after which `retain` ends the sessions of a model.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        sessions: int | None = None,
        max_waiting: int = _MAX_WAITING,
        idle_seconds: float = _IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions or resources.cores()
        self._max_waiting = max_waiting
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._pools: dict[_PoolKey, _PoolEntry] = {}

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
        key = _PoolKey(model.circuit.folder, model.digest, floats=True)
        return self._pool(key, partial(_open_floats, model), 1).submit(partial(_float_answer, inputs=inputs))

    def warm(self, model: ModelVersion) -> Future[None]:
        """Open a session before the first request; the future fails as that of a request would."""
        return self._circuit_pool(model).submit(lambda _: None)

    def unfinished(self) -> int:
        """The number of requests that are waiting or running."""
        with self._lock:
            return sum(entry.pool.unfinished for entry in self._pools.values())

    def retain(self, models: Iterable[ModelVersion]) -> None:
        """End the sessions of all other models and of idle ones; call it periodically."""
        retained = {(model.circuit.folder, model.digest) for model in models}
        oldest = self._clock() - self._idle_seconds
        with self._lock:
            unused = [
                key
                for key, entry in self._pools.items()
                if (key.folder, key.circuit) not in retained
                or (entry.last_request < oldest and not entry.pool.unfinished)
            ]
            pools = [self._pools.pop(key).pool for key in unused]
        for pool in pools:
            pool.close()

    def close(self) -> None:
        """End all sessions."""
        self.retain(())

    def _circuit_pool(self, model: ModelVersion) -> SessionPool[ForwardSession]:
        key = _PoolKey(model.circuit.folder, model.digest, floats=False)
        return self._pool(key, partial(_open_circuit, model), self._sessions)

    def _pool(self, key: _PoolKey, open_session: Callable[[], Any], size: int) -> SessionPool[Any]:
        with self._lock:
            entry = self._pools.get(key)
            if entry is None:
                pool = SessionPool(
                    open_session, size=size, max_waiting=self._max_waiting, name=f"answers-{key.circuit.hex[:8]}"
                )
                entry = self._pools[key] = _PoolEntry(pool, 0.0)
            entry.last_request = self._clock()
            return entry.pool


def _open_circuit(model: ModelVersion) -> ForwardSession:
    return model.engine.session(model.circuit.folder, model.circuit.manifest.program)


def _open_floats(model: ModelVersion) -> FloatSession:
    digest = Digest.parse(model.circuit.manifest.identity.model)
    return FloatSession(model.circuit.folder / MODEL, digest, _FLOAT_LIMITS)


def _forward(
    model: ModelVersion, integers: Sequence[Sequence[int]], requested_at: float, session: ForwardSession
) -> Answer:
    started = time.perf_counter()
    program = model.circuit.manifest.program
    with naming_largest_input(integers, program.inputs):
        integers_out = session.forward(integers)
    compute_seconds = time.perf_counter() - started
    specs = program.outputs
    outputs = {spec.name: _typed(tensor, spec) for spec, tensor in zip(specs, integers_out, strict=True)}
    return Answer(outputs, integers_out, integers_digest(integers_out), started - requested_at, compute_seconds)


def _typed(integers: Sequence[int], spec: TensorSpec) -> NDArray[np.generic]:
    """The integers in the model's dtype; floats are rounded to it."""
    low, high = spec.integer_range
    if min(integers) < low or max(integers) > high:
        place, value = next((place, value) for place, value in enumerate(integers) if not low <= value <= high)
        raise RangeError(
            f"The output {spec.name!r} exceeds the range of {spec.dtype}: {value} at element {place}.",
            f"Check the input's magnitude: the output holds {low} to {high}.",
        )
    with np.errstate(over="ignore"):
        return dequantise(integers, spec).astype(spec.dtype)


def _float_answer(session: FloatSession, *, inputs: Inputs) -> Arrays:
    return session.answer(inputs)
