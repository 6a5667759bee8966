"""zkinfer.v1.Proofs: ask for a proof, fetch an attestation, check one."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import DataError
from zkinfer.client.tensors import array_of, messages_of
from zkinfer.prover.errors import ArtifactMissingError
from zkinfer.service.errors import BadFieldError, NotReadyError, UnknownOperationError, blaming
from zkinfer.service.identity import caller
from zkinfer.service.v1 import timestamp
from zkinfer.service.v1.context import context_message, proof_request
from zkinfer.v1 import proofs_pb2
from zkinfer.v1.proofs_pb2_grpc import ProofsServicer as Base
from zkinfer.verifier import MAX_BYTES, load_policy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from grpc import aio
    from numpy.typing import NDArray

    from zkinfer.circuits.digest import Digest
    from zkinfer.prover.artifact_store import ArtifactStore
    from zkinfer.prover.jobs import Job
    from zkinfer.prover.repository import ModelRepository
    from zkinfer.service.identity import Identity
    from zkinfer.service.metrics import Metrics
    from zkinfer.service.submission import Intake
    from zkinfer.service.v1 import OperationsServicer
    from zkinfer.service.verification import Verdict, Verifications
    from zkinfer.v1 import values_pb2


_MOST = 256  # more than models have


def arrays_of(tensors: Sequence[values_pb2.Tensor], field: str) -> dict[str, NDArray[np.generic]]:
    """Arrays by name.

    Raises:
        BadFieldError: too many, a name twice, or whatever `array_of` refuses.
    """
    if len(tensors) > _MOST:
        raise BadFieldError(field, f"There are {len(tensors):,} tensors.", f"At most {_MOST} are taken.")
    arrays: dict[str, NDArray[np.generic]] = {}
    for place, tensor in enumerate(tensors):
        with blaming(f"{field}[{place}]"):
            if tensor.name in arrays:
                raise DataError(f"The tensor {tensor.name!r:.80} is there twice.")
            arrays[tensor.name] = array_of(tensor)
    return arrays


PIECE = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofsServicer(Base):
    """See proto/zkinfer/v1/proofs.proto.

    Args:
        operations: knows whose job is whose.
        artifacts: where attestations lie.
        verifications: checks attestations.
        models: the ONNX files that an identity may use, by digest.
        repository: of models.
        intake: answers, and takes jobs on.
        metrics: are told of answers.
    """

    operations: OperationsServicer
    artifacts: ArtifactStore
    verifications: Verifications
    models: Callable[[Identity], Mapping[Digest, Path]]
    repository: ModelRepository
    intake: Intake
    metrics: Metrics

    async def CreateProof(
        self, request: proofs_pb2.CreateProofRequest, context: aio.ServicerContext[object, object]
    ) -> proofs_pb2.CreateProofResponse:
        """The answer, and the operation that proves it, which is on the disk by now."""
        who = caller()
        with blaming("model"):
            if not request.model:
                raise DataError("No model is named.", "ListModels lists those there are.")
        who.require_model(request.model)
        asked = proof_request(request)
        model = await self.intake.model_for(who, self.repository, request.model, request.version, asked.request_id)
        arrays = arrays_of(request.inputs, "inputs")
        began = time.perf_counter()
        with blaming("inputs"):
            accepted = await self.intake.accept(who, model, arrays, asked)
        self.metrics.answered(model.name, model.version, time.perf_counter() - began)
        assert accepted.job is not None  # noqa: S101 - for the type checker: a proof is always wanted here
        operation = await self.operations.shown(accepted.job)
        return proofs_pb2.CreateProofResponse(operation=operation, outputs=messages_of(accepted.answer.outputs))

    async def GetAttestation(
        self,
        request: proofs_pb2.GetAttestationRequest,
        context: aio.ServicerContext[object, object],
    ) -> AsyncIterator[proofs_pb2.GetAttestationResponse]:
        """The attestation in pieces, from an offset on."""
        with blaming("operation"):
            job = await self.operations.own_job(request.operation)
        digest = _digest_of(job)
        data = await asyncio.to_thread(self._read, request.operation, digest)
        if not 0 <= request.offset < len(data):
            with blaming("offset"):
                raise DataError(f"The attestation has {len(data):,} bytes.", "Begin at 0.")
        for offset in range(request.offset, len(data), PIECE):
            piece = data[offset : offset + PIECE]
            yield proofs_pb2.GetAttestationResponse(digest=str(digest), size=len(data), offset=offset, data=piece)

    def _read(self, name: str, digest: Digest) -> bytes:
        try:
            return self.artifacts.get(digest, MAX_BYTES)
        except ArtifactMissingError as err:  # deleted since the job was read
            raise UnknownOperationError(name) from err

    async def VerifyAttestation(
        self,
        request: proofs_pb2.VerifyAttestationRequest,
        context: aio.ServicerContext[object, object],
    ) -> proofs_pb2.VerifyAttestationResponse:
        """What was verified; a refusal is an error."""
        with blaming("policy"):
            policy = load_policy(request.policy.encode())
        expected = arrays_of(request.expected_inputs, "expected_inputs") if request.expected_inputs else None
        who = caller()
        verdict = await self.verifications.verify(who.name, request.attestation, policy, self.models(who), expected)
        return _response(verdict)


def _digest_of(job: Job) -> Digest:
    """Of the attestation; raises NotReadyError where there is none."""
    if job.attestation is not None:
        return job.attestation
    if job.state.final:
        raise NotReadyError(f"There is no attestation: the proof is {job.state}.", "GetOperation has the reason.")
    raise NotReadyError(f"There is no attestation yet: the proof is {job.state}.", "WaitOperation waits for it.")


def _response(verdict: Verdict) -> proofs_pb2.VerifyAttestationResponse:
    inference = verdict.inference
    steps = [
        proofs_pb2.VerificationStep(number=step.number, title=step.title, status=step.status, detail=step.detail)
        for step in verdict.steps
    ]
    return proofs_pb2.VerifyAttestationResponse(
        model_id=inference.model_id,
        model_digest=inference.identity.model,
        verifying_key=inference.identity.verifying_key,
        attestation_digest=str(inference.attestation_digest),
        inputs=messages_of(inference.inputs),
        outputs=messages_of(inference.outputs),
        context=context_message(inference.context),
        signer=inference.signer,
        ephemeral=inference.ephemeral,
        create_time=timestamp(inference.created_at),
        setup=inference.recipe.setup.ceremony,
        on_expected_input=inference.on_expected_input,
        steps=steps,
    )
