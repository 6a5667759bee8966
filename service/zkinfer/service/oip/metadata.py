"""Metadata and configuration of the server and its models."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from zkinfer.oip import messages
from zkinfer.service.oip.datatypes import datatype_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.circuits.tensors import TensorSpec
    from zkinfer.oip.messages import ModelConfig, ModelMetadataResponse, ServerMetadataResponse
    from zkinfer.prover.repository import ModelVersion

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


def model_config(model: ModelVersion) -> ModelConfig:
    """Triton's configuration: no batching; decoupled, because a stream sends the proof after the answer."""
    manifest = model.circuit.manifest
    parameters = {
        "zkinfer_model_id": model.model_id,
        "zkinfer_circuit": str(model.digest),
        "zkinfer_verifying_key": manifest.identity.verifying_key,
        "zkinfer_input_visibility": manifest.recipe.input_visibility,
        "zkinfer_setup": manifest.recipe.setup.ceremony,
    }
    return messages.ModelConfig(
        name=model.name,
        platform=PLATFORM,
        backend=PLATFORM,
        max_batch_size=0,
        input=[messages.ModelInput(**_port(spec)) for spec in manifest.program.inputs],
        output=[messages.ModelOutput(**_port(spec)) for spec in manifest.program.outputs],
        parameters={name: messages.ModelParameter(string_value=value) for name, value in parameters.items()},
        model_transaction_policy=messages.ModelTransactionPolicy(decoupled=True),
    )


def _port(spec: TensorSpec) -> dict[str, Any]:
    datatype = getattr(messages, f"TYPE_{datatype_of(spec.dtype).name}")
    return {"name": spec.name, "data_type": datatype, "dims": spec.shape}
