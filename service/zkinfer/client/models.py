"""What a server says of its models. All of it is the server's claim, until a proof was verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.v1 import models_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zkinfer.v1 import values_pb2


@dataclass(frozen=True, slots=True)
class ModelCost:
    """The predicted cost of one proof.

    Args:
        seconds: to prove on the server; None if its speed was not measured.
        memory_bytes: of the proving process.
        proof_bytes: length of the proof.
        gas: to verify the proof on a chain.
    """

    seconds: float | None
    memory_bytes: int
    proof_bytes: int
    gas: int


@dataclass(frozen=True, slots=True)
class ModelFidelity:
    """The circuit compared with the float model at compile time; shares are from 0 to 1.

    Args:
        data: `held-out`, `calibration` or `synthetic`.
        samples: how many were compared.
        agreement: share of samples with the same answer.
        error_p50: median error, as a share of the output's range.
        error_p99: 99th percentile.
        error_max: largest.
        model_accuracy: share of right answers of the float model; None without labels.
        circuit_accuracy: of the circuit; None without labels.
    """

    data: str
    samples: int
    agreement: float
    error_p50: float
    error_p99: float
    error_max: float
    model_accuracy: float | None
    circuit_accuracy: float | None


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One version of one model; of an unavailable one, only the first five fields are known.

    Args:
        name: in the server's repository.
        version: of the model.
        newest: whether this version is the default.
        ready: whether it can be used.
        reason: why it cannot.
        model_id: the identity that policies name.
        model_digest: SHA-256 of the ONNX file.
        engine: the proving engine.
        setup: the trusted setup.
        inputs: name, datatype and shape of each.
        outputs: likewise.
        labels: what to know before relying on proofs.
        cost: predicted; None if unavailable.
        fidelity: measured by the compiler; None if unavailable.
    """

    name: str
    version: str
    newest: bool
    ready: bool
    reason: str
    model_id: str
    model_digest: str
    engine: str
    setup: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    labels: tuple[str, ...]
    cost: ModelCost | None
    fidelity: ModelFidelity | None


def served_model(model: models_pb2.Model) -> ServedModel:
    """The value of a message."""
    return ServedModel(
        name=model.name,
        version=model.version,
        newest=model.newest,
        ready=model.state == models_pb2.MODEL_STATE_READY,
        reason=model.reason,
        model_id=model.model_id,
        model_digest=model.model_digest,
        engine=model.engine,
        setup=model.setup,
        inputs=_described(model.inputs),
        outputs=_described(model.outputs),
        labels=tuple(model.labels),
        cost=_cost(model.cost) if model.HasField("cost") else None,
        fidelity=_fidelity(model.fidelity) if model.HasField("fidelity") else None,
    )


def _described(tensors: Iterable[values_pb2.TensorInfo]) -> tuple[str, ...]:
    return tuple(f"{one.name} {one.datatype} {list(one.shape)}" for one in tensors)


def _cost(cost: models_pb2.Cost) -> ModelCost:
    seconds = cost.prove_duration.ToMilliseconds() / 1000 if cost.HasField("prove_duration") else None
    return ModelCost(seconds, cost.memory_bytes, cost.proof_bytes, cost.gas)


def _fidelity(found: models_pb2.Fidelity) -> ModelFidelity:
    return ModelFidelity(
        data=found.data,
        samples=found.samples,
        agreement=found.agreement,
        error_p50=found.error_p50,
        error_p99=found.error_p99,
        error_max=found.error_max,
        model_accuracy=found.model_accuracy if found.HasField("model_accuracy") else None,
        circuit_accuracy=found.circuit_accuracy if found.HasField("circuit_accuracy") else None,
    )
