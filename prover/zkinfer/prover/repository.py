"""The model repository: the served circuits, in a folder `NAME/VERSION/` that the operator maintains.

The folder may change at any time; `reload` detects additions, removals and changes. A circuit is served once every file
has the digest in its manifest, so a circuit that is still being copied is unavailable until a reload after the copy
is complete. A circuit that cannot be served does not affect the others.
"""

from __future__ import annotations

import os
import re
import stat
import threading
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from zkinfer.circuits.engines import production_engines
from zkinfer.circuits.errors import CircuitError, InputError, SetupError, why
from zkinfer.circuits.manifest import MANIFEST, Circuit
from zkinfer.prover.errors import ModelNotFoundError, ModelUnavailableError, RepositoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.home import Home

    Signature = tuple[tuple[str, int, int, int, int], ...]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_RETRY_SECONDS = 30.0


def is_model_name(text: str) -> bool:
    """Whether a model in a repository can have this name."""
    return _NAME.fullmatch(text) is not None


class ModelState(StrEnum):
    """Availability of a model version, in the terms of the Open Inference Protocol."""

    READY = "READY"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A ready version: every file of its circuit was checked, and engine, setup and proving key are available."""

    name: str
    version: str
    circuit: Circuit
    engine: Engine
    digest: Digest
    model_id: str

    @property
    def labels(self) -> tuple[str, ...]:
        """What users must know before they rely on its proofs; a circuit from elsewhere may leave out what it is."""
        return tuple(dict.fromkeys((*self.engine.labels, *self.circuit.manifest.labels)))


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One version in the index. `reason` is public; `detail` names files of this machine."""

    name: str
    version: str
    state: ModelState
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Record:
    """The content of one version folder, and the state of its files when it was read."""

    entry: IndexEntry
    signature: Signature = ()
    circuit: Circuit | None = None
    model: ModelVersion | None = None
    checked_at: float | None = None

    @property
    def order(self) -> tuple[str, int, str]:
        """Sort key: by name, then by number."""
        version = self.entry.version
        return self.entry.name, int(version) if version.isdecimal() else 0, version


