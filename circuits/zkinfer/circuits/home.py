"""The user's data directory: trusted setups, proving and verifying keys, address books, trust roots, measured speeds.

Proving keys and speeds are caches of results that take long to make. Proving keys are kept outside the circuit folders,
because they are large and can be regenerated. A key is stored under the digest of its circuit, and only after this user
compiled the circuit or rebuilt it from its ONNX file with an identical result. A cached key therefore also vouches for
the folder: a foreign folder could otherwise hold the program of another model, which publishes values that the manifest
calls private.
"""

from __future__ import annotations

import os
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from zkinfer.circuits.build import assemble_from_recipe
from zkinfer.circuits.cost import Speed
from zkinfer.circuits.digest import sha256, sha256_file
from zkinfer.circuits.errors import CircuitError, EngineError, InputError, why
from zkinfer.circuits.manifest import MODEL
from zkinfer.circuits.recipe import INSECURE_DEV
from zkinfer.circuits.sandbox import resources
from zkinfer.circuits.srs import SetupStore
from zkinfer.circuits.storage import ensure_private_dir, private_directory, refuse_shared_file, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.engines.base import Engine, Progress
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.circuits.srs import TrustedSetup

    _FileStamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Home:
    """One directory of this user; all of it except `setups`, `deployments` and `trust` is a cache that may be deleted.

    A server whose user sets `ZKINFER_HOME` also keeps its jobs there by default, in `state`, which is no cache.
    `setup_search` lists further directories with trusted setups, which are only read.
    """

    root: Path
    setup_search: tuple[Path, ...] = ()

    @classmethod
    def from_environment(cls) -> Self:
        """`ZKINFER_HOME`, else `zkinfer` in the user's cache; `ZKINFER_SETUP_PATH` sets `setup_search`."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        root = Path(os.environ.get("ZKINFER_HOME") or Path(cache, "zkinfer"))
        search = os.environ.get("ZKINFER_SETUP_PATH", "").split(os.pathsep)
        return cls(root, tuple(Path(entry) for entry in search if entry))

    @property
    def setups(self) -> SetupStore:
        """Trusted setups."""
        return SetupStore(self.root / "setups", search=self.setup_search)

    @property
    def keys(self) -> Path:
        """Proving keys, by circuit digest."""
        return self.root / "keys"

    @property
    def speeds(self) -> Path:
        """Measured speed of this machine, by engine."""
        return self.root / "speeds"

    @property
    def deployments(self) -> Path:
        """Address books of deployments, by chain id."""
        return self.root / "deployments"

    @property
    def trust(self) -> Path:
        """Accepted trust roots, by name."""
        return self.root / "trust"

    @property
    def rebuilt(self) -> Path:
        """Circuits that verifiers rebuilt from ONNX files and recipes."""
        return self.root / "rebuilt"


def key_path(engine: Engine, path: Path) -> Path | None:
    """The path as that of a proving key; None if the engine needs no proving key."""
    return path if engine.needs_proving_key else None


def store_proving_key(new: Path | None, circuit: Digest, cache: Path) -> Path:
    """Move a new proving key into the cache atomically, so that a reader never sees a partial one.

    For an engine without proving keys an empty file is stored, which vouches for the folder as a key does.
    """
    stored = ensure_private_dir(cache) / circuit.hex
    if new is None:
        write_atomically(stored, b"", mode=0o600)  # replaces a damaged file, which would cause a rebuild every time
        return stored
    new.chmod(0o600)
    return new.replace(stored)


def proving_key_for(circuit: Circuit, engine: Engine, setup: TrustedSetup, cache: Path) -> Path:
    """The cached file that vouches for the circuit, regenerated if it is missing or damaged.

    It is the circuit's proving key, or an empty file if the engine needs none.

    Args:
        circuit: an opened circuit.
        engine: the engine named in its recipe.
        setup: a trusted setup of the ceremony named in its recipe.
        cache: the user's directory of keys.

    Raises:
        CircuitError: a rebuild from its own ONNX file and recipe gives a different circuit or different keys.
        InputError: other users can write to the cache or to the key.
    """
    stored = ensure_private_dir(cache) / circuit.digest.hex
    refuse_shared_file(stored)
    if stored.is_file() and str(sha256_file(stored)) == _expected_digest(circuit):
        return stored
    with private_directory(cache) as scratch:
        return store_proving_key(_regenerate(circuit, engine, setup, scratch), circuit.digest, cache)


def _expected_digest(circuit: Circuit) -> str:
    return circuit.manifest.keys.proving_key or str(sha256(b""))


class KeyRing:
    """Proving keys that this process has verified: each is hashed once, and again if its file changes."""

    def __init__(self) -> None:
        self._checked: dict[tuple[Path, Digest], _FileStamp] = {}

    def key_for(self, circuit: Circuit, engine: Engine, setup: TrustedSetup, cache: Path) -> Path:
        """As `proving_key_for`."""
        name = (cache, circuit.digest)
        stored = cache / circuit.digest.hex
        if name in self._checked and _stamp(ensure_private_dir(cache) / stored.name) == self._checked[name]:
            return stored
        found = proving_key_for(circuit, engine, setup, cache)
        self._checked[name] = _stamp(found)
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
            stored = ensure_private_dir(cache) / circuit.digest.hex
            refuse_shared_file(stored)
            before = _stamp(stored)
            matches = str(sha256_file(stored, beat)) == _expected_digest(circuit)
        except (InputError, OSError):  # missing, unreadable or untrusted: `key_for` reports the reason
            return False
        if matches:
            self._checked[(cache, circuit.digest)] = before
        return matches


def _stamp(path: Path) -> _FileStamp:
    """File attributes that change when the file is modified or replaced."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _regenerate(circuit: Circuit, engine: Engine, setup: TrustedSetup, scratch: Path) -> Path | None:
    """The proving key from the folder's own ONNX file and recipe, or None if the engine needs none."""
    manifest, folder = circuit.manifest, scratch / "program"
    key = key_path(engine, scratch / "key")
    folder.mkdir()
    assembly = assemble_from_recipe(
        circuit.folder / MODEL, folder, manifest.recipe, engine=engine, setup=setup, proving_key=key
    )
    files = {path.name: str(sha256_file(path)) for path in folder.iterdir()}
    claimed = {name: digest for name, digest in manifest.files.items() if name != MODEL}
    same = assembly.identity == manifest.identity and assembly.program == manifest.program and files == claimed
    if not same or (None if key is None else str(assembly.keys.proving_key)) != manifest.keys.proving_key:
        raise CircuitError(
            f"{circuit.folder} differs from a rebuild from its own ONNX file and recipe.",
            "It was made with a different version, or forged: compile the model again.",
        )
    return key


