"""The flows of a client: ask, follow, fetch, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.rpc import code_pb2, error_details_pb2

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import DataError
from zkinfer.circuits.tensor_files import conform
from zkinfer.client.errors import CallError, ClientError, ProofFailedError, StillProvingError, UnprovenAnswerError
from zkinfer.client.steps import Download, Exchange, Flow, Patience, Work
from zkinfer.client.tensors import array_of, messages_of
from zkinfer.client.values import Asked, Progress, VerifiedAttestation, progress_of
from zkinfer.v1 import proofs_pb2, values_pb2
from zkinfer.verifier import MAX_BYTES, AllOf, Attestation, ContextIs, InputMismatchError, PolicyRefusedError

if TYPE_CHECKING:
    from zkinfer.circuits.context import Context
    from zkinfer.client.values import Arrays
    from zkinfer.verifier import Policy, VerifiedInference, Verifier


def verified(
    data: bytes, asked: Asked, verifier: Verifier, policy: Policy, *, unsafe_skip_inputs: bool
) -> VerifiedInference:
    """Verify an attestation offline and compare it with the request and the answer.

    1. everything that `Verifier.verify` checks, under the caller's policy
    2. the context is the one that was asked for, in all five fields
    3. the inputs are the ones that were sent, unless the caller skips that, as with a circuit that keeps them private
    4. the outputs are the ones that were answered, in the model's own datatypes

    Raises:
        RefusedError: one of these does not hold.
        ZkinferError: there is no verdict; see `Verifier.verify`.
    """
    context = asked.context
    purpose = ContextIs(
        chain_id=context.chain_id,
        consumer=context.consumer,
        request_id=context.request_id,
        requester=context.requester,
    )
    claim = Attestation.from_bytes(data)
    expected = None if unsafe_skip_inputs else _in_the_shapes_claimed(asked.inputs, claim)
    inference = verifier.verify(data, AllOf(policy, purpose), expected_inputs=expected)
    if inference.context != context:
        raise PolicyRefusedError("The proof was made for another request than the one that was sent.")
    _same_outputs(claim, inference.outputs, asked.outputs)
    return inference


def _in_the_shapes_claimed(inputs: Arrays, claim: Attestation) -> Arrays:
    """Servers take a flat array, or one without a leading 1; the verifier compares exact shapes, and checks them."""
    specs = {spec.name: spec for spec in claim.predicate.inputs}
    try:
        return {name: conform(array, specs[name]) if name in specs else array for name, array in inputs.items()}
    except DataError as err:
        raise InputMismatchError(f"The proof is about other inputs than those that were sent. {err.cause}") from err


def _same_outputs(claim: Attestation, proven: Arrays, answered: Arrays) -> None:
    dtypes = {spec.name: spec.dtype for spec in claim.predicate.outputs}  # compared with the circuit in step 4
    given = {name: array.dtype.name for name, array in answered.items()}
    if given != dtypes:
        raise UnprovenAnswerError("The proof is about other outputs than those that were answered.")
    for name, array in answered.items():
        with np.errstate(over="ignore"):
            wanted = proven[name].astype(array.dtype)
        if not np.array_equal(wanted, array):
            raise UnprovenAnswerError(
                f"The proof is about another value of the output {name!r} than the one that was answered.",
                "Do not rely on the answer.",
            )


_OPERATIONS, _PROOFS = "/google.longrunning.Operations/", "/zkinfer.v1.Proofs/"
_ONE_WAIT = 60.0
_ONE_CALL = 30.0
_MARGIN = 10.0  # for the answer to come back, also when the time has just passed


def asking(
    model: str, inputs: Arrays, *, version: str, context: Context, request_id: str, seconds: float | None
) -> Flow[Asked]:
    """Have an inference answered. Trying again is safe: the request id makes it the same request."""
    request = proofs_pb2.CreateProofRequest(
        model=model,
        version=version,
        inputs=messages_of(inputs),
        context=_context_message(context),
        request_id=request_id,
    )
    patience = Patience(seconds)
    answer = yield from _patiently(
        Exchange(_PROOFS + "CreateProof", request, proofs_pb2.CreateProofResponse, seconds), patience
    )
    outputs = {tensor.name: array_of(tensor) for tensor in answer.outputs}
    return Asked(answer.operation.name, dict(inputs), outputs, context)


def looking(operation: str) -> Flow[Progress]:
    """How far a proof is now."""
    request = operations_pb2.GetOperationRequest(name=operation)
    found = yield Exchange(_OPERATIONS + "GetOperation", request, operations_pb2.Operation, _ONE_CALL)
    return progress_of(found)


def cancelling(operation: str) -> Flow[None]:
    """Cancel a proof; without effect on one that is done."""
    request = operations_pb2.CancelOperationRequest(name=operation)
    yield Exchange(_OPERATIONS + "CancelOperation", request, Empty, _ONE_CALL)


def deleting(operation: str) -> Flow[None]:
    """Have a proof that is done forgotten."""
    request = operations_pb2.DeleteOperationRequest(name=operation)
    yield Exchange(_OPERATIONS + "DeleteOperation", request, Empty, _ONE_CALL)


def listing(filter_: str, most: int) -> Flow[list[Progress]]:
    """Proofs of the caller, newest first."""
    found: list[Progress] = []
    token = ""
    while len(found) < most:
        request = operations_pb2.ListOperationsRequest(
            filter=filter_, page_size=min(most - len(found), 100), page_token=token
        )
        page = yield Exchange(_OPERATIONS + "ListOperations", request, operations_pb2.ListOperationsResponse, _ONE_CALL)
        found += [progress_of(operation) for operation in page.operations]
        token = page.next_page_token
        if not token:
            break
    return found[:most]


def waiting(operation: str, patience: Patience) -> Flow[Any]:
    """The operation when it is done, however often the connection breaks meanwhile.

    Raises:
        StillProvingError: the patience is over.
        CallError: the server refuses.
    """
    while True:
        seconds = patience.bounded(_ONE_WAIT)
        request = operations_pb2.WaitOperationRequest(name=operation, timeout=_duration(seconds))
        call = Exchange(_OPERATIONS + "WaitOperation", request, operations_pb2.Operation, seconds + _MARGIN)
        found = yield from _patiently(call, patience)
        if found.done:
            return found
        if patience.over:
            raise StillProvingError(
                f"The proof is {progress_of(found).state} and not done in time.", "Wait longer, or ask again later."
            )
        yield patience.pause()


def attesting(
    asked: Asked, verifier: Verifier, policy: Policy, *, unsafe_skip_inputs: bool, seconds: float | None
) -> Flow[VerifiedAttestation]:
    """The attestation of an answer, verified here.

    Raises:
        ProofFailedError: there will be none.
        StillProvingError: not in time.
        RefusedError: it does not hold, or is about something else.
        CallError: the server refuses.
    """
    patience = Patience(seconds)
    done = yield from waiting(asked.operation, patience)
    if done.HasField("error"):
        raise _failure(done)
    data = yield from _fetching(asked.operation, patience)
    inference = yield Work(lambda: verified(data, asked, verifier, policy, unsafe_skip_inputs=unsafe_skip_inputs))
    return VerifiedAttestation(data, inference)


def _fetching(operation: str, patience: Patience) -> Flow[bytes]:
    """The attestation's bytes; a broken download goes on where it broke."""
    pieces = _Pieces()
    while not pieces.complete:
        request = proofs_pb2.GetAttestationRequest(operation=operation, offset=len(pieces.data))
        answer = proofs_pb2.GetAttestationResponse
        seconds = max(_MARGIN, patience.bounded(_ONE_WAIT))
        try:
            yield Download(_PROOFS + "GetAttestation", request, answer, pieces.take, seconds)
        except CallError as err:
            if not _may_pass(err) or patience.over:
                raise
            yield patience.pause(err.retry_after)
        else:
            if not pieces.complete:
                raise ClientError("The server ended the attestation before its end.", "Ask again.")
    return pieces.checked()


