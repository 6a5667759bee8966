"""DSSE 1.0 envelopes: a payload, its type, and one signature over both.

See https://github.com/secure-systems-lab/dsse. Only one form is written and accepted: canonical JSON, standard padded
base64, exactly one signature. The specification calls `keyid` an unauthenticated hint; it is not used here, but the
verifier requires it to be the fingerprint of the signing key, so that no byte of the file can be altered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from zkinfer.verifier import encoding
from zkinfer.verifier.encoding import from_base64, to_base64
from zkinfer.verifier.errors import AttestationTooLargeError

MAX_BYTES = 1 << 24
PAYLOAD_TYPE = "application/vnd.in-toto+json"


class _Signature(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    keyid: Annotated[str, Field(max_length=128)]
    sig: Annotated[str, Field(max_length=256)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    payload: str
    payload_type: Annotated[Literal["application/vnd.in-toto+json"], Field(alias="payloadType")]
    signatures: Annotated[tuple[_Signature, ...], Field(min_length=1, max_length=1)]


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that a signature covers: `DSSEv1 <length> <type> <length> <payload>`."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


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
        return encoding.write(_Document.model_validate(parts))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode an envelope; checks its form, but not the signature.

        Raises:
            AttestationTooLargeError: more than `MAX_BYTES`.
            MalformedAttestationError: not the canonical encoding of an envelope.
        """
        refuse_oversized(len(data))
        encoding.load(data, what="attestation", max_bytes=MAX_BYTES)
        document = encoding.read(data, _Document, what="attestation")
        [signature] = document.signatures
        return cls(
            from_base64(document.payload, "payload"),
            signature.keyid,
            from_base64(signature.sig, "signature"),
        )


def refuse_oversized(size: int) -> None:
    """Raise AttestationTooLargeError above `MAX_BYTES`."""
    if size > MAX_BYTES:
        raise AttestationTooLargeError(
            f"The attestation exceeds the limit of {MAX_BYTES:,} bytes.",
            "It was padded or damaged, or is another file.",
        )
