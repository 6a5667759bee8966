"""The content of an attestation: an in-toto Statement v1 about one inference, in a DSSE 1.0 envelope.

See https://github.com/in-toto/attestation, spec/v1. The subject is the output; the predicate holds all that an
auditor needs besides the ONNX file and the trusted setup. Its content is a claim until a `Verifier` has checked it.

See https://github.com/secure-systems-lab/dsse. Only one form is written and accepted: canonical JSON, standard padded
base64, exactly one signature. The specification calls `keyid` an unauthenticated hint; it is not used here, but the
verifier requires it to be the fingerprint of the signing key, so that no byte of the file can be altered.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from zkinfer.circuits import canonical
from zkinfer.circuits import statement as proofs
from zkinfer.circuits.errors import InputError, JsonError
from zkinfer.circuits.recipe import CircuitIdentity, Recipe
from zkinfer.circuits.statement import MAX_VALUES, Context, Layout, Word
from zkinfer.circuits.tensors import TensorSpec
from zkinfer.verifier.errors import AttestationTooLargeError, MalformedAttestationError, UnsupportedVersionError

if TYPE_CHECKING:
    from collections.abc import Iterable


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
        return write_document(_EnvelopeDocument.model_validate(parts))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode an envelope; checks its form, but not the signature.

        Raises:
            AttestationTooLargeError: more than `MAX_BYTES`.
            MalformedAttestationError: not the canonical encoding of an envelope.
        """
        refuse_oversized(len(data))
        load_document(data, what="attestation", max_bytes=MAX_BYTES)
        document = read_document(data, _EnvelopeDocument, what="attestation")
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


def write_document(document: BaseModel) -> bytes:
    """The canonical encoding of a document."""
    return canonical.dump(document.model_dump(mode="json", by_alias=True))


def load_document(data: bytes, *, what: str, max_bytes: int) -> Any:  # noqa: ANN401 - any JSON value
    """Parse canonical JSON; raises MalformedAttestationError, which names the document as `what`, for anything else."""
    try:
        return canonical.load_canonical(data, max_bytes=max_bytes, what=what)
    except JsonError as err:
        raise MalformedAttestationError(err.cause, err.cure or _another(what)) from err


def read_document(data: bytes, kind: type[Document], *, what: str) -> Document:
    """Convert a document that `load_document` accepted to a model.

    The result is encoded again and compared, so that differences between the two parsers, or default values, cannot
    make a document ambiguous.

    Raises:
        MalformedAttestationError: a field is missing, unknown, of the wrong type, or not in canonical form.
    """
    try:
        document = kind.model_validate_json(data)
    except ValidationError as err:
        raise MalformedAttestationError(f"The {what} is malformed: {first_problem(err)}.", _another(what)) from err
    if write_document(document) != data:
        raise MalformedAttestationError(f"The {what} has a field that is not in canonical form.", _another(what))
    return document


def _another(what: str) -> str:
    return f"It is truncated, altered or another file: give the {what} as it was written."


