"""The flows of a client: create a proof, wait for its operation, download and verify the attestation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.rpc import code_pb2, error_details_pb2

from zkinfer.circuits.digest import sha256
from zkinfer.client.errors import CallError, ClientError, ProofFailedError, StillProvingError, UnprovenAnswerError
from zkinfer.client.models import ServedModel, served_model
from zkinfer.client.steps import Backoff, Flow, StreamCall, UnaryCall, Work
from zkinfer.client.values import AnsweredRequest, Progress, VerifiedAttestation, array_of, messages_of, progress_of
from zkinfer.v1 import models_pb2, proofs_pb2, values_pb2
from zkinfer.verifier import MAX_BYTES, AllOf, Attestation, ContextIs, Offer, PolicyRefusedError

if TYPE_CHECKING:
    from zkinfer.circuits.statement import Context
    from zkinfer.client.values import Arrays
    from zkinfer.verifier import Policy, VerifiedInference, Verifier


def verify_answer(
    data: bytes, answered: AnsweredRequest, verifier: Verifier, policy: Policy, *, unsafe_skip_inputs: bool
) -> VerifiedInference:
    """Verify an attestation offline and compare it with the request and the answer.

    1. everything that `Verifier.verify` checks, under the caller's policy
    2. the context is the requested one, in all five fields
    3. the inputs are those that were sent, unless the caller skips this for a circuit with private inputs
    4. the outputs are those of the answer, in the model's datatypes

    Raises:
        RefusedError: a check failed.
        ZkinferError: no verdict was possible, as for `Verifier.verify`.
    """
    context = answered.context
    context_policy = ContextIs(
        chain_id=context.chain_id,
        consumer=context.consumer,
        request_id=context.request_id,
        requester=context.requester,
    )
    claim = Attestation.from_bytes(data)
    expected = None if unsafe_skip_inputs else answered.inputs
    inference = verifier.verify(data, AllOf(policy, context_policy), expected_inputs=expected)
    if inference.context != context:
        raise PolicyRefusedError("The proof was made for another request.")
    _require_same_outputs(claim, inference.outputs, answered.outputs)
    return inference


def _require_same_outputs(claim: Attestation, proven: Arrays, answered: Arrays) -> None:
    # The verifier has compared the claimed outputs with the circuit, in its step 4.
    dtypes = {spec.name: spec.dtype for spec in claim.predicate.outputs}
    given = {name: array.dtype.name for name, array in answered.items()}
    if given != dtypes:
        raise UnprovenAnswerError("The proof's outputs differ from those of the answer.")
    for name, array in answered.items():
        with np.errstate(over="ignore"):
            expected = proven[name].astype(array.dtype)
        if not np.array_equal(expected, array):
            raise UnprovenAnswerError(
                f"The proof's value of the output {name!r} differs from the answer.",
                "Do not rely on the answer.",
            )


_OPERATIONS, _PROOFS = "/google.longrunning.Operations/", "/zkinfer.v1.Proofs/"
_MODELS = "/zkinfer.v1.Models/"
_MOST_MODELS = 10_000
_MAX_WAIT = 60.0
_CALL_TIMEOUT = 30.0
_MARGIN = 10.0  # for the response to arrive after the server-side timeout


def create_proof(
    model: str, inputs: Arrays, *, version: str, context: Context, request_id: str, seconds: float | None
) -> Flow[AnsweredRequest]:
    """Request an inference and its proof. Retries are safe because the request id is an idempotency key."""
    request = proofs_pb2.CreateProofRequest(
        model=model,
        version=version,
        inputs=messages_of(inputs),
        context=_context_message(context),
        request_id=request_id,
    )
    backoff = Backoff(seconds)
    answer = yield from _with_retries(
        UnaryCall(_PROOFS + "CreateProof", request, proofs_pb2.CreateProofResponse, seconds), backoff
    )
    outputs = {tensor.name: array_of(tensor) for tensor in answer.outputs}
    made = progress_of(answer.operation)
    return AnsweredRequest(made.operation, dict(inputs), outputs, context, made.model, made.version, made.model_id)


def refuse_unacceptable(
    model: str, version: str, verifier: Verifier, policy: Policy, *, seconds: float | None, model_id: str = ""
) -> Flow[None]:
    """Refuse a model whose proofs can never be accepted, by what the server says of it.

    Nothing is refused if the server does not say: if it does not list the model, or lists another of that name.

    Raises:
        RefusedError: as `Verifier.refuse_offer`.
        CallError: the server rejects the call, or cannot be reached in time.
    """
    found = yield from _listed(model, version, Backoff(seconds))
    if found is not None and found.model_id and model_id in ("", found.model_id):
        offer = Offer(model_id=found.model_id, model=found.model_digest, engine=found.engine, ceremony=found.setup)
        verifier.refuse_offer(offer, policy)


def list_models(seconds: float | None) -> Flow[tuple[ServedModel, ...]]:
    """All models that the caller may use, by name and version."""
    found: list[ServedModel] = []
    token, backoff = "", Backoff(seconds)
    while len(found) < _MOST_MODELS:
        page = yield from _page_of_models(token, backoff)
        found += [served_model(model) for model in page.models]
        token = page.next_page_token
        if not token:
            break
    return tuple(found)


def _listed(name: str, version: str, backoff: Backoff) -> Flow[models_pb2.Model | None]:
    """The model as the server lists it; the newest version if none is named. None if it is not listed."""
    token = ""
    while True:
        page = yield from _page_of_models(token, backoff)
        for model in page.models:
            if model.name == name and (model.version == version if version else model.newest):
                return model  # type: ignore[no-any-return] # of protobuf
        token = page.next_page_token
        if not token:
            return None


def _page_of_models(token: str, backoff: Backoff) -> Flow[Any]:
    request = models_pb2.ListModelsRequest(page_token=token)
    call = UnaryCall(_MODELS + "ListModels", request, models_pb2.ListModelsResponse, _CALL_TIMEOUT)
    page = yield from _with_retries(call, backoff)
    return page


def get_operation(operation: str) -> Flow[Progress]:
    """The current state of a proof."""
    request = operations_pb2.GetOperationRequest(name=operation)
    found = yield UnaryCall(_OPERATIONS + "GetOperation", request, operations_pb2.Operation, _CALL_TIMEOUT)
    return progress_of(found)


def cancel_operation(operation: str) -> Flow[None]:
    """Cancel a proof; no effect if it is done."""
    request = operations_pb2.CancelOperationRequest(name=operation)
    yield UnaryCall(_OPERATIONS + "CancelOperation", request, Empty, _CALL_TIMEOUT)


def delete_operation(operation: str) -> Flow[None]:
    """Delete a finished proof."""
    request = operations_pb2.DeleteOperationRequest(name=operation)
    yield UnaryCall(_OPERATIONS + "DeleteOperation", request, Empty, _CALL_TIMEOUT)


def list_operations(filter_: str, most: int) -> Flow[list[Progress]]:
    """The caller's proofs, newest first."""
    found: list[Progress] = []
    token = ""
    while len(found) < most:
        request = operations_pb2.ListOperationsRequest(
            filter=filter_, page_size=min(most - len(found), 100), page_token=token
        )
        page = yield UnaryCall(
            _OPERATIONS + "ListOperations", request, operations_pb2.ListOperationsResponse, _CALL_TIMEOUT
        )
        found += [progress_of(operation) for operation in page.operations]
        token = page.next_page_token
        if not token:
            break
    return found[:most]


