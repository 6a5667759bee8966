"""DSSE 1.0 envelopes (a payload, its type, and one signature over both), and the canonical encodings inside them.

See https://github.com/secure-systems-lab/dsse. Only one form is written and accepted: canonical JSON, standard padded
base64, exactly one signature. The specification calls `keyid` an unauthenticated hint; it is not used here, but the
verifier requires it to be the fingerprint of the signing key, so that no byte of the file can be altered.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import JsonError
from zkinfer.verifier.errors import AttestationTooLargeError, MalformedAttestationError

if TYPE_CHECKING:
    from typing import Any

Document = TypeVar("Document", bound=BaseModel)
MAX_BYTES = 1 << 24
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class Envelope:
    """An in-toto payload with one signature, which is not verified."""

    payload: bytes
    keyid: str
    signature: bytes

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that the signature covers."""
        return pre_authentication_encoding(PAYLOAD_TYPE, self.payload)

    def to_bytes(self) -> bytes:
        """Encode the envelope as canonical JSON."""
        signature = {"keyid": self.keyid, "sig": to_base64(self.signature)}
        parts = {"payload": to_base64(self.payload), "payloadType": PAYLOAD_TYPE, "signatures": (signature,)}
        return write(_Document.model_validate(parts))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode an envelope; checks its form, but not the signature.

        Raises:
            AttestationTooLargeError: more than `MAX_BYTES`.
            MalformedAttestationError: not the canonical encoding of an envelope.
        """
        refuse_oversized(len(data))
        load(data, what="attestation", max_bytes=MAX_BYTES)
        document = read(data, _Document, what="attestation")
        [signature] = document.signatures
        return cls(
            from_base64(document.payload, "payload"),
            signature.keyid,
            from_base64(signature.sig, "signature"),
        )


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that a signature covers: `DSSEv1 <length> <type> <length> <payload>`."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def refuse_oversized(size: int) -> None:
    """Raise AttestationTooLargeError above `MAX_BYTES`."""
    if size > MAX_BYTES:
        raise AttestationTooLargeError(
            f"The attestation exceeds the limit of {MAX_BYTES:,} bytes.",
            "It was padded or damaged, or is another file.",
        )


def to_base64(data: bytes) -> str:
    """Encode bytes in base64 with the standard alphabet and padding."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, what: str) -> bytes:
    """Decode canonical base64.

    Decoders usually accept other alphabets, missing padding and stray bits, with which a file could be altered without
    changing its meaning. Here they raise MalformedAttestationError, which names the text as `what`.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:  # ValueError: non-ASCII characters
        raise MalformedAttestationError(f"The {what} is not base64.") from err
    if to_base64(data) != text:
        raise MalformedAttestationError(f"The {what} is not canonical base64.", "It was altered.")
    return data


def write(document: BaseModel) -> bytes:
    """The canonical encoding of a document."""
    return canonical.dump(document.model_dump(mode="json", by_alias=True))


def load(data: bytes, *, what: str, max_bytes: int) -> Any:  # noqa: ANN401 - any JSON value
    """Parse canonical JSON; raises MalformedAttestationError, which names the document as `what`, for anything else."""
    try:
        return canonical.load_canonical(data, max_bytes=max_bytes, what=what)
    except JsonError as err:
        raise MalformedAttestationError(err.cause, err.cure) from err


def read(data: bytes, kind: type[Document], *, what: str) -> Document:
    """Convert a document that `load` accepted to a model.

    The result is encoded again and compared, so that differences between the two parsers, or default values, cannot
    make a document ambiguous.

    Raises:
        MalformedAttestationError: a field is missing, unknown, of the wrong type, or not in canonical form.
    """
    try:
        document = kind.model_validate_json(data)
    except ValidationError as err:
        raise MalformedAttestationError(f"The {what} is malformed: {_first(err)}.") from err
    if write(document) != data:
        raise MalformedAttestationError(f"The {what} has a field that is not in canonical form.")
    return document


class _Signature(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    keyid: Annotated[str, Field(max_length=128)]
    sig: Annotated[str, Field(max_length=256)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    payload: str
    payload_type: Annotated[Literal["application/vnd.in-toto+json"], Field(alias="payloadType")]
    signatures: Annotated[tuple[_Signature, ...], Field(min_length=1, max_length=1)]


def _first(err: ValidationError) -> str:
    """The first validation error; its location is truncated and escaped, since an attacker can choose names in it."""
    first = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:120]
    return f"at {place!r}: {first['msg'][:200]!a}"
