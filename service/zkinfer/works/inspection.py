"""Look at a work: what is proven, what is attested, what is claimed, and what does not hold.

A statement gets the level of what was checked here, not the one that the certificate names: evidence that was not given
counts as a claim. Whatever contradicts the file, the certificate or the record is a problem.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from zkinfer.verifier.errors import RefusedError
from zkinfer.verifier.signing import PublicKey
from zkinfer.works.errors import CertificateError, WorkError
from zkinfer.works.evidence import UNPROVEN, Level
from zkinfer.works.kinds import SOURCE_TYPES, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.verifier.attestation import Attestation
    from zkinfer.works.certificate import Certificate
    from zkinfer.works.content import Content
    from zkinfer.works.credentials import Marks
    from zkinfer.works.iscc import Fingerprint

LOSSLESS: Final = frozenset({"image/png", "image/gif"})
_GENERATED: Final = "A model made it"
_DECODER_BITS: Final = 8
"""Bits of 256 by which the fingerprint of a lossy file may differ, since decoders differ."""


class Records(Protocol):
    """A ledger, as far as this needs it."""

    def require_recorded(self, record: str, model_id: str | None, outputs: Sequence[int]) -> str:
        """Where this model's answer is on record; raises RefusedError or WorkError if it is not."""
        ...


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence about the work, and what it rests on."""

    level: Level
    text: str


@dataclass
class Finding:
    """What was found.

    Args:
        statements: what holds, each with its level.
        problems: what does not.
        unchecked: what could not be looked at, and what would be needed.
        generated: what the statement that a model made it rests on; None if nobody says so.
    """

    statements: list[Statement] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    generated: Level | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def ai_generated(self) -> str:
        """`proven`, `attested` or `claimed` if a model is said to have made the work; else `unknown`."""
        return "unknown" if self.generated is None else str(self.generated)

    @property
    def document(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "ok": self.holds,
            "aiGenerated": self.ai_generated,
            "statements": [{"level": str(one.level), "text": one.text} for one in self.statements],
            "problems": self.problems,
            "unchecked": self.unchecked,
            "notProven": list(UNPROVEN),
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the caller has besides the certificate; None for what is missing.

    Args:
        content: the file.
        pixels: of the file, `[height, width, 3]`, if it is a picture.
        prints: its fingerprint, if it is a picture.
        marks: its C2PA credentials.
        attestation: of the inference that made it, and the SHA-256 of its file as hex.
        records: of a ledger.
    """

    content: Content | None = None
    pixels: NDArray[np.uint8] | None = None
    prints: Fingerprint | None = None
    marks: Marks | None = None
    attestation: tuple[Attestation, str] | None = None
    records: Records | None = None


def inspect(certificate: Certificate | None, evidence: Evidence) -> Finding:
    """Check a certificate, or a file without one, against what is there."""
    finding = Finding()
    if certificate is None:
        finding.unchecked.append("There is no certificate: only the file's own credentials are looked at.")
        _look_at_marks(finding, None, evidence)
        return finding
    try:
        key = certificate.verified()
    except CertificateError as err:
        finding.problems.append(str(err))
        return finding
    made = f"{key.fingerprint} signed this certificate of {certificate.name} at {certificate.predicate.created_at}."
    finding.statements.append(Statement(Level.ATTESTED, made))
    _look_at_file(finding, certificate, evidence)
    _look_at_marks(finding, certificate, evidence)
    _look_at_origin(finding, certificate, evidence)
    _repeat_claims(finding, certificate)
    return finding


def _look_at_file(finding: Finding, certificate: Certificate, evidence: Evidence) -> None:
    claim, content = certificate.predicate.content, evidence.content
    if content is None:
        finding.unchecked.append("The file was not given, so nothing says that it is the certified one.")
        return
    try:
        certificate.require_file(content.sha256)
    except CertificateError as err:
        finding.problems.append(str(err))
        return
    if content.size != claim.size:
        finding.problems.append(f"The certificate says {claim.size} bytes, and the file has {content.size}.")
    finding.statements.append(Statement(Level.ATTESTED, f"This is the certified file: SHA-256 {content.sha256}."))
    if evidence.prints is not None and claim.iscc256 is not None:
        _compare_prints(finding, claim.iscc256, evidence.prints, content)


def _compare_prints(finding: Finding, claimed: str, prints: Fingerprint, content: Content) -> None:
    from zkinfer.works.iscc import distance  # noqa: PLC0415 - a certificate is verified without the extra

    found = distance(claimed, prints.iscc256)
    if found > (0 if content.media_type in LOSSLESS else _DECODER_BITS):
        finding.problems.append(f"The certified fingerprint differs from the file's in {found} of 256 bits.")
    else:
        finding.statements.append(Statement(Level.ATTESTED, f"Its fingerprint is {claimed}."))