def wait_operation(operation: str, backoff: Backoff) -> Flow[Any]:
    """Wait until an operation is done, across broken connections.

    Raises:
        StillProvingError: the deadline has passed.
        CallError: the server rejects the call.
    """
    while True:
        seconds = backoff.capped(_MAX_WAIT)
        request = operations_pb2.WaitOperationRequest(name=operation, timeout=_duration(seconds))
        call = UnaryCall(_OPERATIONS + "WaitOperation", request, operations_pb2.Operation, seconds + _MARGIN)
        found = yield from _with_retries(call, backoff)
        if found.done:
            return found
        if backoff.expired:
            raise StillProvingError(
                f"The proof is {progress_of(found).state} and was not done in time.", "Wait longer, or retry later."
            )
        yield backoff.pause()


def verified_attestation(
    answered: AnsweredRequest, verifier: Verifier, policy: Policy, *, unsafe_skip_inputs: bool, seconds: float | None
) -> Flow[VerifiedAttestation]:
    """Wait for the attestation of an answer, download and verify it.

    What can never be accepted is refused before the wait.

    Raises:
        ProofFailedError: the proof failed, was cancelled or has expired.
        StillProvingError: the deadline has passed.
        RefusedError: the attestation is invalid, or for another request or answer.
        CallError: the server rejects the call.
    """
    backoff = Backoff(seconds)
    yield from refuse_unacceptable(
        answered.model, answered.version, verifier, policy, seconds=seconds, model_id=answered.model_id
    )
    done = yield from wait_operation(answered.operation, backoff)
    if done.HasField("error"):
        raise _failure(done)
    data = yield from download(answered.operation, backoff)
    inference = yield Work(
        lambda: verify_answer(data, answered, verifier, policy, unsafe_skip_inputs=unsafe_skip_inputs)
    )
    return VerifiedAttestation(data, inference)