class _Pieces:
    """What has come of an attestation."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._digest = ""
        self._size = -1

    @property
    def complete(self) -> bool:
        """Whether all of it has come."""
        return len(self.data) == self._size

    def take(self, piece: proofs_pb2.GetAttestationResponse) -> None:
        """Add a piece; raises ClientError for one that cannot follow."""
        known = self._size < 0 or (self._digest, self._size) == (piece.digest, piece.size)
        fits = piece.offset == len(self.data) and 0 < len(piece.data) <= piece.size - piece.offset
        if not (known and fits and piece.size <= MAX_BYTES):
            raise ClientError("The server sends pieces that do not fit together, or more than an attestation can have.")
        self._digest, self._size = piece.digest, piece.size
        self.data += piece.data

    def checked(self) -> bytes:
        """All of it; raises ClientError where it was damaged on the way."""
        data = bytes(self.data)
        if str(sha256(data)) != self._digest:
            raise ClientError("The attestation was damaged on its way.", "Ask again.")
        return data


def _patiently(call: Exchange, patience: Patience) -> Flow[Any]:
    """One call, again where that may help and there is time."""
    while True:
        try:
            answer = yield call
        except CallError as err:
            if not _may_pass(err) or patience.over:
                raise
            yield patience.pause(err.retry_after)
        else:
            patience.refresh()
            return answer


def _may_pass(err: CallError) -> bool:
    """Whether the same call may succeed later: no server, no answer, or one that says so."""
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