class _Signature(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    keyid: Annotated[str, Field(max_length=128)]
    sig: Annotated[str, Field(max_length=256)]


class _EnvelopeDocument(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    payload: str
    payload_type: Annotated[Literal["application/vnd.in-toto+json"], Field(alias="payloadType")]
    signatures: Annotated[tuple[_Signature, ...], Field(min_length=1, max_length=1)]


def first_problem(err: ValidationError) -> str:
    """The first validation error; its location is truncated and escaped, since an attacker can choose names in it."""
    first = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:120]
    return f"at {place!r}: {first['msg'][:200]!a}"


PREDICATE_TYPE: Final = "urn:zkinfer:predicate:inference:v1"
MAX_INPUTS_BASE64 = 1 << 21
MAX_PROOF_BASE64 = 1 << 22
MAX_TENSORS = 64
_FAMILY = "urn:zkinfer:predicate:inference:"
_TIME = "%Y-%m-%dT%H:%M:%SZ"

Algorithm = Literal["ed25519", "ecdsa-p256"]
Integer = Annotated[str, Field(pattern=r"^(0|-?[1-9][0-9]{0,18})$")]
Tensors = Annotated[tuple[TensorSpec, ...], Field(min_length=1, max_length=MAX_TENSORS)]


class _Claim(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)


class CircuitClaim(CircuitIdentity):
    """The circuit's digests, with the identifier that follows from them written out for readers."""

    claimed_model_id: Annotated[Word, Field(validation_alias="modelId", serialization_alias="modelId")]

    @property
    def identity(self) -> CircuitIdentity:
        """The digests alone."""
        return CircuitIdentity(model=self.model, network=self.network, verifying_key=self.verifying_key)


class Signer(_Claim):
    """The signer's key, as base64 of its SubjectPublicKeyInfo, and whether it was made for this attestation alone."""

    algorithm: Algorithm
    public_key: Annotated[str, Field(max_length=256)]
    ephemeral: bool


class Predicate(_Claim):
    """One inference: which circuit, which public values, which proof, for which request, signed by whom and when.

    `inputs` and `outputs` describe the tensors; `layout` is the encoding of the proof's statement: `public_context` as
    a word, `public_inputs` as base64 of packed integers or digests, `public_outputs` as decimal integers. A rebuild
    needs a trusted setup of 2^`setup_size` powers.
    """

    circuit: CircuitClaim
    recipe: Recipe
    setup_size: Annotated[int, Field(ge=0, le=28)]
    inputs: Tensors
    outputs: Tensors
    layout: Layout
    public_context: Word
    public_inputs: Annotated[str, Field(max_length=MAX_INPUTS_BASE64)]
    public_outputs: Annotated[tuple[Integer, ...], Field(min_length=1, max_length=MAX_VALUES, fail_fast=True)]
    proof: Annotated[str, Field(max_length=MAX_PROOF_BASE64)]
    context: Context
    created_at: str
    signer: Signer

    @property
    def statement(self) -> proofs.Statement:
        """The claimed statement of the proof; raises MalformedAttestationError if the base64 is not canonical."""
        inputs = from_base64(self.public_inputs, "public inputs")
        return proofs.Statement(
            bytes.fromhex(self.public_context[2:]), inputs, tuple(int(value) for value in self.public_outputs)
        )

    @field_validator("created_at")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        if write_time(read_time(text)) != text:
            raise ValueError("a time must be written YYYY-MM-DDTHH:MM:SSZ")
        return text


class OutputDigest(_Claim):
    """SHA-256 of the outputs as contracts see them, without a prefix, as in-toto writes digests."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Subject(_Claim):
    """The subject of the statement: the proven output."""

    name: Literal["output"] = "output"
    digest: OutputDigest


class Statement(_Claim):
    """The in-toto Statement."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")] = (
        "https://in-toto.io/Statement/v1"
    )
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=1)]
    predicate_type: Literal["urn:zkinfer:predicate:inference:v1"] = PREDICATE_TYPE
    predicate: Predicate

    def to_bytes(self) -> bytes:
        """Write the statement as canonical JSON."""
        return write_document(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse the output of `to_bytes`.

        Raises:
            UnsupportedVersionError: another version of this predicate.
            MalformedAttestationError: not the canonical encoding of a statement.
        """
        _refuse_other_version(load_document(data, what="payload", max_bytes=MAX_BYTES))
        return read_document(data, cls, what="payload")

    @property
    def output_digest(self) -> str:
        """The digest in the subject, as hex."""
        return self.subject[0].digest.sha256


def output_digest(outputs: Iterable[int]) -> str:
    """SHA-256 over the output integers, each as 32 bytes of two's complement, big-endian, as hex."""
    return hashlib.sha256(proofs.output_words(outputs)).hexdigest()


def write_time(moment: datetime) -> str:
    """Write a time in UTC, to the second; raises InputError if it has no time zone."""
    if moment.tzinfo is None:
        raise InputError("A time without a time zone is ambiguous.", "Use datetime.now(UTC).")
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def read_time(text: str) -> datetime:
    """Parse the output of `write_time`; raises ValueError for text that is not a time."""
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


def _refuse_other_version(document: Any) -> None:  # noqa: ANN401 - any JSON value
    kind = document.get("predicateType") if isinstance(document, dict) else None
    if not isinstance(kind, str):
        raise MalformedAttestationError("The payload is not an in-toto statement: it has no predicateType.")
    if kind != PREDICATE_TYPE and kind.startswith(_FAMILY):
        raise UnsupportedVersionError(
            f"The attestation is of version {kind.removeprefix(_FAMILY)[:40]!r}; this zkinfer supports v1.",
            "Verify with the version of zkinfer that made it.",
        )