_SLOWEST = 1e6  # upper limit of every figure: seconds per unit of work (about 1), and units of work; excludes NaN too


class _SpeedRecord(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["zkinfer-speed/2"] = "zkinfer-speed/2"
    engine: str
    machine: str
    speed: Speed


def known_speed(engine: Engine, home: Home) -> Speed | None:
    """The stored speed of this engine on this machine; None if it was not measured or the record is not usable."""
    try:
        stored = _SpeedRecord.model_validate_json(_speed_path(engine, home).read_bytes())
    except (OSError, ValidationError):
        return None
    is_ours = (stored.engine, stored.machine) == (engine.id, resources.fingerprint())
    return stored.speed if is_ours and _is_plausible(stored.speed) else None


def _is_plausible(speed: Speed) -> bool:
    """Whether the figures are plausible: the file may have been edited."""
    return all(0 <= number < _SLOWEST for number in astuple(speed)) and 0 < speed.small <= speed.large


def measured_speed(engine: Engine, home: Home, progress: Progress | None = None) -> Speed:
    """Measure this machine, which takes some seconds, and store the result.

    Args:
        engine: the engine to measure.
        home: holds the development setup and the result.
        progress: called with the fraction done, from 0 to 1.

    Raises:
        SetupError: the development setup cannot be generated.
        EngineError: the engine failed, or returned implausible figures.
        InputError: the result cannot be stored.
    """
    speed = engine.measure_speed(
        lambda log_rows: home.setups.find_or_generate(log_rows, INSECURE_DEV).path, progress=progress
    )
    if not _is_plausible(speed):
        raise EngineError(
            f"Engine {engine.id} measured an impossible speed: {speed}.", "Run `zkinfer calibrate` again."
        )
    record, path = (
        _SpeedRecord(engine=engine.id, machine=resources.fingerprint(), speed=speed),
        _speed_path(engine, home),
    )
    try:
        write_atomically(path, record.model_dump_json(indent=2).encode())
    except OSError as err:
        raise InputError(f"{path} cannot be written: {why(err)}.") from err
    return speed


def _speed_path(engine: Engine, home: Home) -> Path:
    return ensure_private_dir(home.speeds) / f"{engine.id.replace('/', '-')}.json"
