"""Metadata and configuration of the server and its models."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from zkinfer.oip import messages
from zkinfer.oip.messages import InferBatchStatistics, InferStatistics, ModelStatistics, StatisticDuration
from zkinfer.service.oip.tensors import datatype_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zkinfer.circuits.tensors import TensorSpec
    from zkinfer.oip.messages import ModelConfig, ModelMetadataResponse, ServerMetadataResponse
    from zkinfer.prover.repository import ModelVersion
    from zkinfer.service.submission import Mode


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
class _VersionStatistics:
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
        self._versions: dict[tuple[str, str], _VersionStatistics] = {}

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

    def _of(self, model: ModelVersion) -> _VersionStatistics:
        return self._versions.setdefault((model.name, model.version), _VersionStatistics())


PLATFORM = "zkinfer"
EXTENSIONS = ("binary_tensor_data", "model_configuration", "parameters", "statistics", "zkinfer_proofs")


def server_metadata() -> ServerMetadataResponse:
    """Name, version and supported extensions."""
    return messages.ServerMetadataResponse(name=PLATFORM, version=version("zkinfer"), extensions=EXTENSIONS)


def model_metadata(model: ModelVersion, versions: Sequence[ModelVersion]) -> ModelMetadataResponse:
    """Inputs and outputs with their full shapes, which a circuit fixes."""
    program = model.circuit.manifest.program
    return messages.ModelMetadataResponse(
        name=model.name,
        versions=[one.version for one in versions],
        platform=PLATFORM,
        inputs=[_tensor(spec) for spec in program.inputs],
        outputs=[_tensor(spec) for spec in program.outputs],
    )


def _tensor(spec: TensorSpec) -> ModelMetadataResponse.TensorMetadata:
    kind = messages.ModelMetadataResponse.TensorMetadata
    return kind(name=spec.name, datatype=datatype_of(spec.dtype).name, shape=spec.shape)


def model_config(model: ModelVersion, proof_mode: Mode) -> ModelConfig:
    """Triton's configuration: no batching; decoupled, because a stream sends the proof after the answer.

    Args:
        model: of the repository.
        proof_mode: of requests that name none.
    """
    manifest = model.circuit.manifest
    parameters = {
        "zkinfer_model_id": model.model_id,
        "zkinfer_circuit": str(model.digest),
        "zkinfer_verifying_key": manifest.identity.verifying_key,
        "zkinfer_input_visibility": manifest.recipe.input_visibility,
        "zkinfer_engine": manifest.recipe.engine,
        "zkinfer_setup": manifest.recipe.setup.ceremony,
        "zkinfer_proof_mode": proof_mode,
    }
    if model.labels:
        parameters["zkinfer_labels"] = " ".join(model.labels)
    return messages.ModelConfig(
        name=model.name,
        platform=PLATFORM,
        backend=PLATFORM,
        max_batch_size=0,
        input=[messages.ModelInput(**_config_tensor(spec)) for spec in manifest.program.inputs],
        output=[messages.ModelOutput(**_config_tensor(spec)) for spec in manifest.program.outputs],
        parameters={name: messages.ModelParameter(string_value=value) for name, value in parameters.items()},
        model_transaction_policy=messages.ModelTransactionPolicy(decoupled=True),
    )


def _config_tensor(spec: TensorSpec) -> dict[str, Any]:
    datatype = getattr(messages, f"TYPE_{datatype_of(spec.dtype).name}")
    return {"name": spec.name, "data_type": datatype, "dims": spec.shape}
