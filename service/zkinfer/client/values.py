"""Values of the client: tensors on the wire, requests, inferences, verified attestations, progress."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from zkinfer.circuits.errors import DataError, InputError
from zkinfer.circuits.statement import Context
from zkinfer.circuits.storage import refuse_existing, write_atomically
from zkinfer.circuits.tensors import MAX_ELEMENTS, MAX_RANK
from zkinfer.v1 import values_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from google.longrunning.operations_proto_pb2 import Operation
    from google.protobuf.timestamp_pb2 import Timestamp
    from numpy.typing import NDArray

    from zkinfer.verifier import Policy, VerifiedInference, Verifier

    Expectation = tuple[Verifier, Policy]
    Array = NDArray[np.generic]
    Arrays = Mapping[str, Array]


DTYPES = {
    "BOOL": "?",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_NAMES = {np.dtype(code): name for name, code in DTYPES.items()}


def datatype_of(dtype: str) -> str:
    """The protocol's name of a numpy type; raises DataError if it is not supported."""
    found = _NAMES.get(np.dtype(dtype))
    if found is None:
        raise DataError(f"Arrays of {dtype} cannot be sent.", f"The datatypes are {', '.join(DTYPES)}.")
    return found


def array_of(tensor: values_pb2.Tensor) -> Array:
    """The read-only array of a tensor.

    Raises:
        DataError: unknown datatype, shape out of range, or wrong number of bytes.
    """
    code = DTYPES.get(tensor.datatype)
    if code is None:
        raise DataError(f"{tensor.datatype!r:.40} is not a datatype.", f"The datatypes are {', '.join(DTYPES)}.")
    if len(tensor.shape) > MAX_RANK or any(not 0 <= extent <= MAX_ELEMENTS for extent in tensor.shape):
        raise DataError("The shape is out of range.", f"Use up to {MAX_RANK} dimensions and {MAX_ELEMENTS:,} elements.")
    expected = math.prod(tensor.shape) * np.dtype(code).itemsize
    if len(tensor.data) != expected:
        raise DataError(f"There are {len(tensor.data):,} bytes; shape and datatype need {expected:,}.")
    if code == "?" and tensor.data.strip(b"\0\1"):
        raise DataError("A BOOL must be the byte 0 or 1.")
    return np.frombuffer(tensor.data, dtype=code).reshape(tuple(tensor.shape))


def messages_of(arrays: Mapping[str, Array]) -> list[values_pb2.Tensor]:
    """The messages of arrays by name; raises DataError if an array cannot be sent."""
    return [_message(name, array) for name, array in arrays.items()]


def _message(name: str, array: Array) -> values_pb2.Tensor:
    datatype = datatype_of(array.dtype.name)
    data = np.ascontiguousarray(array, dtype=DTYPES[datatype]).tobytes()
    return values_pb2.Tensor(name=name, datatype=datatype, shape=array.shape, data=data)


_WORD = re.compile(r"0x[0-9a-f]{64}")
_MAX_KEY_LENGTH = 128


def complete_request(context: Context | None, request_id: str | None) -> tuple[Context, str]:
    """Complete the context and the idempotency key of a request.

    The client needs the context to verify the proof, so the client makes it, never the server.

    Raises:
        InputError: the key is empty, too long or not printable, or needs a context to make retries the same request.
    """
    if request_id is None:
        context = context or Context.offline()
        return context, context.request_id
    if not (request_id.isascii() and request_id.isprintable() and 0 < len(request_id) <= _MAX_KEY_LENGTH):
        raise InputError(f"A request id must have 1 to {_MAX_KEY_LENGTH} printable ASCII characters.")
    if context is not None:
        return context, request_id
    if _WORD.fullmatch(request_id) is None:
        raise InputError(
            "A request id that is not 0x and 64 hex digits needs a context.",
            "Otherwise each call would make a new context and be another request.",
        )
    return Context.model_validate({"requestId": request_id}), request_id


HandleT = TypeVar("HandleT")
_STATE = "PROOF_STATE_"


@dataclass(frozen=True, slots=True, eq=False)
class AnsweredRequest:
    """A request and its answer, which the attestation must match.

    Args:
        operation: name of the operation that proves it.
        inputs: as sent.
        outputs: as answered.
        context: as requested.
        model: name of the model that the server chose.
        version: of the model.
        model_id: its identity, unverified.
    """

    operation: str
    inputs: Arrays
    outputs: Arrays
    context: Context
    model: str = ""
    version: str = ""
    model_id: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Inference(Generic[HandleT]):
    """An answer and the handle of its proof. Do not rely on the answer before the attestation is verified."""

    outputs: Arrays
    handle: HandleT


@dataclass(frozen=True, slots=True, eq=False)
class VerifiedAttestation:
    """An attestation that was verified locally and agrees with the request and the answer.

    Args:
        data: the file's content.
        inference: the proven inference.
    """

    data: bytes
    inference: VerifiedInference

    def save(self, path: Path) -> None:
        """Write the file; raises InputError if it exists or cannot be written."""
        refuse_existing(path)
        write_atomically(path, self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of a proof; times are in UTC, None if unknown.

    Args:
        operation: name of the operation.
        state: QUEUED, PROVING, VERIFYING, SUCCEEDED, FAILED, CANCELLED or EXPIRED.
        done: whether the state is final.
        progress: from 0 to 1, of the current attempt.
        queue_position: number of jobs ahead while it is queued; None if not reported.
        attempt: the current or last one, from 1; 0 before the first.
        cancel_requested: whether it is being cancelled.
        model: name of the model.
        version: of the model.
        model_id: unverified, from the server.
        request_id: the idempotency key.
        created_at: when it was submitted.
        started_at: when the last attempt started.
        finished_at: when it became final.
        estimated_end: an estimate.
        attestation_digest: of a successful proof, unverified, from the server.
        error: why the proof failed.
    """

    operation: str
    state: str
    done: bool
    progress: float
    queue_position: int | None
    attempt: int
    cancel_requested: bool
    model: str
    version: str
    model_id: str
    request_id: str
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    estimated_end: datetime | None
    attestation_digest: str
    error: str


def progress_of(operation: Operation) -> Progress:
    """The progress of an operation."""
    found, proof = values_pb2.ProofMetadata(), values_pb2.Proof()
    operation.metadata.Unpack(found)
    operation.response.Unpack(proof)
    return Progress(
        operation=operation.name,
        state=values_pb2.ProofState.Name(found.state).removeprefix(_STATE),
        done=operation.done,
        progress=found.progress,
        queue_position=found.queue_position if found.HasField("queue_position") else None,
        attempt=found.attempt,
        cancel_requested=found.cancel_requested,
        model=found.model,
        version=found.version,
        model_id=found.model_id,
        request_id=found.request_id,
        created_at=_timestamp(found, "create_time"),
        started_at=_timestamp(found, "start_time"),
        finished_at=_timestamp(found, "end_time"),
        estimated_end=_timestamp(found, "estimated_end_time"),
        attestation_digest=proof.attestation_digest,
        error=operation.error.message,
    )


def _timestamp(found: values_pb2.ProofMetadata, name: str) -> datetime | None:
    at: Timestamp = getattr(found, name)
    return at.ToDatetime(UTC) if found.HasField(name) else None  # type: ignore[arg-type] # the name of a field
