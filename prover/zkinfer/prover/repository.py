"""The models that are served: circuits in a folder of the operator's, as `NAME/VERSION/`.

The folder may change at any time: `reload` finds out what came, went or changed. A circuit counts only when every
file has the digest that its manifest says, so one that is still being copied is reported as broken and served from the
reload after the last byte. A circuit that cannot be served never stops the others.
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

from zkinfer.circuits.circuit import MANIFEST, Circuit
from zkinfer.circuits.engines import production_engines
from zkinfer.circuits.errors import CircuitError, InputError, SetupError, why
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


class ModelState(StrEnum):
    """Whether a version of a model answers; the words are those of the Open Inference Protocol."""

    READY = "READY"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version that is ready: its circuit was checked file by file, and engine, setup and proving key are here."""

    name: str
    version: str
    circuit: Circuit
    engine: Engine
    digest: Digest
    model_id: str


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One version as it is listed. `reason` may be told to anybody; `detail` names files of this machine."""

    name: str
    version: str
    state: ModelState
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Place:
    """What was found at one place, and what the files looked like then."""

    entry: IndexEntry
    signature: Signature = ()
    opened: Circuit | None = None
    model: ModelVersion | None = None
    checked_at: float | None = None

    @property
    def order(self) -> tuple[str, int, str]:
        """By name, then by number."""
        version = self.entry.version
        return self.entry.name, int(version) if version.isdecimal() else 0, version


class ModelRepository:
    """A folder of circuits. Threads may share it; `reload` is the one call that reads the folder.

    Args:
        root: holds `NAME/VERSION/`, where VERSION is a positive integer. Names that begin with a dot are left alone.
        home: where the trusted setups and proving keys are.
        engines: proving systems by id; the default is those whose proofs mean something.
        clock: seconds that only go forward.
        beat: called before each version is looked at, for whoever must show signs of life meanwhile.

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
        beat: Callable[[], object] = lambda: None,
    ) -> None:
        self.root = root
        self._home = home
        self._engines = production_engines() if engines is None else engines
        self._clock = clock
        self._beat = beat
        self._reloading = threading.Lock()
        self._places: dict[tuple[str, str], _Place] = {}
        self.reload()

    def reload(self) -> bool:
        """Look at the folder again; whether anything is another than before.

        Files whose size, times and inode are as before are not read again. Where a proving key or a setup is missing,
        it is looked for again after half a minute.

        Raises:
            RepositoryError: the folder cannot be read; everything stays as it was.
        """
        with self._reloading:
            found = {(name, version): self._place(name, version) for name, version in self._listed()}
            before, self._places = self._places, dict(sorted(found.items(), key=lambda item: item[1].order))
            return _seen(before) != _seen(self._places)

    def index(self) -> tuple[IndexEntry, ...]:
        """Everything that was found, by name and version."""
        return tuple(place.entry for place in self._places.values())

    def versions(self, name: str) -> tuple[ModelVersion, ...]:
        """The versions of a model that are ready, oldest first; none where there is no such model."""
        places = self._places.values()
        return tuple(place.model for place in places if place.entry.name == name and place.model is not None)

    def find(self, name: str, version: str = "") -> ModelVersion:
        """A version of a model; the newest that is ready where none is named.

        Raises:
            ModelNotFoundError: there is none of this name.
            ModelUnavailableError: there is, and it cannot be served; the message says why.
        """
        places = self._places
        if version:
            place = places.get((name, version))
        else:
            of_name = [place for place in places.values() if place.entry.name == name]
            place = next((place for place in reversed(of_name) if place.model), of_name[-1] if of_name else None)
        if place is None:
            raise _not_found(name, version)
        if place.model is None:
            raise ModelUnavailableError(f"Model {_spelt(place.entry)} is not available: {place.entry.reason}")
        return place.model

    def _listed(self) -> Iterator[tuple[str, str]]:
        names = _subfolders(self.root)
        if names is None:
            raise RepositoryError(f"The folder of models {self.root} cannot be read.", "Make it, or check its rights.")
        for name in names:
            versions = _subfolders(self.root / name)
            if versions is None or _is_there(self.root / name / MANIFEST):  # a circuit, a level too high
                yield name, ""
            else:
                yield from ((name, version) for version in versions)

    def _place(self, name: str, version: str) -> _Place:
        self._beat()
        if _NAME.fullmatch(name) is None or _VERSION.fullmatch(version) is None:
            reason = "It is no readable folder NAME/VERSION, where VERSION is 1, 2, 3, ..."
            return _unavailable(_printable(name), _printable(version), reason)
        # A link may lead elsewhere by the time a session opens. `Path.resolve` breaks over one that leads in a circle.
        folder = Path(os.path.realpath(self.root / name / version))
        place, signature = self._places.get((name, version)), _signature(folder)
        if place is None or place.signature != signature:
            place = replace(_opened(name, version, folder), signature=signature)
        pausing = place.checked_at is not None and self._clock() - place.checked_at < _RETRY_SECONDS
        if place.opened is None or place.model is not None or pausing:
            return place
        return self._readied(place, place.opened)

    def _readied(self, place: _Place, circuit: Circuit) -> _Place:
        """With its model, where all that proving needs is here."""
        name, version, now = place.entry.name, place.entry.version, self._clock()
        reason, detail = self._obstacle(circuit)
        if reason:
            entry = IndexEntry(name, version, ModelState.UNAVAILABLE, reason, detail or reason)
            return replace(place, entry=entry, checked_at=now)
        engine = self._engines[circuit.manifest.recipe.engine]
        model = ModelVersion(name, version, circuit, engine, circuit.digest, circuit.model_id)
        return replace(place, entry=IndexEntry(name, version, ModelState.READY), model=model, checked_at=now)

    def _obstacle(self, circuit: Circuit) -> tuple[str, str]:
        """Why nothing could be proven with it, for anybody and for its operator; empty if all is here."""
        manifest = circuit.manifest
        if manifest.recipe.engine not in self._engines:
            return f"It was made for the engine {manifest.recipe.engine}, which is not installed here.", ""
        try:
            setup = self._home.setups.serving(manifest.program.log_rows, manifest.recipe.setup.ceremony)
        except (SetupError, InputError) as err:
            return "Its trusted setup cannot be used here.", str(err)
        if setup.identity["tauG2"] != manifest.recipe.setup.tau_g2:
            return "Its trusted setup is another than the one of that name.", ""
        key = self._home.keys / circuit.digest.hex  # its content is checked by whoever proves
        if not _is_there(key):
            how = f"{key} is missing: `zkinfer keys make {circuit.folder}` makes it."
            return "Its proving key is not here; `zkinfer keys make` makes it.", how
        return "", ""


