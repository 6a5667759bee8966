"""Certificates: a signed statement about one file, `work.json`, and the verification of its form and signature.

The file is a DSSE 1.0 envelope in canonical JSON with one signature, as an attestation is. It can be read and verified
without the extra `works`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.storage import read_file, write_atomically
from zkinfer.verifier.errors import RefusedError
from zkinfer.verifier.signing import PublicKey
from zkinfer.verifier.statement import (
    Envelope,
    Signer,
    from_base64,
    load_document,
    pre_authentication_encoding,
    read_document,
    to_base64,
    write_document,
    write_time,
)
from zkinfer.works.errors import CertificateError
from zkinfer.works.statement import FileDigest, WorkPredicate, WorkStatement, WorkSubject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from zkinfer.verifier import signing

MAX_BYTES: Final = 1 << 20
_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_WHAT: Final = "certificate"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A well-formed certificate: an unverified claim. See `verified`."""

    envelope: Envelope
    statement: WorkStatement

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a certificate; raises CertificateError unless it is in its one canonical form."""
        with _malformed():
            if len(data) > MAX_BYTES:
                raise CertificateError(f"The certificate exceeds the limit of {MAX_BYTES:,} bytes.")
            envelope = Envelope.from_bytes(data)
            load_document(envelope.payload, what=_WHAT, max_bytes=MAX_BYTES)
            return cls(envelope, read_document(envelope.payload, WorkStatement, what=_WHAT))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; raises InputError if it cannot be read, or as `from_bytes`."""
        return cls.from_bytes(read_file(path, max_bytes=MAX_BYTES))

    def to_bytes(self) -> bytes:
        """The content of the file."""
        return self.envelope.to_bytes()

    def write(self, path: Path) -> None:
        """Write the file; raises InputError if it cannot be written."""
        write_atomically(path, self.to_bytes())

    @property
    def predicate(self) -> WorkPredicate:
        """What it says."""
        return self.statement.predicate

    @property
    def sha256(self) -> str:
        """The digest of the file that it is about, as hex."""
        return self.statement.subject[0].digest.sha256

    @property
    def name(self) -> str:
        """The name of the file when it was certified."""
        return self.statement.subject[0].name

    @property
    def digest(self) -> Digest:
        """SHA-256 of the certificate itself."""
        return sha256(self.to_bytes())

    def verified(self) -> PublicKey:
        """The key that signed it; raises CertificateError if the signature is invalid, or of another key."""
        with _malformed():
            key = PublicKey(from_base64(self.predicate.signer.public_key, "public key"))
            if key.algorithm != self.predicate.signer.algorithm or self.envelope.keyid != key.fingerprint:
                raise CertificateError("The certificate names another key than the one that it holds.")
            key.verify(self.envelope.signed_bytes, self.envelope.signature)
            return key

    def require_file(self, digest: str) -> None:
        """Return if it is about the file with this SHA-256; raise CertificateError if not."""
        if digest != self.sha256:
            raise CertificateError(
                f"The certificate is of a file with SHA-256 {self.sha256}, and this one has {digest}.",
                "Give the file that was certified: one that was saved again is another one.",
            )


def sign_certificate(
    facts: dict[str, Any], *, name: str, file: str, key: signing.Signer, created_at: datetime
) -> Certificate:
    """State facts about a file, and sign them.

    Args:
        facts: the fields of `WorkPredicate` but for `created_at` and `signer`.
        name: of the file.
        file: its SHA-256 as hex.
        key: signs.
        created_at: with a time zone; kept to the second.
    """
    predicate = stated_by(facts, key.public, created_at)
    subject = WorkSubject(name=name, digest=FileDigest(sha256=file))
    payload = write_document(statement := WorkStatement(subject=(subject,), predicate=predicate))
    signature = key.sign(pre_authentication_encoding(_PAYLOAD_TYPE, payload))
    return Certificate(Envelope(payload, key.public.fingerprint, signature), statement)


def stated_by(facts: dict[str, Any], key: PublicKey, created_at: datetime) -> WorkPredicate:
    """What a key's certificate of these facts says; arguments as `sign_certificate`."""
    signer = Signer(algorithm=key.algorithm, public_key=to_base64(key.der), ephemeral=False)
    return WorkPredicate(**facts, created_at=write_time(created_at), signer=signer)


@contextmanager
def _malformed() -> Iterator[None]:
    """The verifier's refusals of an envelope, as refusals of a certificate."""
    try:
        yield
    except RefusedError as err:
        raise CertificateError(err.cause.replace("attestation", _WHAT), err.cure.replace("attestation", _WHAT)) from err
