"""What a certificate says: an in-toto Statement v1 about one file, with the predicate `urn:zkinfer:predicate:work:v1`.

It binds a file to its fingerprint, its origin and parents, its terms, and to the contracts that know it. Everything in
it is the signer's word until somebody checks it; see `zkinfer.works.inspection`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from zkinfer.circuits.statement import Word
from zkinfer.verifier.statement import Signer, read_time, write_time
from zkinfer.works.evidence import Level
from zkinfer.works.kinds import Kind, Origin, Permission

PREDICATE_TYPE: Final = "urn:zkinfer:predicate:work:v1"
MAX_PARENTS: Final = 8
MAX_OFFERS: Final = 16
MAX_PROMPT: Final = 1 << 16

HexDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Address = Annotated[str, Field(pattern=r"^0x[0-9a-f]{40}$")]
Amount = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,28})$")]
Uri = Annotated[str, Field(max_length=2048, pattern=r"^[\x21-\x7e]*$")]
Text = Annotated[str, Field(max_length=200)]
Iscc = Annotated[str, Field(pattern=r"^ISCC:[A-Z2-7]{10,60}$")]


class Claim(BaseModel):
    """A part of a document of works: frozen, strict, without unknown fields, in camel case."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)


class ContentClaim(Claim):
    """The file: its size, its fingerprint if it is a picture, and the commitment to its normalised pixels.

    `outputs` is the SHA-256 of the output words of the model that made it, as in an attestation.
    """

    size: Annotated[int, Field(ge=0, lt=1 << 53)]
    media_type: Text
    iscc64: Iscc | None = None
    iscc256: Iscc | None = None
    pixels: Word | None = None
    outputs: HexDigest | None = None


class EvidenceClaim(Claim):
    """What the statement that a model made the file rests on.

    `attestation` is the SHA-256 of an attestation file; `record` the id of the ledger's record of the inference.
    """

    level: Level = Level.CLAIMED
    attestation: HexDigest | None = None
    model_id: Word | None = None
    record: Word | None = None

    @model_validator(mode="after")
    def _has_what_it_names(self) -> Self:
        if self.level == Level.PROVEN and self.record is None:
            raise ValueError("proven evidence names the record of a ledger")
        if self.level == Level.ATTESTED and self.attestation is None:
            raise ValueError("attested evidence names an attestation")
        if self.level == Level.CLAIMED and (self.attestation or self.record):
            raise ValueError("claimed evidence names neither an attestation nor a record")
        return self


class Parent(Claim):
    """A work or a file that this one was made from, and as what: `model`, `prompt`, `original`..."""

    work: Word | None = None
    sha256: HexDigest | None = None
    role: Annotated[str, Field(pattern=r"^[a-z][a-z-]{0,31}$")]

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.work is None) == (self.sha256 is None):
            raise ValueError("a parent is named by its work or by its file's digest")
        return self


class OfferClaim(Claim):
    """A licence that can be bought: the digest and place of its text, its uses, price in wei, share and duration."""

    terms: HexDigest
    uri: Uri
    uses: tuple[Annotated[str, Field(pattern=r"^[a-z]{1,20}$")], ...]
    price: Amount
    share_bps: Annotated[int, Field(ge=0, le=5000)]
    duration: Annotated[int, Field(ge=0, lt=1 << 32)]


class Rights(Claim):
    """Whether others may train on the work, mine it, and give it to models as input."""

    training: Permission
    mining: Permission
    inference: Permission
    policy: Uri = ""


class ChainClaim(Claim):
    """Where the work is, or will be, registered."""

    chain_id: Annotated[int, Field(gt=0, lt=1 << 53)]
    works: Address
    work: Word | None = None


class PromptClaim(Claim):
    """A commitment to the prompt: the SHA-256 of a salt of 32 bytes and the text. The text is there only if wished."""

    commitment: HexDigest
    salt: HexDigest | None = None
    text: Annotated[str, Field(max_length=MAX_PROMPT)] | None = None


class WorkPredicate(Claim):
    """All that a certificate says about the file."""

    content: ContentClaim
    kind: Kind
    origin: Origin
    evidence: EvidenceClaim
    parents: Annotated[tuple[Parent, ...], Field(max_length=MAX_PARENTS)] = ()
    offers: Annotated[tuple[OfferClaim, ...], Field(max_length=MAX_OFFERS)] = ()
    rights: Rights | None = None
    prompt: PromptClaim | None = None
    chain: ChainClaim | None = None
    manifest: HexDigest | None = None
    creator: Text = ""
    created_at: str
    signer: Signer

    @field_validator("created_at")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        if write_time(read_time(text)) != text:
            raise ValueError("a time must be written YYYY-MM-DDTHH:MM:SSZ")
        return text


class FileDigest(Claim):
    """SHA-256 of the file, as in-toto writes digests."""

    sha256: HexDigest


class WorkSubject(Claim):
    """The subject of the statement: the file."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    digest: FileDigest


class WorkStatement(Claim):
    """The in-toto Statement."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")] = (
        "https://in-toto.io/Statement/v1"
    )
    subject: Annotated[tuple[WorkSubject, ...], Field(min_length=1, max_length=1)]
    predicate_type: Literal["urn:zkinfer:predicate:work:v1"] = PREDICATE_TYPE
    predicate: WorkPredicate
