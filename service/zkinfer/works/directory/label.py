"""Labels: whether a model made a work, what says so, and how much that rests on. Never more than is known.

A record of the ledger proves that a model gave the outputs that a work is the digest of, while the record may be relied
on. What a creator registered or signed in a certificate is a claim: no attestation is checked here. Credentials of C2PA
in a file are attested by their signer, whom nobody need know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.v1.works_pb2 import WorkLabel
from zkinfer.works.evidence import Level
from zkinfer.works.kinds import SOURCE_TYPES, Origin

if TYPE_CHECKING:
    from zkinfer.works.credentials import Marks
    from zkinfer.works.statement import WorkPredicate

YES: Final = "yes"
NO: Final = "no"
UNKNOWN: Final = "unknown"
_PROVEN: Final = "A model made it: this work is the digest of the model's proven answer, which is on the ledger."
_BY_SOURCE: Final = {source: origin for origin, source in SOURCE_TYPES.items()}
_HUMAN_SOURCES: Final = frozenset({"digitalCreation", "digitalCapture", "humanEdits", "negativeFilm", "positiveFilm"})


@dataclass(frozen=True, slots=True)
class Generation:
    """A record that proved a work's generation.

    Args:
        record: its id, as 0x and hex.
        model_id: of the model; empty if unknown.
        sound: whether the record may be relied on, as of the last block.
        reason: why not, or under which conditions.
    """

    record: str
    model_id: str
    sound: bool
    reason: str


def label_of(origin: Origin, generation: Generation | None, certificate: WorkPredicate | None) -> WorkLabel:
    """The label of a registered work.

    Args:
        origin: as registered.
        generation: the record that proved it, if any.
        certificate: what its creator signed, if the directory has it.
    """
    if generation is not None and generation.sound:
        return WorkLabel(
            ai_generated=YES,
            basis="record",
            level=Level.PROVEN,
            text=f"{_PROVEN} {generation.reason}".strip(),
            model_id=generation.model_id,
            record=generation.record,
        )
    label = _claimed(origin, certificate)
    if generation is not None:
        label.text = f"{label.text} Its record proves nothing now: {generation.reason}"
        label.record = generation.record
    return label


def label_of_copy(label: WorkLabel, distance: int, compared: int) -> WorkLabel:
    """The label of a file whose fingerprint is that of a work: what is said of the work is claimed of the file."""
    found = WorkLabel()
    found.CopyFrom(label)
    found.level = Level.CLAIMED if label.level else ""
    found.text = (
        f"The file looks like a registered work: {distance} of {compared} bits of their fingerprints differ. Of that "
        f"work it is said: {label.text}"
    )
    return found


def label_of_certified(label: WorkLabel) -> WorkLabel:
    """The label of a file that a work's certificate names: a signature ties the file to the work, no proof does."""
    if label.level != Level.PROVEN:
        return label
    found = WorkLabel()
    found.CopyFrom(label)
    found.level = Level.ATTESTED
    found.text = f"{label.text} That this file shows that answer, its creator's certificate says."
    return found


def label_of_marks(marks: Marks) -> WorkLabel | None:
    """The label that valid C2PA credentials give the file they are in; None if they say nothing about its making."""
    if marks.state not in ("Valid", "Trusted"):
        return None
    origin = _BY_SOURCE.get(marks.source_type)
    if origin is None or not origin.is_by_model:
        if marks.source_type not in _HUMAN_SOURCES:
            return None
        answer, said = NO, "made without a model"
    else:
        answer, said = YES, "made by a model" if origin == Origin.GENERATED else "made in part by a model"
    signer = f"{marks.issuer or 'an unnamed signer'}"
    vouched = "" if marks.state == "Trusted" else ", for whom no root that is trusted here vouches,"
    text = f"Its C2PA credentials, signed by {signer}{vouched} say that it was {said} ({marks.source_type})."
    return WorkLabel(ai_generated=answer, basis="c2pa", level=Level.ATTESTED, text=text)


def strongest(of_work: WorkLabel | None, of_marks: WorkLabel | None, *, trusted: bool = False) -> WorkLabel:
    """The label of a file, of those that its work and its own credentials give.

    Anybody can register a file, and anybody can sign credentials: where the two contradict each other and neither is
    proven or vouched for, nothing is known.

    Args:
        of_work: the label that its work gives it, if any.
        of_marks: the label that its credentials give it, if any.
        trusted: whether a given root vouches for the credentials' signer.
    """
    if of_work is None or not of_work.level:
        return of_marks or of_work or unknown("Nothing that is known here says what made it.")
    if of_marks is None or of_work.level == Level.PROVEN:
        return of_work
    if of_marks.ai_generated == of_work.ai_generated:
        return of_marks if of_work.level == Level.CLAIMED else of_work
    text = f"{of_marks.text} What is registered says otherwise: {of_work.text}"
    if not trusted:
        return unknown(f"What is said of it contradicts itself. {text}")
    of_marks.text = text
    return of_marks


def unknown(text: str) -> WorkLabel:
    """The label of what nothing is known about."""
    return WorkLabel(ai_generated=UNKNOWN, basis="none", level="", text=text)


def _claimed(registered: Origin, certificate: WorkPredicate | None) -> WorkLabel:
    """What the creator says; where registration and certificate differ, that a model was at work."""
    if certificate is not None and (certificate.origin.is_by_model or registered == Origin.UNSTATED):
        basis, origin, who = "certificate", certificate.origin, "Its creator's signed certificate says"
        model_id = certificate.evidence.model_id or ""
    else:
        basis, origin, who, model_id = "registration", registered, "Its creator registered", ""
    if origin == Origin.UNSTATED:
        return unknown("Its creator does not say what made it.")
    said = {
        Origin.HUMAN: "that a person made it",
        Origin.COMPOSITE: "that a model made a part of it",
        Origin.GENERATED: "that a model made it",
    }[origin]
    return WorkLabel(
        ai_generated=YES if origin.is_by_model else NO,
        basis=basis,
        level=Level.CLAIMED,
        text=f"{who} {said}; nothing of that is proven.",
        model_id=model_id,
    )
