"""Make a certificate: look at the file, state what is known of it, mark it if asked, and sign."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.storage import refuse_existing
from zkinfer.verifier.attestation import Attestation
from zkinfer.works.certificate import sign_certificate, stated_by
from zkinfer.works.content import open_content
from zkinfer.works.credentials import mark
from zkinfer.works.evidence import Level
from zkinfer.works.ingredients import ingredients_of
from zkinfer.works.iscc import fingerprint
from zkinfer.works.prints import pixels_commitment
from zkinfer.works.statement import ChainClaim, ContentClaim, EvidenceClaim, Parent, PromptClaim

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from zkinfer.verifier import signing
    from zkinfer.works.certificate import Certificate
    from zkinfer.works.content import Content
    from zkinfer.works.credentials import Credentials
    from zkinfer.works.kinds import Kind, Origin
    from zkinfer.works.terms import Terms


@dataclass(frozen=True, slots=True)
class Facts:
    """What a person states about a file.

    Args:
        kind: what it is.
        origin: who or what made it.
        terms: what may be done with it.
        attestation: file of the proven inference that made it.
        record: id of the ledger's record of that inference, which makes the evidence `proven`.
        parents: what it was made from.
        parent_files: the files of parents that are named by digest; they become ingredients of C2PA credentials.
        prompt: only a commitment to it is written, unless `show_prompt`.
        show_prompt: write the prompt and the salt, too.
        chain: where it is, or will be, registered.
        creator: a name, as readers are to see it.
    """

    kind: Kind
    origin: Origin
    terms: Terms | None = None
    attestation: Path | None = None
    record: str | None = None
    parents: tuple[Parent, ...] = ()
    parent_files: tuple[Content, ...] = ()
    prompt: str | None = None
    show_prompt: bool = False
    chain: ChainClaim | None = None
    creator: str = ""
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """Whether and how to sign C2PA credentials: an embedded copy at `out`, or a sidecar there."""

    out: Path
    credentials: Credentials
    sidecar: bool = False


def certify(
    path: Path, facts: Facts, *, key: signing.Signer, created_at: datetime, marked: Mark | None = None
) -> Certificate:
    """State facts about a file in a certificate; about its marked copy, if credentials are embedded.

    Args:
        path: the file.
        facts: what is stated.
        key: signs the certificate.
        created_at: with a time zone.
        marked: C2PA credentials.

    Raises:
        InputError: a file cannot be read or exists already, or the facts contradict each other.
        CredentialsError: C2PA's library does not sign such a file, or with such a certificate.
        RefusedError: the attestation is malformed.
    """
    original = open_content(path)
    stated = _stated(original, facts)
    manifest = None
    subject = original
    if marked is not None:
        refuse_existing(marked.out)
        said = stated_by(stated, key.public, created_at)
        credit = ingredients_of(facts.parents, facts.parent_files)
        manifest = mark(original, marked.out, said, marked.credentials, sidecar=marked.sidecar, ingredients=credit)
        subject = original if marked.sidecar else open_content(marked.out)
        stated["content"] = stated["content"].model_copy(update={"size": subject.size})
    return sign_certificate(
        {**stated, "manifest": manifest}, name=subject.path.name, file=subject.sha256, key=key, created_at=created_at
    )


def _stated(content: Content, facts: Facts) -> dict[str, Any]:
    evidence, outputs = _evidence(facts)
    offers = () if facts.terms is None else tuple(one.claim for one in facts.terms.offers)
    return {
        "content": _content(content, outputs),
        "kind": facts.kind,
        "origin": facts.origin,
        "evidence": evidence,
        "parents": facts.parents,
        "offers": offers,
        "rights": None if facts.terms is None else facts.terms.rights,
        "prompt": None if facts.prompt is None else _prompt(facts.prompt, facts),
        "chain": facts.chain,
        "creator": facts.creator,
    }


def _content(content: Content, outputs: str | None) -> ContentClaim:
    plain = ContentClaim(size=content.size, media_type=content.media_type, outputs=outputs)
    if not content.is_picture:
        return plain
    prints = fingerprint(content.path)
    commitment = "0x" + pixels_commitment(prints.pixels).hex()
    return plain.model_copy(update={"iscc64": prints.iscc64, "iscc256": prints.iscc256, "pixels": commitment})


def _evidence(facts: Facts) -> tuple[EvidenceClaim, str | None]:
    """What the evidence is, and the digest of the outputs that it is about."""
    if facts.attestation is None:
        if facts.record is not None:
            raise InputError("A record without its attestation shows nothing.", "Give --attestation as well.")
        return EvidenceClaim(), None
    if not facts.origin.is_by_model:
        raise InputError(f"A work of origin {facts.origin} was not made by a model.", "Omit --attestation.")
    digest = open_content(facts.attestation).sha256
    attestation = Attestation.read(facts.attestation)
    evidence = EvidenceClaim(
        level=Level.ATTESTED if facts.record is None else Level.PROVEN,
        attestation=digest,
        model_id=attestation.predicate.circuit.claimed_model_id,
        record=facts.record,
    )
    return evidence, attestation.statement.output_digest


def _prompt(text: str, facts: Facts) -> PromptClaim:
    commitment = prompt_commitment(text, facts.salt)
    if not facts.show_prompt:
        return PromptClaim(commitment=commitment)
    return PromptClaim(commitment=commitment, salt=facts.salt.hex(), text=text)


def prompt_commitment(text: str, salt: bytes) -> str:
    """SHA-256 of the salt and the text, as hex; without the salt nobody can try out likely prompts."""
    return hashlib.sha256(salt + text.encode()).hexdigest()
