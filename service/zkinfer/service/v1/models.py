"""zkinfer.v1.Models: the served models, with the predicted cost of proofs and the fidelity of circuits."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from zkinfer.circuits.errors import InputError
from zkinfer.client.values import datatype_of
from zkinfer.prover.errors import ModelNotFoundError, ModelUnavailableError
from zkinfer.prover.repository import ModelState
from zkinfer.service.errors import in_field
from zkinfer.service.identity import caller
from zkinfer.v1 import models_pb2, values_pb2
from zkinfer.v1.models_pb2_grpc import ModelsServicer as Base

if TYPE_CHECKING:
    from grpc import aio

    from zkinfer.circuits.manifest import FidelityReport
    from zkinfer.circuits.tensors import TensorSpec
    from zkinfer.prover.repository import IndexEntry, ModelRepository, ModelVersion
    from zkinfer.service.limits import CostEstimate, CostEstimator

_STATES = {
    ModelState.READY: models_pb2.MODEL_STATE_READY,
    ModelState.UNAVAILABLE: models_pb2.MODEL_STATE_UNAVAILABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsServicer(Base):
    """See proto/zkinfer/v1/models.proto.

    Args:
        repository: of models.
        estimator: of the cost of proofs.
        page_size: most models in one page.
    """

    repository: ModelRepository
    estimator: CostEstimator
    page_size: int = 100

    async def ListModels(
        self, request: models_pb2.ListModelsRequest, context: aio.ServicerContext[object, object]
    ) -> models_pb2.ListModelsResponse:
        """The models that the caller may use, with the reason if unavailable."""
        rights = caller().rights
        entries = [entry for entry in self.repository.index() if rights.may_use(entry.name)]
        with in_field("page_token"):
            start = _offset(request.page_token)
        size = min(request.page_size, self.page_size) if request.page_size > 0 else self.page_size
        page = entries[start : start + size]
        models = await asyncio.to_thread(lambda: [self._model(entry) for entry in page])
        left = start + size < len(entries)
        return models_pb2.ListModelsResponse(models=models, next_page_token=str(start + size) if left else "")

    async def model(self, name: str, version: str) -> models_pb2.Model:
        """One version of a model that the caller may use; an unavailable one with the reason.

        Raises:
            ForbiddenError: the caller may not use the model.
            ModelNotFoundError: it does not exist.
        """
        caller().require_model(name)
        for entry in self.repository.index():
            if (entry.name, entry.version) == (name, version):
                return await asyncio.to_thread(self._model, entry)
        raise ModelNotFoundError(f"There is no version {version!r:.40} of a model {name!r:.120}.", "List the models.")

    def _model(self, entry: IndexEntry) -> models_pb2.Model:
        message = models_pb2.Model(
            name=entry.name, version=entry.version, state=_STATES[entry.state], reason=entry.reason
        )
        if entry.state != ModelState.READY:
            return message
        try:
            model = self.repository.find(entry.name, entry.version)
            newest = self.repository.find(entry.name).version == entry.version
        except (ModelNotFoundError, ModelUnavailableError) as err:  # it was removed since it was listed
            message.state, message.reason = models_pb2.MODEL_STATE_UNAVAILABLE, err.cause
            return message
        message.newest = newest
        message.MergeFrom(model_message(model, self.estimator.of(model)))
        return message


def model_message(model: ModelVersion, prediction: CostEstimate) -> models_pb2.Model:
    """The message of a model: its manifest, and the cost of a proof on this machine."""
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
        labels=model.labels,
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


def _offset(token: str) -> int:
    if token and re.fullmatch(r"[0-9]{1,9}", token) is None:
        raise InputError(f"{token!r:.40} is not a page token.", "Use the token of the previous page, or none.")
    return int(token or 0)
