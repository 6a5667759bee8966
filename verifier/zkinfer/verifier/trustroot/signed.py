"""The file of a trust root: one signed version per line, oldest first.

Each line is a DSSE 1.0 envelope in canonical JSON, like an attestation's, but with any number of signatures, ordered by
key. Since the file holds its history, it suffices alone: an auditor who last saw version 3 follows it to the latest.
Nothing here verifies a signature; see `zkinfer.verifier.trustroot.rotation`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.recipe import Sha256
from zkinfer.circuits.storage import read_file
from zkinfer.verifier.errors import MalformedAttestationError, MalformedRootError, RefusedError
from zkinfer.verifier.statement import (
    from_base64,
    load_document,
    pre_authentication_encoding,
    read_document,
    to_base64,
    write_document,
)
from zkinfer.verifier.trustroot.document import MAX_ROOT_KEYS, TrustRoot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAYLOAD_TYPE: Final = "application/vnd.zkinfer.trust-root+json"
MAX_BYTES: Final = 1 << 22
MAX_VERSIONS: Final = 1024
_WHAT: Final = "trust root"


class _Signature(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    keyid: Sha256
    sig: Annotated[str, Field(max_length=256)]


class _Envelope(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    payload: str
    payload_type: Annotated[Literal["application/vnd.zkinfer.trust-root+json"], Field(alias="payloadType")]
    signatures: Annotated[tuple[_Signature, ...], Field(max_length=2 * MAX_ROOT_KEYS)]


@dataclass(frozen=True, slots=True)
class SignedRoot:
    """One version with its signatures, which are not verified.

    Args:
        root: the content.
        signatures: 64 bytes each, by the fingerprint of the key.
    """

    root: TrustRoot
    signatures: tuple[tuple[str, bytes], ...] = ()

    @property
    def payload(self) -> bytes:
        """The content as canonical JSON."""
        return write_document(self.root)

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that each signature covers."""
        return pre_authentication_encoding(PAYLOAD_TYPE, self.payload)

    @property
    def digest(self) -> Digest:
        """SHA-256 of the content, whoever has signed it."""
        return sha256(self.payload)

    def to_bytes(self) -> bytes:
        """Encode as one line of a file, without the final newline."""
        signatures = [{"keyid": keyid, "sig": to_base64(sig)} for keyid, sig in self.signatures]
        parts = {"payload": to_base64(self.payload), "payloadType": PAYLOAD_TYPE, "signatures": tuple(signatures)}
        return write_document(_Envelope.model_validate(parts))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode a line; raises MalformedRootError unless it is the canonical encoding."""
        with _malformed():
            load_document(data, what=_WHAT, max_bytes=MAX_BYTES)
            envelope = read_document(data, _Envelope, what=_WHAT)
            payload = from_base64(envelope.payload, "payload")
            load_document(payload, what=_WHAT, max_bytes=MAX_BYTES)
            root = read_document(payload, TrustRoot, what=_WHAT)
            signatures = tuple((one.keyid, from_base64(one.sig, "signature")) for one in envelope.signatures)
        keyids = [keyid for keyid, _ in signatures]
        if keyids != sorted(set(keyids)):
            raise MalformedRootError("The signatures of the trust root are not ordered by key, or one occurs twice.")
        return cls(root, signatures)


@contextmanager
def _malformed() -> Iterator[None]:
    try:
        yield
    except MalformedAttestationError as err:
        raise MalformedRootError(err.cause, err.cure) from err
    except RefusedError as err:  # a key or time in it
        raise MalformedRootError(f"The trust root is malformed: {err.cause}") from err


@dataclass(frozen=True, slots=True)
class RootFile:
    """All versions in a file, oldest first: at least one, of one name, without a gap. Signatures are not verified."""

    versions: tuple[SignedRoot, ...]

    def __post_init__(self) -> None:
        """Raise MalformedRootError if the versions are not a history."""
        if not 1 <= len(self.versions) <= MAX_VERSIONS:
            raise MalformedRootError(f"A trust root has 1 to {MAX_VERSIONS} versions, not {len(self.versions)}.")
        for one, following in pairwise(self.versions):
            _require_successor(one.root, following.root)
            _require_link(one, following.root)

    @property
    def current(self) -> SignedRoot:
        """The latest version."""
        return self.versions[-1]

    @property
    def name(self) -> str:
        """The publisher's name for this trust root."""
        return self.current.root.name

    def to_bytes(self) -> bytes:
        """The file's content."""
        return b"".join(signed.to_bytes() + b"\n" for signed in self.versions)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a file's content; raises MalformedRootError unless it is the canonical encoding."""
        if len(data) > MAX_BYTES:
            raise MalformedRootError(f"The trust root exceeds the limit of {MAX_BYTES:,} bytes.")
        *lines, rest = data.split(b"\n")
        if rest or not lines:
            raise MalformedRootError("The trust root is truncated, or not a trust root.", "Copy the file again.")
        return cls(tuple(SignedRoot.from_bytes(line) for line in lines[: MAX_VERSIONS + 1]))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; raises InputError if it cannot be read, and as `from_bytes`."""
        return cls.from_bytes(read_file(path, max_bytes=MAX_BYTES))


def _require_link(one: SignedRoot, following: TrustRoot) -> None:
    """Without it, anyone could put an invented version before a genuine one, for verifications as of that time."""
    if following.previous != str(one.digest):
        raise MalformedRootError(
            f"Version {following.version} follows another version {one.root.version} than the one in the file.",
            "One of the two is forged: ask the publisher of the trust root for its file again.",
        )


def _require_successor(one: TrustRoot, following: TrustRoot) -> None:
    """The rules between two versions that no signature can override."""
    if following.name != one.name:
        raise MalformedRootError(f"Version {following.version} has the name {following.name!r}, not {one.name!r}.")
    if following.version != one.version + 1:
        raise MalformedRootError(f"Version {one.version} is followed by version {following.version}.")
    if following.issued_at < one.issued_at:
        raise MalformedRootError(f"Version {following.version} was issued before version {one.version}.")
    if missing := [revoked for revoked in one.revocations if revoked not in following.revocations]:
        raise MalformedRootError(
            f"Version {following.version} drops or changes the revocation of {missing[0].kind} {missing[0].id}.",
            "Revocations are permanent: add a new key or circuit instead.",
        )
