"""Look at a work: what is proven, what is attested, what is claimed, and what does not hold.

A statement gets the level of what was checked here, not the one that the certificate names: evidence that was not given
counts as a claim. Whatever contradicts the file, the certificate or the record is a problem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zkinfer.works.errors import CertificateError
from zkinfer.works.evidence import Level
from zkinfer.works.findings import Evidence, Finding, Statement
from zkinfer.works.generation import look_at_answer, look_at_origin
from zkinfer.works.kinds import SOURCE_TYPES, Origin

if TYPE_CHECKING:
    from zkinfer.works.certificate import Certificate
    from zkinfer.works.content import Content
    from zkinfer.works.credentials import Marks
    from zkinfer.works.iscc import Fingerprint

LOSSLESS: Final = frozenset({"image/png", "image/gif"})
_BY_MODEL: Final = frozenset(SOURCE_TYPES[one] for one in SOURCE_TYPES if one.is_by_model)
_DECODER_BITS: Final = 8
"""Bits of 256 by which the fingerprint of a lossy file may differ, since decoders differ."""


def inspect(certificate: Certificate | None, evidence: Evidence) -> Finding:
    """Check a certificate, or a file without one, against what is there."""
    finding = Finding()
    if certificate is None:
        finding.unchecked.append("There is no certificate: only the file's own credentials and evidence are looked at.")
        _look_at_marks(finding, None, evidence)
        look_at_answer(finding, evidence)
        return finding
    try:
        key = certificate.verified()
    except CertificateError as err:
        finding.problems.append(str(err))
        return finding
    made = f"{key.fingerprint} signed this certificate of {certificate.name} at {certificate.predicate.created_at}."
    finding.statements.append(Statement(Level.ATTESTED, made))
    _look_at_signer(finding, key.fingerprint, evidence)
    _look_at_file(finding, certificate, evidence)
    _look_at_marks(finding, certificate, evidence)
    look_at_origin(finding, certificate, evidence)
    _repeat_claims(finding, certificate)
    return finding


def _look_at_signer(finding: Finding, fingerprint: str, evidence: Evidence) -> None:
    """Anybody has a key, so a signature says something only of a signer whom the reader knows."""
    if not evidence.signers:
        finding.unchecked.append(f"Whose key {fingerprint} is: give the signer's with --signer KEY.pub.")
    elif fingerprint not in evidence.signers:
        finding.problems.append(f"The certificate is signed by {fingerprint}, which is none of the given signers.")


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
    if marks.source_type in _BY_MODEL:
        finding.raise_generated(Level.ATTESTED)
    if certificate is not None:
        _compare_marks(finding, certificate, marks)


def _compare_marks(finding: Finding, certificate: Certificate, marks: Marks) -> None:
    origin = certificate.predicate.origin
    if origin.is_by_model and marks.source_type and marks.source_type != SOURCE_TYPES[origin]:
        finding.problems.append(f"The certificate says {origin}, and the credentials {marks.source_type}.")
    if origin == Origin.HUMAN and marks.source_type in _BY_MODEL:
        finding.problems.append(f"The certificate says {origin}, and the credentials {marks.source_type}.")
    claimed = certificate.predicate.content.iscc256
    if claimed and marks.iscc and marks.iscc != claimed:
        finding.problems.append("The certificate and the credentials name different fingerprints.")
    named = certificate.predicate.manifest
    if marks.store and named and marks.store != named:
        finding.problems.append("The sidecar is not the one that the certificate names.")


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