class ModelRepository:
    """A folder of circuits; thread-safe. Only `reload` reads the folder.

    Args:
        root: holds `NAME/VERSION/`, where VERSION is a positive integer. Names that begin with a dot are ignored.
        home: holds trusted setups and proving keys.
        engines: proving systems by id; by default the production engines.
        clock: monotonic, in seconds.
        heartbeat: called before each version is read.

    Raises:
        RepositoryError: the folder cannot be read.
    """

    def __init__(
        self,
        root: Path,
        *,
        home: Home,
        engines: Mapping[str, Engine] | None = None,
        clock: Callable[[], float] = time.monotonic,
        heartbeat: Callable[[], object] = lambda: None,
    ) -> None:
        self.root = root
        self._home = home
        self._engines = production_engines() if engines is None else engines
        self._clock = clock
        self._heartbeat = heartbeat
        self._reloading = threading.Lock()
        self._records: dict[tuple[str, str], _Record] = {}
        self.reload()

    def reload(self) -> bool:
        """Read the folder again; returns whether anything changed.

        Files with unchanged size, times and inode are not read again. A missing proving key or setup is looked up again
        after half a minute.

        Raises:
            RepositoryError: the folder cannot be read; the index is unchanged.
        """
        with self._reloading:
            found = {(name, version): self._read_record(name, version) for name, version in self._list()}
            before, self._records = self._records, dict(sorted(found.items(), key=lambda item: item[1].order))
            return _comparable(before) != _comparable(self._records)

    def index(self) -> tuple[IndexEntry, ...]:
        """All versions, by name and version."""
        return tuple(record.entry for record in self._records.values())

    def versions(self, name: str) -> tuple[ModelVersion, ...]:
        """The ready versions of a model, oldest first; empty for an unknown model."""
        records = self._records.values()
        return tuple(record.model for record in records if record.entry.name == name and record.model is not None)

    def find(self, name: str, version: str = "") -> ModelVersion:
        """A version of a model, by default the newest ready one.

        Raises:
            ModelNotFoundError: there is no such model or version.
            ModelUnavailableError: the version cannot be served; the message says why.
        """
        records = self._records
        if version:
            record = records.get((name, version))
        else:
            of_name = [record for record in records.values() if record.entry.name == name]
            record = next((record for record in reversed(of_name) if record.model), of_name[-1] if of_name else None)
        if record is None:
            raise _not_found(name, version)
        if record.model is None:
            raise ModelUnavailableError(f"Model {_label(record.entry)} is not available: {record.entry.reason}")
        return record.model

    def _list(self) -> Iterator[tuple[str, str]]:
        names = _subfolders(self.root)
        if names is None:
            raise RepositoryError(
                f"The folder of models {self.root} cannot be read.", "Create it, or check its permissions."
            )
        for name in names:
            versions = _subfolders(self.root / name)
            if versions is None or _is_readable_file(self.root / name / MANIFEST):  # a circuit at the wrong level
                yield name, ""
            else:
                yield from ((name, version) for version in versions)

    def _read_record(self, name: str, version: str) -> _Record:
        self._heartbeat()
        if _NAME.fullmatch(name) is None or _VERSION.fullmatch(version) is None:
            reason = "It is not a readable folder NAME/VERSION, where VERSION is 1, 2, 3, ..."
            return _unavailable(_printable(name), _printable(version), reason)
        # A link may change before a session opens. `Path.resolve` fails on circular links.
        folder = Path(os.path.realpath(self.root / name / version))
        record, signature = self._records.get((name, version)), _signature(folder)
        if record is None or record.signature != signature:
            record = replace(_open(name, version, folder), signature=signature)
        checked_recently = record.checked_at is not None and self._clock() - record.checked_at < _RETRY_SECONDS
        if record.circuit is None or record.model is not None or checked_recently:
            return record
        return self._with_model(record, record.circuit)

    def _with_model(self, record: _Record, circuit: Circuit) -> _Record:
        """The record with its model, if engine, trusted setup and proving key are available."""
        name, version, now = record.entry.name, record.entry.version, self._clock()
        reason, detail = self._why_unavailable(circuit)
        if reason:
            entry = IndexEntry(name, version, ModelState.UNAVAILABLE, reason, detail or reason)
            return replace(record, entry=entry, checked_at=now)
        engine = self._engines[circuit.manifest.recipe.engine]
        model = ModelVersion(name, version, circuit, engine, circuit.digest, circuit.model_id)
        return replace(record, entry=IndexEntry(name, version, ModelState.READY), model=model, checked_at=now)

    def _why_unavailable(self, circuit: Circuit) -> tuple[str, str]:
        """Why the circuit cannot be proven, as a public reason and a detail for the operator; empty if it can."""
        manifest = circuit.manifest
        if manifest.recipe.engine not in self._engines:
            return f"It was made for the engine {manifest.recipe.engine}, which is not installed here.", ""
        try:
            setup = self._home.setups.find_or_generate(manifest.program.setup_size, manifest.recipe.setup.ceremony)
        except (SetupError, InputError) as err:
            return "Its trusted setup cannot be used here.", str(err)
        if setup.identity["tauG2"] != manifest.recipe.setup.tau_g2:
            return "Its trusted setup differs from the one of that name.", ""
        key = self._home.keys / circuit.digest.hex  # the prover checks its content
        if not _is_readable_file(key):
            detail = f"{key} is missing: `zkinfer keys make {circuit.folder}` generates it."
            if manifest.keys.proving_key is None:
                return "It was not rebuilt by the user who serves it; `zkinfer keys make` does that.", detail
            return "Its proving key is missing; `zkinfer keys make` generates it.", detail
        return "", ""


def _comparable(records: Mapping[tuple[str, str], _Record]) -> list[tuple[IndexEntry, Circuit | None]]:
    return [(record.entry, record.circuit) for record in records.values()]


def _subfolders(folder: Path) -> list[str] | None:
    """The subfolders, including unreadable entries, so that they are reported; None if the folder is unreadable."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and _may_be_folder(entry))
    except OSError:
        return None


def _may_be_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circular link, or one into an unreadable folder
        return True


def _is_readable_file(file: Path) -> bool:
    """Whether the file exists in a readable folder."""
    try:
        return stat.S_ISREG(file.stat().st_mode)
    except OSError:
        return False


def _signature(folder: Path) -> Signature:
    """File attributes that change with the content; no file is read."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    except OSError:  # it is being removed or is unreadable: opening it reports the error
        return ()
    return tuple(sorted((name, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns) for name, at in found))


def _open(name: str, version: str, folder: Path) -> _Record:
    try:
        circuit = Circuit.open(folder)
    except CircuitError as err:
        return _unavailable(name, version, str(err).replace(str(folder), f"{name}/{version}"), str(err))
    except OSError as err:  # a file was removed while it was read
        return _unavailable(name, version, f"{name}/{version} cannot be read: {why(err)}.")
    return _Record(IndexEntry(name, version, ModelState.UNAVAILABLE), circuit=circuit)


def _unavailable(name: str, version: str, reason: str, detail: str = "") -> _Record:
    return _Record(IndexEntry(name, version, ModelState.UNAVAILABLE, reason, detail or reason))


def _printable(name: str) -> str:
    """A printable form of a name, which may have any bytes on the disk."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _label(entry: IndexEntry) -> str:
    return f"{entry.name!r} version {entry.version}" if entry.version else repr(entry.name)


def _not_found(name: str, version: str) -> ModelNotFoundError:
    what = f"version {version[:20]!r} of the model {name[:80]!r}" if version else f"model {name[:80]!r}"
    return ModelNotFoundError(f"There is no {what}.", "RepositoryIndex lists the models.")
