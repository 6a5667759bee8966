"""Whether a model made a work: the level that the given evidence reaches, whatever the certificate says.

A signature attests an answer, and a record of a ledger proves it. Either is about the answer, so something must tie the
file to it, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zkinfer.verifier.errors import RefusedError
from zkinfer.verifier.signing import PublicKey
from zkinfer.works.errors import CertificateError, WorkError
from zkinfer.works.evidence import Level
from zkinfer.works.findings import Statement
from zkinfer.works.kinds import Origin

if TYPE_CHECKING:
    from zkinfer.verifier.attestation import Attestation
    from zkinfer.works.certificate import Certificate
    from zkinfer.works.findings import Evidence, Finding

_GENERATED: Final = "A model made it"


def look_at_origin(finding: Finding, certificate: Certificate, evidence: Evidence) -> None:
    """Say of a finding who or what made the work, and what that rests on."""
    predicate = certificate.predicate
    if not predicate.origin.is_by_model:
        if predicate.origin == Origin.HUMAN:
            finding.statements.append(Statement(Level.CLAIMED, "A person made it, without a model."))
        return
    level, text = Level.CLAIMED, f"{_GENERATED}."
    if predicate.evidence.attestation is not None:
        level, text = _checked_evidence(finding, certificate, evidence)
    finding.raise_generated(level)
    finding.statements.append(Statement(level, text))


def look_at_answer(finding: Finding, evidence: Evidence) -> None:
    """Compare a file that has no certificate with an attestation: a ledger's record needs nobody's word."""
    if evidence.attestation is None:
        return
    attestation, _ = evidence.attestation
    context = attestation.predicate.context
    try:
        _require_signed(attestation)
        if not _is_the_answer(evidence, attestation):
            raise CertificateError("The file is neither the attested answer's output words nor their picture.")
        level, text = _weigh(finding, attestation, context.request_id if context.chain_id else None, evidence)
    except (RefusedError, WorkError) as err:
        finding.problems.append(str(err))
        return
    finding.raise_generated(level)
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
        return _weigh(finding, attestation, claim.record, evidence)
    except (RefusedError, WorkError) as err:
        finding.problems.append(str(err))
        return Level.CLAIMED, f"{_GENERATED}."


def _weigh(finding: Finding, attestation: Attestation, record: str | None, evidence: Evidence) -> tuple[Level, str]:
    """The level of an attested answer, with what it says.

    Args:
        finding: gets what was not looked up.
        attestation: whose signature is valid, and whose answer the file is.
        record: the id under which it should be on a ledger; None if it is on none.
        evidence: with the records of that ledger, if there is a node to ask.

    Raises RefusedError or WorkError if the ledger does not have it, or nobody's word is wanted but that of others.
    """
    model_id = attestation.predicate.circuit.claimed_model_id
    if record is not None and evidence.records is not None:
        where = evidence.records.require_recorded(record, model_id, attestation.predicate.statement.outputs)
        _note_scale(finding, attestation, evidence)
        return Level.PROVEN, f"{_GENERATED}: {model_id}. {where}"
    if record is not None:
        finding.unchecked.append("The record on the ledger was not looked up: use --rpc.")
    _require_signer(attestation, evidence.signers)
    keyid = attestation.envelope.keyid
    return Level.ATTESTED, f"{_GENERATED}: {model_id}. {keyid} attests it; the proof is verified by `zkinfer verify`."


def _note_scale(finding: Finding, attestation: Attestation, evidence: Evidence) -> None:
    """A record has the numbers; which grey level a number is follows from a scale that only a signature states."""
    keyid = attestation.envelope.keyid
    is_picture = evidence.content is not None and evidence.content.sha256 != attestation.statement.output_digest
    if is_picture and keyid not in evidence.signers:
        finding.unchecked.append(f"Which grey level a number is, is the word of {keyid}: give its key with --signer.")


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
    _require_signed(attestation)
    if attestation.predicate.circuit.claimed_model_id != claim.model_id:
        raise CertificateError("The attestation is of another model than the certificate names.")
    if attestation.statement.output_digest != certificate.predicate.content.outputs:
        raise CertificateError("The attestation is of other outputs than the certificate names.")


def _require_signed(attestation: Attestation) -> None:
    key = PublicKey(attestation.signer_key)
    if attestation.envelope.keyid != key.fingerprint:
        raise CertificateError("The attestation names another key than the one that it holds.")
    key.verify(attestation.envelope.signed_bytes, attestation.envelope.signature)


def _require_signer(attestation: Attestation, signers: frozenset[str]) -> None:
    """A given list of signers is that of the attestation, too: anybody can sign outputs that no model gave."""
    if signers and attestation.envelope.keyid not in signers:
        raise CertificateError(
            f"The attestation is signed by {attestation.envelope.keyid}, which is none of the given signers.",
            "Give the prover's key as a further --signer, if you trust it.",
        )
