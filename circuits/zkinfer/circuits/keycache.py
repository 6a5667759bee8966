"""Proving keys, kept outside the circuit folder: they are large, and can be made again from it.

A key is kept under the digest of its circuit. It is there only if this user compiled that circuit, or rebuilt it from
its ONNX file and found it to be what it says; so a key in the cache also vouches for the folder. Without that, a
stranger's folder could hold a program of another model, which publishes what its manifest calls private.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.build import assemble_again
from zkinfer.circuits.circuit import MODEL
from zkinfer.circuits.digest import Digest, sha256_file
from zkinfer.circuits.errors import CircuitError, InputError
from zkinfer.circuits.storage import own_directory, private_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zkinfer.circuits.circuit import Circuit
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.srs import TrustedSetup

    _FileMark = tuple[int, ...]


def keep_proving_key(made: Path, circuit: Digest, cache: Path) -> Path:
    """Move a fresh proving key into the cache; atomic, so that a reader never sees a part of one."""
    made.chmod(0o600)
    return made.replace(own_directory(cache) / circuit.hex)


def proving_key_for(circuit: Circuit, engine: Engine, setup: TrustedSetup, cache: Path) -> Path:
    """The circuit's proving key, from the cache or generated again.

    Args:
        circuit: an opened circuit.
        engine: the engine that its recipe names.
        setup: a trusted setup of the ceremony that its recipe names.
        cache: the user's directory of keys.

    Raises:
        CircuitError: rebuilding it from its own ONNX file and recipe gives another circuit or other keys.
    """
    wanted = Digest.parse(circuit.manifest.keys.proving_key)
    kept = own_directory(cache) / circuit.digest.hex
    if kept.is_file() and sha256_file(kept) == wanted:
        return kept
    with private_directory(cache) as scratch:
        _make_again(circuit, engine, setup, scratch)
        return keep_proving_key(scratch / "key", circuit.digest, cache)


class KeyRing:
    """Proving keys that this process has checked: one of gigabytes is hashed once, and again if its file changed."""

    def __init__(self) -> None:
        self._checked: dict[tuple[Path, Digest], _FileMark] = {}

    def key_for(self, circuit: Circuit, engine: Engine, setup: TrustedSetup, cache: Path) -> Path:
        """As `proving_key_for`."""
        name = (cache, circuit.digest)
        kept = cache / circuit.digest.hex
        if name in self._checked and _mark(own_directory(cache) / kept.name) == self._checked[name]:
            return kept
        found = proving_key_for(circuit, engine, setup, cache)
        self._checked[name] = _mark(found)
        return found

    def warm(self, circuit: Circuit, cache: Path, beat: Callable[[], object]) -> bool:
        """Check the key that is in the cache, so that `key_for` need not; whether it is there and the right one.

        It is in the page cache then too. None is made, and none is right in a folder that others can write to.
        `beat` is called many times a second meanwhile.
        """
        try:
            kept = own_directory(cache) / circuit.digest.hex
            before = _mark(kept)
            right = str(sha256_file(kept, beat)) == circuit.manifest.keys.proving_key
        except (InputError, OSError):  # it is not there, cannot be read or trusted: whoever needs it is told
            return False
        if right:
            self._checked[(cache, circuit.digest)] = before
        return right


def _mark(path: Path) -> _FileMark:
    """What changes when somebody writes to a file or puts another in its place."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _make_again(circuit: Circuit, engine: Engine, setup: TrustedSetup, scratch: Path) -> None:
    manifest, folder = circuit.manifest, scratch / "program"
    folder.mkdir()
    made = assemble_again(
        circuit.folder / MODEL, folder, manifest.recipe, engine=engine, setup=setup, proving_key=scratch / "key"
    )
    files = {path.name: str(sha256_file(path)) for path in folder.iterdir()}
    claimed = {name: digest for name, digest in manifest.files.items() if name != MODEL}
    same = made.identity == manifest.identity and made.program == manifest.program and files == claimed
    if not same or str(made.keys.proving_key) != manifest.keys.proving_key:
        raise CircuitError(
            f"{circuit.folder} is not what its own ONNX file and recipe give.",
            "It was made with another version, or forged: compile the model again.",
        )
