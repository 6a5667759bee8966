"""zkinfer.v1.Proofs: create a proof, get an attestation, verify one."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.statement import ZERO_ADDRESS, Context
from zkinfer.client.values import array_of, messages_of
from zkinfer.prover.errors import ArtifactMissingError
from zkinfer.service.errors import BadFieldError, NotReadyError, UnknownOperationError, in_field
from zkinfer.service.identity import caller
from zkinfer.service.submission import ProofRequest
from zkinfer.service.v1.operations import context_message, timestamp
from zkinfer.v1 import proofs_pb2, values_pb2
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
    from zkinfer.service.limits import MemoryBudget
    from zkinfer.service.metrics import Metrics
    from zkinfer.service.submission import Submitter
    from zkinfer.service.v1 import OperationsServicer
    from zkinfer.service.verification import VerificationResult, VerificationService


_NUMBER = re.compile(r"[0-9]{1,78}")
_MAX_REQUEST_ID = 128
_ZERO_WORD = "0x" + "00" * 32


class ContextRequest(ProofRequest):
    """A proof request whose context may have another request id than the caller's idempotency key.

    Args:
        context_request_id: if empty, the key if it has the right form, else a random one.
    """

    context_request_id: str = ""

    @property
    def fixes_request_id(self) -> bool:
        """Whether the caller determines the context's request id."""
        return bool(self.context_request_id) or super().fixes_request_id

    def context(self) -> Context:
        """The context of the proof."""
        if not self.context_request_id:
            return super().context()
        return self.model_copy(update={"request_id": self.context_request_id, "context_request_id": ""}).context()


def proof_request(request: proofs_pb2.CreateProofRequest) -> ContextRequest:
    """Parse the key and the context of a request; raises BadFieldError."""
    asked = request.context
    with in_field("request_id"):
        key = request.request_id
        if len(key) > _MAX_REQUEST_ID or not key.isprintable():
            raise DataError(f"It must have up to {_MAX_REQUEST_ID} printable characters.")
    with in_field("context.chain_id"):
        if asked.chain_id and _NUMBER.fullmatch(asked.chain_id) is None:
            raise DataError("It must be a decimal number below 2^256.")
    found = ContextRequest(
        request_id=key or None,
        chain_id=int(asked.chain_id or 0),
        consumer=asked.consumer or ZERO_ADDRESS,
        requester=asked.requester or ZERO_ADDRESS,
        expiry=asked.expiry,
        context_request_id=asked.request_id,
    )
    _check_context(found)
    return found


def _check_context(found: ContextRequest) -> None:
    fields = {"chainId": found.chain_id, "consumer": found.consumer, "requester": found.requester}
    try:
        Context.model_validate(
            fields | {"requestId": found.context_request_id or "0x" + "00" * 32, "expiry": found.expiry}
        )
    except ValidationError as err:
        first = err.errors(include_url=False, include_context=False, include_input=False)[0]
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(first["loc"][0])).lower()
        raise BadFieldError(f"context.{name}", f"{first['msg']}.", "Write hex digits in lower case, in full.") from err


_MAX_TENSORS = 256  # more than any model has


def arrays_of(tensors: Sequence[values_pb2.Tensor], field: str) -> dict[str, NDArray[np.generic]]:
    """Arrays by name.

    Raises:
        BadFieldError: too many tensors, a repeated name, or a tensor that `array_of` rejects.
    """
    if len(tensors) > _MAX_TENSORS:
        raise BadFieldError(field, f"There are {len(tensors):,} tensors.", f"At most {_MAX_TENSORS} are accepted.")
    arrays: dict[str, NDArray[np.generic]] = {}
    for place, tensor in enumerate(tensors):
        with in_field(f"{field}[{place}]"):
            if tensor.name in arrays:
                raise DataError(f"The tensor {tensor.name!r:.80} is given twice.")
            arrays[tensor.name] = array_of(tensor)
    return arrays


CHUNK_BYTES = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofsServicer(Base):
    """See proto/zkinfer/v1/proofs.proto.

    Args:
        operations: finds the caller's jobs.
        artifacts: holds the attestations.
        verifications: verifies attestations.
        models: the ONNX files that an identity may use, by digest.
        repository: of models.
        submitter: answers requests and submits jobs.
        metrics: count answers.
        memory: for the attestations that are sent.
    """

    operations: OperationsServicer
    artifacts: ArtifactStore
    verifications: VerificationService
    models: Callable[[Identity], Mapping[Digest, Path]]
    repository: ModelRepository
    submitter: Submitter
    metrics: Metrics
    memory: MemoryBudget

    async def CreateProof(
        self, request: proofs_pb2.CreateProofRequest, context: aio.ServicerContext[object, object]
    ) -> proofs_pb2.CreateProofResponse:
        """The answer, and the operation that proves it, which is durable once this returns."""
        identity = caller()
        with in_field("model"):
            if not request.model:
                raise DataError("The request names no model.", "ListModels lists the models.")
        identity.require_model(request.model)
        asked = proof_request(request)
        model = await self.submitter.model_for(
            identity, self.repository, request.model, request.version, asked.request_id
        )
        arrays = arrays_of(request.inputs, "inputs")
        began = time.perf_counter()
        with in_field("inputs"):
            accepted = await self.submitter.submit(identity, model, arrays, asked)
        self.metrics.answered(model.name, model.version, time.perf_counter() - began)
        assert accepted.job is not None  # noqa: S101 - for the type checker: mode is never `none` here
        operation = await self.operations.operation(accepted.job)
        return proofs_pb2.CreateProofResponse(operation=operation, outputs=messages_of(accepted.answer.outputs))

    async def GetAttestation(
        self,
        request: proofs_pb2.GetAttestationRequest,
        context: aio.ServicerContext[object, object],
    ) -> AsyncIterator[proofs_pb2.GetAttestationResponse]:
        """The attestation in chunks, from an offset."""
        with in_field("operation"):
            job = await self.operations.own_job(request.operation)
        digest = _digest_of(job)
        with await self.memory.acquire(caller().name, job.attestation_bytes):
            data = await asyncio.to_thread(self._read, request.operation, digest)
            if not 0 <= request.offset < len(data):
                with in_field("offset"):
                    raise DataError(f"The attestation has {len(data):,} bytes.", "Start at 0.")
            for offset in range(request.offset, len(data), CHUNK_BYTES):
                chunk = data[offset : offset + CHUNK_BYTES]
                yield proofs_pb2.GetAttestationResponse(digest=str(digest), size=len(data), offset=offset, data=chunk)

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
        """Verify an attestation; a rejection is returned as an error status."""
        with in_field("policy"):
            policy = load_policy(request.policy.encode())
        expected = arrays_of(request.expected_inputs, "expected_inputs") if request.expected_inputs else None
        identity, models = caller(), self.models(caller())
        result = await self.verifications.verify(identity.name, request.attestation, policy, models, expected)
        return _response(result)


def _digest_of(job: Job) -> Digest:
    """The digest of the attestation; raises NotReadyError if there is none."""
    if job.attestation is not None:
        return job.attestation
    if job.state.final:
        raise NotReadyError(f"There is no attestation: the proof is {job.state}.", "GetOperation returns the reason.")
    raise NotReadyError(f"There is no attestation yet: the proof is {job.state}.", "Wait for it with WaitOperation.")


def _response(result: VerificationResult) -> proofs_pb2.VerifyAttestationResponse:
    inference = result.inference
    steps = [
        proofs_pb2.VerificationStep(number=step.number, title=step.title, status=step.status, detail=step.detail)
        for step in result.steps
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
