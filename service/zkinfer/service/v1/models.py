"""zkinfer.v1.Models: what this server answers for, what a proof costs, how close the circuits are."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from zkinfer.circuits.errors import InputError
from zkinfer.client.tensors import datatype_of
from zkinfer.prover.errors import ModelNotFoundError, ModelUnavailableError
from zkinfer.prover.repository import ModelState
from zkinfer.service.errors import blaming
from zkinfer.service.identity import caller
from zkinfer.v1 import models_pb2, values_pb2
from zkinfer.v1.models_pb2_grpc import ModelsServicer as Base

if TYPE_CHECKING:
    from grpc import aio

    from zkinfer.circuits.manifest import FidelityReport
    from zkinfer.circuits.tensors import TensorSpec
    from zkinfer.prover.repository import IndexEntry, ModelRepository, ModelVersion
    from zkinfer.service.estimates import Prediction, Predictions

_STATES = {
    ModelState.READY: models_pb2.MODEL_STATE_READY,
    ModelState.UNAVAILABLE: models_pb2.MODEL_STATE_UNAVAILABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsServicer(Base):
    """See proto/zkinfer/v1/models.proto.

    Args:
        repository: of models.
        predictions: of what proofs take here.
        page_size: most models of one page.
    """

    repository: ModelRepository
    predictions: Predictions
    page_size: int = 100

    async def ListModels(
        self, request: models_pb2.ListModelsRequest, context: aio.ServicerContext[object, object]
    ) -> models_pb2.ListModelsResponse:
        """Those that the caller may use, broken ones with their reason."""
        rights = caller().rights
        entries = [entry for entry in self.repository.index() if rights.may_use(entry.name)]
        with blaming("page_token"):
            start = _place(request.page_token)
        size = min(request.page_size, self.page_size) if request.page_size > 0 else self.page_size
        page = entries[start : start + size]
        models = await asyncio.to_thread(lambda: [self._model(entry) for entry in page])
        left = start + size < len(entries)
        return models_pb2.ListModelsResponse(models=models, next_page_token=str(start + size) if left else "")

    def _model(self, entry: IndexEntry) -> models_pb2.Model:
        message = models_pb2.Model(
            name=entry.name, version=entry.version, state=_STATES[entry.state], reason=entry.reason
        )
        if entry.state != ModelState.READY:
            return message
        try:
            model = self.repository.find(entry.name, entry.version)
            newest = self.repository.find(entry.name).version == entry.version
        except (ModelNotFoundError, ModelUnavailableError) as err:  # it went away since it was listed
            message.state, message.reason = models_pb2.MODEL_STATE_UNAVAILABLE, err.cause
            return message
        message.newest = newest
        message.MergeFrom(described(model, self.predictions.of(model)))
        return message


def described(model: ModelVersion, prediction: Prediction) -> models_pb2.Model:
    """What the manifest of a model says, and what a proof takes here."""
    manifest = model.circuit.manifest
    return models_pb2.Model(
        model_id=manifest.identity.model_id,
        circuit_digest=str(model.circuit.digest),
        verifying_key=manifest.identity.verifying_key,
        model_digest=manifest.identity.model,
        engine=manifest.recipe.engine,
        setup=manifest.recipe.setup.ceremony,
        inputs=[_tensor(spec) for spec in manifest.program.inputs],
        outputs=[_tensor(spec) for spec in manifest.program.outputs],
        cost=models_pb2.Cost(
            prove_duration=_duration(prediction.seconds) if prediction.measured else None,
            memory_bytes=prediction.memory_bytes,
            proof_bytes=manifest.keys.proof_bytes,
            gas=manifest.cost.gas,
        ),
        fidelity=_fidelity(manifest.fidelity),
    )


def _tensor(spec: TensorSpec) -> values_pb2.TensorInfo:
    return values_pb2.TensorInfo(
        name=spec.name, datatype=datatype_of(spec.dtype), shape=spec.shape, visibility=spec.visibility
    )


def _fidelity(report: FidelityReport) -> models_pb2.Fidelity:
    accuracy = report.accuracy
    return models_pb2.Fidelity(
        data=report.data,
        samples=report.samples,
        agreement=report.agreement,
        error_p50=report.error_p50,
        error_p99=report.error_p99,
        error_max=report.error_max,
        absolute_max=report.absolute_max,
        model_accuracy=accuracy.model if accuracy else None,
        circuit_accuracy=accuracy.circuit if accuracy else None,
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(round(seconds * 1000))
    return duration


def _place(token: str) -> int:
    if token and re.fullmatch(r"[0-9]{1,9}", token) is None:
        raise InputError(f"{token!r:.40} is no page token.", "Give the one that came with the last page, or none.")
    return int(token or 0)
