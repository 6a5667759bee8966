"""Proofs that a transparency log holds an attestation.

A log entry is one line of ASCII that names the attestation by its digest, `entry_for`. A proof is a file in the format
https://c2sp.org/tlog-proof: the entry's index, the Merkle path, and a checkpoint that the log has signed. It is checked
offline:

 1. the checkpoint (https://c2sp.org/tlog-checkpoint) is a note signed by a trusted log with its origin as name
 2. the path leads from the entry's leaf hash to the checkpoint's root hash (RFC 6962, 2.1.1, the same as RFC 9162,
    2.1.3.2)

The trees are SHA-256; notes are signed with Ed25519, or ECDSA on P-256 (https://c2sp.org/signed-note). Signatures of
others on a checkpoint, such as those of witnesses, are ignored.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from zkinfer.circuits.storage import read_file
from zkinfer.verifier.errors import KeyFileError, MalformedAttestationError, NotLoggedError, SignatureError
from zkinfer.verifier.signing import PublicKey, normalised_signature
from zkinfer.verifier.statement import from_base64

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zkinfer.circuits.digest import Digest

FORMAT: Final = "c2sp.org/tlog-proof@v1"
MAX_BYTES: Final = 1 << 16
MAX_PATH: Final = 64
_HASH_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4
_ED25519: Final = b"\x01"
_DER: Final = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
_ALTERED: Final = "Ask for a new proof: it was altered, or belongs to another attestation or log."


def entry_for(attestation: Digest) -> bytes:
    """The content of the log entry for an attestation: `zkinfer-attestation/1 sha256:<64 hex digits>`."""
    return f"zkinfer-attestation/1 {attestation}".encode()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's statement of its size and root hash, with signatures that are not verified.

    Args:
        text: the signed text, with its final newline.
        origin: the name of the log.
        size: the number of entries.
        root_hash: of the tree of these entries.
        signatures: the name of each signer, and the key id of 4 bytes with the signature.
    """

    text: str
    origin: str
    size: int
    root_hash: bytes
    signatures: tuple[tuple[str, bytes], ...]

    @classmethod
    def parse(cls, note: str) -> Self:
        """Parse a signed note; raises NotLoggedError."""
        text, separator, rest = note.rpartition("\n\n")
        lines = text.split("\n")
        if not separator or not rest.endswith("\n") or len(lines) < 3 or not lines[0]:
            raise malformed("the checkpoint is not a signed note")
        if any(ord(character) < 0x20 and character != "\n" for character in note):
            raise malformed("the checkpoint has a control character")
        size, root_hash = number(lines[1]), _decoded(lines[2], "root hash")
        if len(root_hash) != _HASH_BYTES:
            raise malformed("the root hash has not 32 bytes")
        return cls(text + "\n", lines[0], size, root_hash, tuple(map(_signature, rest[:-1].split("\n"))))

    def require_signature(self, key: PublicKey) -> None:
        """Raise NotLoggedError unless the log signed it with this key."""
        key_id = note_key_id(self.origin, key)
        found = [data[4:] for name, data in self.signatures if name == self.origin and data[:4] == key_id]
        if not found:
            raise NotLoggedError(f"The checkpoint is not signed by the trusted key of the log {self.origin}.", _ALTERED)
        try:
            for signature in found:
                key.verify(self.text.encode(), _raw(signature, key))
        except SignatureError as err:
            raise NotLoggedError(f"The signature of the log {self.origin} is wrong.", _ALTERED) from err


