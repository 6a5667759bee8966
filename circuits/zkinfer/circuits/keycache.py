"""Cache of proving keys, outside the circuit folders: keys are large and can be regenerated.

A key is stored under the digest of its circuit, and only after this user compiled the circuit or rebuilt it from its
ONNX file with an identical result. A cached key therefore also vouches for the folder: a foreign folder could otherwise
hold the program of another model, which publishes values that the manifest calls private.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.build import assemble_again
from zkinfer.circuits.digest import sha256, sha256_file
from zkinfer.circuits.errors import CircuitError, InputError
from zkinfer.circuits.manifest import MODEL
from zkinfer.circuits.storage import ensure_private_dir, private_directory, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.circuits.srs import TrustedSetup

    _FileMark = tuple[int, ...]


def key_path(engine: Engine, path: Path) -> Path | None:
    """The path as that of a proving key; None if the engine needs no proving key."""
    return path if engine.needs_proving_key else None


def keep_proving_key(made: Path | None, circuit: Digest, cache: Path) -> Path:
    """Move a fresh proving key into the cache; atomic, so that a reader never sees a part of one.

    For an engine without proving keys an empty file is kept, which vouches for the folder as a key does.
    """
    kept = ensure_private_dir(cache) / circuit.hex
    if made is None:
        write_atomically(kept, b"", mode=0o600)  # also over a damaged file, which would otherwise be rebuilt every time
        return kept
    made.chmod(0o600)
    return made.replace(kept)


def proving_key_for(circuit: Circuit, engine: Engine, setup: TrustedSetup, cache: Path) -> Path:
    """The file in the cache that vouches for the circuit: its proving key, where the engine needs one.

    Args:
        circuit: an opened circuit.
        engine: the engine named in its recipe.
        setup: a trusted setup of the ceremony named in its recipe.
        cache: the user's directory of keys.

    Raises:
        CircuitError: a rebuild from its own ONNX file and recipe gives another circuit or other keys.
    """
    kept = ensure_private_dir(cache) / circuit.digest.hex
    if kept.is_file() and str(sha256_file(kept)) == _digest_of_kept(circuit):
        return kept
    with private_directory(cache) as scratch:
        return keep_proving_key(_make_again(circuit, engine, setup, scratch), circuit.digest, cache)


def _digest_of_kept(circuit: Circuit) -> str:
    return circuit.manifest.keys.proving_key or str(sha256(b""))


class KeyRing:
    """Proving keys that this process has verified: each is hashed once, and again if its file changes."""

    def __init__(self) -> None:
        self._checked: dict[tuple[Path, Digest], _FileMark] = {}

    def key_for(self, circuit: Circuit, engine: Engine, setup: TrustedSetup, cache: Path) -> Path:
        """As `proving_key_for`."""
        name = (cache, circuit.digest)
        kept = cache / circuit.digest.hex
        if name in self._checked and _mark(ensure_private_dir(cache) / kept.name) == self._checked[name]:
            return kept
        found = proving_key_for(circuit, engine, setup, cache)
        self._checked[name] = _mark(found)
        return found

    def warm(self, circuit: Circuit, cache: Path, beat: Callable[[], object]) -> bool:
        """Verify a cached key in advance, for `key_for`, and load it into the page cache.

        Args:
            circuit: an opened circuit.
            cache: the user's directory of keys; must not be writable by others.
            beat: called many times a second meanwhile.

        Returns:
            Whether the cache holds the right key. A missing key is not generated.
        """
        try:
            kept = ensure_private_dir(cache) / circuit.digest.hex
            before = _mark(kept)
            right = str(sha256_file(kept, beat)) == _digest_of_kept(circuit)
        except (InputError, OSError):  # missing, unreadable or untrusted: `key_for` reports the reason
            return False
        if right:
            self._checked[(cache, circuit.digest)] = before
        return right


def _mark(path: Path) -> _FileMark:
    """File attributes that change when the file is modified or replaced."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _make_again(circuit: Circuit, engine: Engine, setup: TrustedSetup, scratch: Path) -> Path | None:
    """The proving key that the folder's own ONNX file and recipe give, or None where the engine needs none."""
    manifest, folder = circuit.manifest, scratch / "program"
    key = key_path(engine, scratch / "key")
    folder.mkdir()
    made = assemble_again(circuit.folder / MODEL, folder, manifest.recipe, engine=engine, setup=setup, proving_key=key)
    files = {path.name: str(sha256_file(path)) for path in folder.iterdir()}
    claimed = {name: digest for name, digest in manifest.files.items() if name != MODEL}
    same = made.identity == manifest.identity and made.program == manifest.program and files == claimed
    if not same or (None if key is None else str(made.keys.proving_key)) != manifest.keys.proving_key:
        raise CircuitError(
            f"{circuit.folder} differs from a rebuild from its own ONNX file and recipe.",
            "It was made with another version, or forged: compile the model again.",
        )
    return key