def _look_at_marks(finding: Finding, certificate: Certificate | None, evidence: Evidence) -> None:
    marks = evidence.marks
    if marks is None or marks.state == "none":
        if certificate is not None and certificate.predicate.manifest is not None and marks is not None:
            finding.unchecked.append(
                "The certificate names C2PA credentials, and this file has none: give the sidecar."
            )
        return
    if marks.state == "Invalid":
        finding.problems.append(f"The C2PA credentials are invalid: {', '.join(marks.problems) or 'no reason given'}.")
        return
    who = f"{marks.issuer or 'an unnamed signer'}"
    vouched = (
        "a given root vouches for the signer" if marks.state == "Trusted" else "no given root vouches for the signer"
    )
    finding.statements.append(Statement(Level.ATTESTED, f"C2PA credentials by {who} are valid; {vouched}."))
    if marks.source_type:
        finding.statements.append(Statement(Level.ATTESTED, f"Its credentials name the source {marks.source_type}."))
    if certificate is not None:
        _compare_marks(finding, certificate, marks)


def _compare_marks(finding: Finding, certificate: Certificate, marks: Marks) -> None:
    origin = certificate.predicate.origin
    if origin.is_by_model and marks.source_type and marks.source_type != SOURCE_TYPES[origin]:
        finding.problems.append(f"The certificate says {origin}, and the credentials {marks.source_type}.")
    claimed = certificate.predicate.content.iscc256
    if claimed and marks.iscc and marks.iscc != claimed:
        finding.problems.append("The certificate and the credentials name different fingerprints.")
    named = certificate.predicate.manifest
    if marks.store and named and marks.store != named:
        finding.problems.append("The sidecar is not the one that the certificate names.")


def _look_at_origin(finding: Finding, certificate: Certificate, evidence: Evidence) -> None:
    predicate = certificate.predicate
    if not predicate.origin.is_by_model:
        if predicate.origin == Origin.HUMAN:
            finding.statements.append(Statement(Level.CLAIMED, "A person made it, without a model."))
        return
    level, text = Level.CLAIMED, f"{_GENERATED}."
    if predicate.evidence.attestation is not None:
        level, text = _checked_evidence(finding, certificate, evidence)
    finding.generated = level
    finding.statements.append(Statement(level, text))


def _checked_evidence(finding: Finding, certificate: Certificate, evidence: Evidence) -> tuple[Level, str]:
    """The level that the given evidence reaches, with what it says."""
    claim = certificate.predicate.evidence
    text = f"{_GENERATED}: {claim.model_id or 'of unknown id'}."
    if evidence.attestation is None:
        finding.unchecked.append("The attestation of the inference was not given: use --attestation.")
        return Level.CLAIMED, text
    attestation, digest = evidence.attestation
    try:
        _require_attestation(certificate, attestation, digest)
        if not _is_the_answer(evidence, attestation):
            finding.unchecked.append(
                "Nothing ties the file to the attested answer: it is neither its output words nor their picture."
            )
            return Level.CLAIMED, text
        text = f"{text} {attestation.envelope.keyid} attests it; the proof is verified by `zkinfer verify`."
        if claim.record is None:
            return Level.ATTESTED, text
        if evidence.records is None:
            finding.unchecked.append("The record on the ledger was not looked up: use --rpc.")
            return Level.ATTESTED, text
        outputs = attestation.predicate.statement.outputs
        where = evidence.records.require_recorded(claim.record, claim.model_id, outputs)
    except (RefusedError, WorkError) as err:
        finding.problems.append(str(err))
        return Level.CLAIMED, f"{_GENERATED}."
    return Level.PROVEN, f"{_GENERATED}: {claim.model_id}. {where}"


def _is_the_answer(evidence: Evidence, attestation: Attestation) -> bool:
    """Whether the file is what the model answered: the output words themselves, or their picture by `grey/1`."""
    if evidence.content is None:
        return False
    if evidence.content.sha256 == attestation.statement.output_digest:
        return True
    outputs = attestation.predicate.outputs
    scale = outputs[0].scale
    if evidence.pixels is None or len(outputs) != 1 or not isinstance(scale, int):
        return False
    from zkinfer.works.renders import is_rendering  # noqa: PLC0415 - a certificate is verified without the extra

    return is_rendering(attestation.predicate.statement.outputs, scale, evidence.pixels)


def _require_attestation(certificate: Certificate, attestation: Attestation, digest: str) -> None:
    claim = certificate.predicate.evidence
    if digest != claim.attestation:
        raise CertificateError("The attestation is not the one that the certificate names.", "Give that one.")
    key = PublicKey(attestation.signer_key)
    if attestation.envelope.keyid != key.fingerprint:
        raise CertificateError("The attestation names another key than the one that it holds.")
    key.verify(attestation.envelope.signed_bytes, attestation.envelope.signature)
    if attestation.predicate.circuit.claimed_model_id != claim.model_id:
        raise CertificateError("The attestation is of another model than the certificate names.")
    if attestation.statement.output_digest != certificate.predicate.content.outputs:
        raise CertificateError("The attestation is of other outputs than the certificate names.")


def _repeat_claims(finding: Finding, certificate: Certificate) -> None:
    predicate = certificate.predicate
    for parent in predicate.parents:
        named = f"work {parent.work}" if parent.work else f"the file with SHA-256 {parent.sha256}"
        finding.statements.append(Statement(Level.CLAIMED, f"It was made from {named}, as its {parent.role}."))
    if predicate.creator:
        finding.statements.append(Statement(Level.CLAIMED, f"Its creator is {predicate.creator}."))
    if predicate.rights is not None:
        rights = predicate.rights
        text = f"Training {rights.training}, mining {rights.mining}, input of models {rights.inference}."
        finding.statements.append(Statement(Level.ATTESTED, text))