def download(operation: str, backoff: Backoff) -> Flow[bytes]:
    """The attestation's bytes, which nobody has verified; an interrupted download resumes at its offset."""
    chunks = _Chunks()
    while not chunks.complete:
        request = proofs_pb2.GetAttestationRequest(operation=operation, offset=len(chunks.data))
        answer = proofs_pb2.GetAttestationResponse
        seconds = max(_MARGIN, backoff.capped(_MAX_WAIT))
        try:
            yield StreamCall(_PROOFS + "GetAttestation", request, answer, chunks.append, seconds)
        except CallError as err:
            if not _is_retryable(err) or backoff.expired:
                raise
            yield backoff.pause(err.retry_after)
        else:
            if not chunks.complete:
                raise ClientError("The server ended the stream before the end of the attestation.", "Retry.")
    return chunks.verified()


class _Chunks:
    """The part of an attestation received so far."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._digest = ""
        self._size = -1

    @property
    def complete(self) -> bool:
        """Whether the whole attestation was received."""
        return len(self.data) == self._size

    def append(self, chunk: proofs_pb2.GetAttestationResponse) -> None:
        """Append a chunk; raises ClientError if it does not continue the earlier ones."""
        consistent = self._size < 0 or (self._digest, self._size) == (chunk.digest, chunk.size)
        fits = chunk.offset == len(self.data) and 0 < len(chunk.data) <= chunk.size - chunk.offset
        if not (consistent and fits and chunk.size <= MAX_BYTES):
            raise ClientError("The server sent inconsistent chunks, or more than the maximum size of an attestation.")
        self._digest, self._size = chunk.digest, chunk.size
        self.data += chunk.data

    def verified(self) -> bytes:
        """The whole attestation; raises ClientError if its digest differs."""
        data = bytes(self.data)
        if str(sha256(data)) != self._digest:
            raise ClientError("The attestation was damaged in transit.", "Retry.")
        return data


def _with_retries(call: UnaryCall, backoff: Backoff) -> Flow[Any]:
    """Make a call, with retries until the deadline."""
    while True:
        try:
            answer = yield call
        except CallError as err:
            if not _is_retryable(err) or backoff.expired:
                raise
            yield backoff.pause(err.retry_after)
        else:
            backoff.reset()
            return answer


def _is_retryable(err: CallError) -> bool:
    """Whether a retry may succeed: the server is unreachable or slow, or says when to retry."""
    return err.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED") or err.retry_after is not None


def _failure(operation: Any) -> ProofFailedError:  # noqa: ANN401 - of googleapis, untyped
    info = error_details_pb2.ErrorInfo()
    reason = next((info.reason for detail in operation.error.details if detail.Unpack(info)), "")
    return ProofFailedError(operation.error.message, code=code_pb2.Code.Name(operation.error.code), reason=reason)


def _context_message(context: Context) -> values_pb2.Context:
    return values_pb2.Context(
        chain_id=str(context.chain_id),
        consumer=context.consumer,
        request_id=context.request_id,
        requester=context.requester,
        expiry=context.expiry,
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(round(seconds * 1000))
    return duration