@dataclass(frozen=True, slots=True)
class LogProof:
    """A claim that a log holds an entry.

    Args:
        index: of the entry, from 0.
        path: the hashes beside the path from leaf to root, from the leaf upwards.
        checkpoint: of the tree.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a proof file; raises NotLoggedError."""
        head, separator, note = decoded_text(data).partition("\n\n")
        first, *lines = head.split("\n")
        if first != FORMAT or not separator:
            raise malformed(f"it does not begin with {FORMAT}, or has no checkpoint")
        if lines and lines[0].startswith("extra "):  # not authenticated, and not used
            del lines[0]
        if not lines or not lines[0].startswith("index "):
            raise malformed("it has no index")
        index = number(lines[0].removeprefix("index "))
        return cls(index, decoded_hashes(lines[1:]), Checkpoint.parse(note))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a proof file; raises InputError if it cannot be read, and as `from_bytes`."""
        return cls.from_bytes(read_file(path, max_bytes=MAX_BYTES))


def require_logged(attestation: Digest, proof: LogProof, logs: Mapping[str, PublicKey]) -> None:
    """Raise NotLoggedError unless the proof shows that one of these logs holds the attestation.

    Args:
        attestation: the digest of the attestation file.
        proof: the claim.
        logs: the keys of trusted logs, by origin.
    """
    checkpoint = proof.checkpoint
    if checkpoint.origin not in logs:
        raise NotLoggedError(
            f"The log {checkpoint.origin[:128]!r} is not trusted; trusted are: {', '.join(sorted(logs)) or 'none'}."
        )
    checkpoint.require_signature(logs[checkpoint.origin])
    if root_of(leaf_hash(entry_for(attestation)), proof.index, checkpoint.size, proof.path) != checkpoint.root_hash:
        raise NotLoggedError(f"The proof does not lead from {attestation} to the log's root hash.", _ALTERED)


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaf: bytes, index: int, size: int, path: tuple[bytes, ...]) -> bytes:
    """The root hash that a path leads to, by the algorithm of RFC 9162, 2.1.3.2.

    Raises:
        NotLoggedError: the tree has no such entry, or the path has another length than the entry's.
    """
    if not 0 <= index < size:
        raise NotLoggedError(f"The log has {size} entries, so none of them is number {index}.", _ALTERED)
    place, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise NotLoggedError("The proof is longer than the path to the entry.", _ALTERED)
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise NotLoggedError("The proof is shorter than the path to the entry.", _ALTERED)
    return found


def note_key_id(name: str, key: PublicKey) -> bytes:
    """The 4 bytes that name a key in a signed note; for ECDSA the digest of its SubjectPublicKeyInfo."""
    if key.algorithm == "ed25519":
        return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key.raw).digest()[:4]
    return hashlib.sha256(key.der).digest()[:4]


def parse_log_key(text: str) -> tuple[str, PublicKey]:
    """The origin and the Ed25519 key of a log, from a verifier key of c2sp.org/signed-note.

    Args:
        text: `<origin>+<key id in hex>+<base64>`, as logs publish it.

    Raises:
        KeyFileError: another form, another kind of key, or a key id that does not belong to it.
    """
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        data = from_base64(encoded, "key")
        key = PublicKey(ed25519.Ed25519PublicKey.from_public_bytes(data[1:]).public_bytes(*_DER))
    except (MalformedAttestationError, ValueError) as err:
        raise _no_log_key(text) from err
    if not name or data[:1] != _ED25519 or note_key_id(name, key).hex() != key_id:
        raise _no_log_key(text)
    return name, key


def _no_log_key(text: str) -> KeyFileError:
    return KeyFileError(
        f"{text[:160]!r} is not the key of a log.",
        "Write it as its operator does: ORIGIN+8 HEX DIGITS+BASE64, Ed25519.",
    )


def _raw(signature: bytes, key: PublicKey) -> bytes:
    """A note's signature in the form of `PublicKey.verify`: notes hold ECDSA as DER, with either s."""
    if key.algorithm == "ed25519":
        return signature
    try:
        return normalised_signature(*decode_dss_signature(signature))
    except (ValueError, OverflowError) as err:
        raise SignatureError("The signature is not ECDSA in DER.") from err


def _signature(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\N{EM DASH}" or not parts[1]:
        raise malformed("a signature line of the checkpoint is malformed")
    data = _decoded(parts[2], "signature")
    if len(data) <= _KEY_ID_BYTES:
        raise malformed("a signature line of the checkpoint has no signature")
    return parts[1], data


def decoded_text(data: bytes) -> str:
    """The text of a file; raises NotLoggedError if it is too large or not UTF-8."""
    if len(data) > MAX_BYTES:
        raise malformed(f"it exceeds {MAX_BYTES:,} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as err:
        raise malformed("it is not text in UTF-8") from err


def decoded_hashes(lines: list[str]) -> tuple[bytes, ...]:
    """The hashes of a path in base64; raises NotLoggedError if one is malformed, or there are too many."""
    path = tuple(_decoded(line, "hash") for line in lines)
    if len(path) > MAX_PATH or any(len(one) != _HASH_BYTES for one in path):
        raise malformed("its path is too long, or a hash has not 32 bytes")
    return path


def number(text: str) -> int:
    """A number in decimal without leading zeros; raises NotLoggedError for anything else."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and (text == "0" or text[0] != "0")):
        raise malformed("a number is not in decimal without leading zeros")
    return int(text)


def _decoded(text: str, what: str) -> bytes:
    try:
        return from_base64(text, what)
    except MalformedAttestationError as err:
        raise malformed(f"a {what} is not canonical base64") from err


def malformed(why: str) -> NotLoggedError:
    """The error about a file that is no proof or checkpoint."""
    return NotLoggedError(
        f"The log proof is malformed: {why}.",
        f"A proof must be in the format {FORMAT}, a checkpoint or proof of consistency as c2sp.org describes them.",
    )
