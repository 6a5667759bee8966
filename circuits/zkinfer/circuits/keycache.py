"""Proving keys, kept by digest outside the circuit folder: they are large, and can be made again from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.digest import Digest, sha256_file
from zkinfer.circuits.errors import CircuitError
from zkinfer.circuits.scratch import private_directory

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.circuits.circuit import Circuit
    from zkinfer.circuits.engines.base import Engine


def keep_proving_key(made: Path, digest: Digest, cache: Path) -> Path:
    """Move a fresh proving key into the cache; atomic, so that a reader never sees a part of one."""
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = cache / digest.hex
    made.chmod(0o600)
    return made.replace(kept)


def proving_key_for(circuit: Circuit, engine: Engine, setup: Path, cache: Path) -> Path:
    """The circuit's proving key, from the cache or generated again.

    Args:
        circuit: an opened circuit.
        engine: the engine that its recipe names.
        setup: a trusted setup of the ceremony that its recipe names.
        cache: the user's directory of keys.

    Raises:
        CircuitError: the engine now generates other keys than the manifest names.
    """
    wanted = Digest.parse(circuit.manifest.keys.proving_key)
    kept = cache / wanted.hex
    if kept.is_file() and sha256_file(kept) == wanted:
        return kept
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    with private_directory(cache) as scratch:
        program = scratch / "program"
        program.mkdir()
        for name in circuit.manifest.files:
            (program / name).write_bytes((circuit.folder / name).read_bytes())
        keys = engine.make_keys(program, setup, scratch / "key")
        if keys.proving_key != wanted:
            raise CircuitError(
                "Key generation gave another proving key than the circuit's manifest names.",
                "The circuit was made with another version of the engine: compile the model again.",
            )
        return keep_proving_key(scratch / "key", wanted, cache)
