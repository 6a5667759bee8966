"""The bodies of `POST /v1/proofs` and `POST /v1/attestations:verify`: the messages of gRPC, written in JSON.

The members are those of the messages in proto/zkinfer/v1/proofs.proto. Beside base64, which is how JSON writes bytes,
a tensor's data may be a list of its elements, and an attestation or a policy may be the JSON document itself.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import DataError
from zkinfer.service.errors import in_field
from zkinfer.service.oip.tensors import datatype_named
from zkinfer.service.request_reader import NUMBER_BYTES
from zkinfer.service.rest.bodies import Document, count_values, decoded, read_document
from zkinfer.service.rest.elements import raw_of
from zkinfer.v1 import proofs_pb2, values_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message


class Tensor(Document):
    """One input: name, datatype, shape and elements."""

    name: str
    datatype: str
    """BOOL, INT8 to INT64, UINT8 to UINT64, FP16, FP32 or FP64."""
    shape: Annotated[list[Annotated[int, Field(ge=0, lt=1 << 63)]], Field(max_length=256)]
    """The extent of every dimension."""
    data: list[Any] | str
    """The elements in row-major order, in a list, flat or nested; or their bytes, little-endian, as base64."""


class ProofContext(Document):
    """The context of a proof: which request it answers, and who may use it."""

    chain_id: str = ""
    """The chain id as a decimal number below 2^256; empty or 0 without a chain."""
    consumer: str = ""
    """Address of the consuming contract, 0x and 40 lower-case hex digits; empty without one."""
    request_id: str = ""
    """0x and 64 lower-case hex digits; empty for a random one."""
    requester: str = ""
    """Address of the requester, in the same form."""
    expiry: Annotated[int, Field(ge=0, lt=1 << 64)] = 0
    """Unix time in seconds when the request expires; 0 for never."""


_Tensors = Annotated[list[Tensor], Field(max_length=256)]


class CreateProof(Document):
    """A request for an answer and its proof."""

    model: str
    """Name in the repository."""
    version: str = ""
    """Version; empty for the newest."""
    inputs: _Tensors
    """All inputs of the model."""
    context: ProofContext = Field(default_factory=ProofContext)
    """The context of the proof."""
    request_id: str = ""
    """The caller's idempotency key: up to 128 printable characters; empty for none. A key of 0x and 64 hex digits is
    also the context's request id, unless the context has one."""

    def message(self) -> proofs_pb2.CreateProofRequest:
        """The message of gRPC; raises BadFieldError for data that cannot be read."""
        return proofs_pb2.CreateProofRequest(
            model=self.model,
            version=self.version,
            inputs=_tensors(self.inputs, "inputs"),
            context=values_pb2.Context(**self.context.model_dump()),
            request_id=self.request_id,
        )


class VerifyAttestation(Document):
    """An attestation, and what the caller requires of it."""

    attestation: str | dict[str, Any]
    """The attestation: the JSON document itself, or the bytes of its file in base64."""
    policy: str | dict[str, Any]
    """The caller's requirements: a policy document, or its text. One that requires nothing is rejected."""
    expected_inputs: _Tensors = Field(default_factory=list)
    """If given, the proof must be for these inputs; all inputs of the model."""

    def message(self) -> proofs_pb2.VerifyAttestationRequest:
        """The message of gRPC; raises BadFieldError for data that cannot be read."""
        with in_field("attestation"):
            given = self.attestation
            attestation = _bytes_of(given) if isinstance(given, str) else canonical.dump(given)
        policy = self.policy if isinstance(self.policy, str) else canonical.dump(self.policy).decode()
        expected = _tensors(self.expected_inputs, "expected_inputs")
        return proofs_pb2.VerifyAttestationRequest(attestation=attestation, policy=policy, expected_inputs=expected)


def _tensors(given: Sequence[Tensor], field: str) -> list[values_pb2.Tensor]:
    found = []
    for place, tensor in enumerate(given):
        with in_field(f"{field}[{place}]"):
            data = _data(tensor)
        found.append(values_pb2.Tensor(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape, data=data))
    return found


def _data(tensor: Tensor) -> bytes:
    if not isinstance(tensor.data, str):
        return raw_of(tensor.data, tensor.shape, datatype_named(tensor.datatype))
    with in_field("data"):
        return _bytes_of(tensor.data)


def _bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:  # ValueError: characters beyond ASCII
        raise DataError(f"It is not base64: {err}.", "Use the standard alphabet, with padding and no spaces.") from err


@dataclass(frozen=True, slots=True)
class MessageDecoder:
    """Decodes a body to the message that gRPC would have received.

    Args:
        kind: of the body.
    """

    kind: type[CreateProof | VerifyAttestation]

    def count_numbers(self, data: bytes) -> int:
        """An upper bound of the values in the JSON, with as many more as its texts take once they are decoded."""
        return count_values(data) + len(data) // NUMBER_BYTES

    async def decode(self, data: bytes) -> Message:
        """Decode it, in a thread if it is large; raises JsonError, BadFieldError."""
        return await decoded(data, self._message)

    def _message(self, data: bytes) -> Message:
        return read_document(data, self.kind).message()