def _seen(places: Mapping[tuple[str, str], _Place]) -> list[tuple[IndexEntry, Circuit | None]]:
    return [(place.entry, place.opened) for place in places.values()]


def _subfolders(folder: Path) -> list[str] | None:
    """With what cannot be looked at, so that it is reported; None where the folder itself cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and _may_be_folder(entry))
    except OSError:
        return None


def _may_be_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle, or into a folder that is closed
        return True


def _is_there(file: Path) -> bool:
    """Whether it can be reached; not where its folder is closed."""
    try:
        return stat.S_ISREG(file.stat().st_mode)
    except OSError:
        return False


def _signature(folder: Path) -> Signature:
    """What changes when a file does, without reading any."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    except OSError:  # it is just going, or cannot be read: opening it will say so
        return ()
    return tuple(sorted((name, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns) for name, at in found))


def _opened(name: str, version: str, folder: Path) -> _Place:
    try:
        circuit = Circuit.open(folder)
    except CircuitError as err:
        return _unavailable(name, version, str(err).replace(str(folder), f"{name}/{version}"), str(err))
    except OSError as err:  # a file went away while it was read
        return _unavailable(name, version, f"{name}/{version} cannot be read: {why(err)}.")
    return _Place(IndexEntry(name, version, ModelState.UNAVAILABLE), opened=circuit)


def _unavailable(name: str, version: str, reason: str, detail: str = "") -> _Place:
    return _Place(IndexEntry(name, version, ModelState.UNAVAILABLE, reason, detail or reason))


def _printable(name: str) -> str:
    """A name as it can be sent and shown, whatever bytes it has on the disk."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _spelt(entry: IndexEntry) -> str:
    return f"{entry.name!r} version {entry.version}" if entry.version else repr(entry.name)


def _not_found(name: str, version: str) -> ModelNotFoundError:
    what = f"a version {version[:20]!r} of the model {name[:80]!r}" if version else f"a model {name[:80]!r}"
    return ModelNotFoundError(f"There is not {what} here.", "RepositoryIndex lists what there is.")
