"""The content of an attestation: an in-toto Statement v1 about one inference.

See https://github.com/in-toto/attestation, spec/v1. The subject is the output; the predicate holds all that an
auditor needs besides the ONNX file and the trusted setup. Its content is a claim until a `Verifier` has checked it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from zkinfer.circuits import statement as proofs
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.recipe import CircuitIdentity, Recipe
from zkinfer.circuits.statement import MAX_VALUES, Context, Layout, Word
from zkinfer.circuits.tensors import TensorSpec
from zkinfer.verifier import dsse
from zkinfer.verifier.dsse import MAX_BYTES
from zkinfer.verifier.errors import MalformedAttestationError, UnsupportedVersionError

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        inputs = dsse.from_base64(self.public_inputs, "public inputs")
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
        return dsse.write(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse the output of `to_bytes`.

        Raises:
            UnsupportedVersionError: another version of this predicate.
            MalformedAttestationError: not the canonical encoding of a statement.
        """
        _refuse_other_version(dsse.load(data, what="payload", max_bytes=MAX_BYTES))
        return dsse.read(data, cls, what="payload")

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
