"""A transparency log in memory, written from the definitions of RFC 6962, not from the verifier's algorithm."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from zkinfer.verifier.transparency import FORMAT, LogProof, entry_for


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def tree_hash(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return leaf(entries[0])
    half = split(len(entries))
    return hashlib.sha256(b"\x01" + tree_hash(entries[:half]) + tree_hash(entries[half:])).digest()


def path_of(index: int, entries: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1."""
    if len(entries) <= 1:
        return []
    half = split(len(entries))
    if index < half:
        return [*path_of(index, entries[:half]), tree_hash(entries[half:])]
    return [*path_of(index - half, entries[half:]), tree_hash(entries[:half])]


def consistency_of(old: int, entries: list[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 9162, 2.1.4.1; for `old` of 0 empty, as every tree begins with the empty one."""
    if old == len(entries):
        return [] if whole else [tree_hash(entries)]
    if old == 0:
        return []
    half = split(len(entries))
    if old <= half:
        return [*consistency_of(old, entries[:half], whole=whole), tree_hash(entries[half:])]
    return [*consistency_of(old - half, entries[half:], whole=False), tree_hash(entries[:half])]


def split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def note(body: str, key, name: str) -> str:
    """A note with one signature, as https://c2sp.org/signed-note."""
    signature = key.sign(body.encode())
    if key.public.algorithm == "ed25519":
        key_id = hashlib.sha256(name.encode() + b"\n\x01" + key.public.der[-32:]).digest()[:4]
    else:
        key_id = hashlib.sha256(key.public.der).digest()[:4]
        r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:]))
        signature = encode_dss_signature(r, s)
    return f"{body}\n\N{EM DASH} {name} {text(key_id + signature)}\n"


def checkpoint_text(entries: list[bytes], key, origin: str) -> str:
    return note(f"{origin}\n{len(entries)}\n{text(tree_hash(entries))}\n", key, origin)


def proof_text(entries: list[bytes], index: int, key, origin: str) -> str:
    lines = [FORMAT, f"index {index}", *map(text, path_of(index, entries))]
    return "\n".join(lines) + "\n\n" + checkpoint_text(entries, key, origin)


def consistency_text(old: int, entries: list[bytes], key, origin: str) -> str:
    """The body of an add-checkpoint request of https://c2sp.org/tlog-witness."""
    lines = [f"old {old}", *map(text, consistency_of(old, entries))]
    return "\n".join(lines) + "\n\n" + checkpoint_text(entries, key, origin)


def entries_with(digest, index: int = 3, size: int = 7) -> list[bytes]:
    entries = [b"entry %d" % number for number in range(size)]
    entries[index] = entry_for(digest)
    return entries


def proof_of(digest, key, origin: str, index: int = 3, size: int = 7) -> LogProof:
    return LogProof.from_bytes(proof_text(entries_with(digest, index, size), index, key, origin).encode())
