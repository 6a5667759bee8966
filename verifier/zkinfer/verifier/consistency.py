"""Whether two checkpoints of a transparency log are views of one log, which only ever grows.

A log that shows different entries to different readers has a *split view*. An auditor who has a checkpoint from
elsewhere, such as from another auditor or a witness, notices it: two checkpoints of the same size must have the same
root hash, and of two sizes the larger tree must begin with the smaller one. The latter needs a consistency proof
(RFC 9162, 2.1.4), in a file as a log sends it to its witnesses (https://c2sp.org/tlog-witness, add-checkpoint):
`old <size>`, a hash per line, an empty line, and the newer checkpoint.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from zkinfer.circuits.storage import read_file
from zkinfer.verifier.errors import NotLoggedError
from zkinfer.verifier.transparency import (
    MAX_BYTES,
    Checkpoint,
    decoded_hashes,
    decoded_text,
    malformed,
    node_hash,
    number,
)

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.verifier.signing import PublicKey

EMPTY_ROOT: Final = hashlib.sha256().digest()
"""The root hash of a log without entries (RFC 9162, 2.1.1)."""
_INCONSISTENT: Final = (
    "Ask for a new consistency proof; if it fails again, the log has a split view: do not rely on it."
)


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """A claim that a tree begins with a smaller one.

    Args:
        old_size: of the smaller tree.
        path: the hashes from which both root hashes follow.
        newer: the checkpoint of the larger tree.
    """

    old_size: int
    path: tuple[bytes, ...]
    newer: Checkpoint

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse the body of an add-checkpoint request; raises NotLoggedError."""
        head, separator, note = decoded_text(data).partition("\n\n")
        first, *lines = head.split("\n")
        if not first.startswith("old ") or not separator:
            raise malformed("the consistency proof does not begin with `old SIZE`, or has no checkpoint")
        return cls(number(first.removeprefix("old ")), decoded_hashes(lines), Checkpoint.parse(note))


@dataclass(frozen=True, slots=True)
class KnownCheckpoint:
    """A checkpoint that the auditor has from elsewhere, and the proof for a log that has grown since, or before.

    Args:
        checkpoint: whose signature is not verified yet.
        proof: of consistency with the checkpoint that it is compared with; None if that has the same size.
    """

    checkpoint: Checkpoint
    proof: ConsistencyProof | None = None

    @classmethod
    def read(cls, checkpoint: Path, proof: Path | None = None) -> Self:
        """Read the files; raises InputError if one cannot be read, NotLoggedError if it is malformed."""
        known = Checkpoint.parse(decoded_text(read_file(checkpoint, max_bytes=MAX_BYTES)))
        return cls(known, None if proof is None else ConsistencyProof.from_bytes(read_file(proof, max_bytes=MAX_BYTES)))

    def require_same_log(self, other: Checkpoint, key: PublicKey) -> None:
        """Raise NotLoggedError unless both checkpoints are views of one log.

        Args:
            other: a checkpoint whose signature was verified with `key`.
            key: of the log.
        """
        if self.checkpoint.origin != other.origin:
            raise NotLoggedError(
                f"The known checkpoint is of the log {self.checkpoint.origin[:128]!r}, not {other.origin!r}.",
                "Give a checkpoint of the log that holds the attestation.",
            )
        self.checkpoint.require_signature(key)
        older, newer = sorted((self.checkpoint, other), key=lambda one: one.size)
        if older.size == newer.size:
            return _require_same_root(older, newer)
        if self.proof is None:
            raise NotLoggedError(
                f"The checkpoints have {older.size} and {newer.size} entries, and no proof that they are consistent.",
                "Give its file with --log-consistency.",
            )
        if (self.proof.old_size, self.proof.newer.text) != (older.size, newer.text):
            raise NotLoggedError("The consistency proof is of other checkpoints.", _INCONSISTENT)
        return require_consistent(older, newer, self.proof.path)


def _require_same_root(one: Checkpoint, other: Checkpoint) -> None:
    if one.root_hash != other.root_hash:
        raise NotLoggedError(
            f"The log {one.origin} has signed two different trees of {one.size} entries: it has a split view.",
            "Do not rely on it, and publish both checkpoints: together they convict it.",
        )


def require_consistent(older: Checkpoint, newer: Checkpoint, path: tuple[bytes, ...]) -> None:
    """Raise NotLoggedError unless a path shows that the newer tree begins with the older (RFC 9162, 2.1.4.2).

    Every tree begins with the empty one, which needs the empty path.
    """
    if not older.size < newer.size:
        raise NotLoggedError(f"A tree of {newer.size} entries does not continue one of {older.size}.", _INCONSISTENT)
    if older.size == 0:
        consistent = not path and older.root_hash == EMPTY_ROOT
    else:
        consistent = _roots_of(older, newer, path) == (older.root_hash, newer.root_hash)
    if not consistent:
        raise NotLoggedError(
            f"The log's tree of {newer.size} entries does not begin with that of {older.size}.", _INCONSISTENT
        )


def _roots_of(older: Checkpoint, newer: Checkpoint, path: tuple[bytes, ...]) -> tuple[bytes, bytes] | None:
    """Both root hashes that follow from a path; None if it has another length than it must have."""
    if not path:
        return None
    if older.size & (older.size - 1) == 0:
        path = (older.root_hash, *path)
    fn, sn = older.size - 1, newer.size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = node_hash(new, sibling)
        fn, sn = fn >> 1, sn >> 1
    return (old, new) if sn == 0 else None
