"""What a client hands out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from zkinfer.circuits.context import Context
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.storage import refuse_existing, write_atomically
from zkinfer.v1 import values_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from google.longrunning.operations_proto_pb2 import Operation
    from google.protobuf.timestamp_pb2 import Timestamp
    from numpy.typing import NDArray

    from zkinfer.verifier import VerifiedInference

    Arrays = Mapping[str, NDArray[np.generic]]


_WORD = re.compile(r"0x[0-9a-f]{64}")
_LONGEST = 128


def made_request(context: Context | None, request_id: str | None) -> tuple[Context, str]:
    """Context and idempotency key, complete.

    The caller must know the context to check the proof, so it is made here, never by the server.

    Raises:
        InputError: the key is empty, too long or not printable, or one without which the request would not be the
            same when it is made again.
    """
    if request_id is None:
        known = context or Context.offline()
        return known, known.request_id
    if not (request_id.isascii() and request_id.isprintable() and 0 < len(request_id) <= _LONGEST):
        raise InputError(f"A request id has 1 to {_LONGEST} printable ASCII characters.")
    if context is not None:
        return context, request_id
    if _WORD.fullmatch(request_id) is None:
        raise InputError(
            "With a request id of your own words, the context must be given too.",
            "A new one would be made at each call, and the second call would not be the same request.",
        )
    return Context.model_validate({"requestId": request_id}), request_id


HandleT = TypeVar("HandleT")
_STATE = "PROOF_STATE_"


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One inference that was answered: what its attestation must be about.

    Args:
        operation: name of the operation that proves it.
        inputs: that were sent.
        outputs: that were answered.
        context: that was asked for.
    """

    operation: str
    inputs: Arrays
    outputs: Arrays
    context: Context


@dataclass(frozen=True, slots=True, eq=False)
class Inference(Generic[HandleT]):
    """An answer, and the handle of its proof. The answer is the server's word until the attestation was verified."""

    outputs: Arrays
    handle: HandleT


@dataclass(frozen=True, slots=True, eq=False)
class VerifiedAttestation:
    """An attestation that was verified here, about what was sent and answered.

    Args:
        data: the file's content, to keep or to hand on.
        inference: what it proves.
    """

    data: bytes
    inference: VerifiedInference

    def save(self, path: Path) -> None:
        """Write the file; raises InputError where there is one already, or it cannot be written."""
        refuse_existing(path)
        write_atomically(path, self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a proof is; times are in UTC, None for unknown.

    Args:
        operation: its name.
        state: QUEUED, PROVING, VERIFYING, SUCCEEDED, FAILED, CANCELLED or EXPIRED.
        done: whether nothing more happens.
        progress: from 0 to 1, of the present attempt.
        queue_position: how many start before it, while it is queued; None where that was not asked.
        attempt: the present or last one, from 1; 0 before the first.
        cancel_requested: it will be cancelled soon.
        model: name, and its version.
        version: of the model.
        model_id: as the server says.
        request_id: the idempotency key.
        created_at: when it was taken on.
        started_at: when the last attempt began.
        finished_at: when it ended.
        estimated_end: a guess.
        attestation_digest: of a proof that succeeded, as the server says.
        error: why there is no proof.
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
    """Read an operation."""
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
        created_at=_moment(found, "create_time"),
        started_at=_moment(found, "start_time"),
        finished_at=_moment(found, "end_time"),
        estimated_end=_moment(found, "estimated_end_time"),
        attestation_digest=proof.attestation_digest,
        error=operation.error.message,
    )


def _moment(found: values_pb2.ProofMetadata, name: str) -> datetime | None:
    at: Timestamp = getattr(found, name)
    return at.ToDatetime(UTC) if found.HasField(name) else None  # type: ignore[arg-type] # the name of a field
