"""Storage of trusted setups: the user's own folder, and further read-only folders."""

from __future__ import annotations

import fcntl
import hashlib
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.digest import Digest
from zkinfer.circuits.errors import InputError, SetupError
from zkinfer.circuits.srs import ceremonies
from zkinfer.circuits.srs.ceremonies import MAX_DEV_LOG_ROWS, Progress, TrustedSetup, generate_insecure_dev
from zkinfer.circuits.srs.check import hash_setup, identify_setup, peek_setup
from zkinfer.circuits.srs.file_format import require_k
from zkinfer.circuits.storage import (
    atomic_file,
    flush_to_disk,
    refuse_shared,
    refuse_shared_file,
    setup_write_errors,
    temporary_sibling,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NAME = re.compile(r"([a-z0-9-]+)-([1-9][0-9]?)\.srs")
_COPY_BYTES = 1 << 20

_Setups = list[TrustedSetup]  # inside the class below, `list` is the method


@dataclass(frozen=True, slots=True, order=True)
class _Candidate:
    """A file that may be a setup; sorts by size, then by preference of the ceremony, then the home folder first."""

    k: int
    rank: int
    foreign: bool
    path: Path
    ceremony: str


class SetupStore:
    """The setups of one user.

    A file in `home` is named `<ceremony>-<k>.srs`. Its digest is pinned in the ceremony's table, or recorded in
    `<ceremony>-<k>.srs.sha256` after the file passed the full check. Files are hashed again before each use; a damaged
    file is rejected but not removed. Folder, file and record are refused whenever other users can write to them.

    Args:
        home: created at the first write, readable by the user only.
        search: further folders; files in them with a pinned digest, under any name, are copied to `home` before use.
    """

    def __init__(self, home: Path, *, search: Sequence[Path] = ()) -> None:
        self.home = home
        self._search = tuple(search)

    def list(self) -> _Setups:
        """All setups in ascending size; raises SetupError or InputError as `find` for a file of the home folder."""
        found = (_open(candidate) for candidate in self._candidates())
        return [setup for setup in found if setup is not None]

    def find(self, k: int, ceremony: str | None = None) -> TrustedSetup:
        """The smallest setup for circuits of size 2^k; among equals, of the preferred ceremony.

        Args:
            k: log2 of the circuit's size.
            ceremony: restricts the search to this ceremony. None allows every one except `insecure-dev`.

        Raises:
            SetupError: there is no such setup, or it is damaged.
            InputError: other users can write to the home folder, or to the file or its record.
        """
        require_k(k)
        allowed = ceremonies.real_names() if ceremony is None else (ceremonies.by_name(ceremony).name,)
        for candidate in self._candidates():
            if candidate.k >= k and candidate.ceremony in allowed and (setup := _open(candidate)) is not None:
                return self._own_copy(setup) if candidate.foreign else setup
        raise _missing(k, ceremony)

    def find_or_generate(self, k: int, ceremony: str | None = None, progress: Progress | None = None) -> TrustedSetup:
        """As `find`, but generates a missing `insecure-dev` setup if that is requested by name."""
        if ceremony == ceremonies.INSECURE_DEV:
            return self.insecure_dev(k, progress)
        return self.find(k, ceremony)

    def max_size(self, ceremony: str | None = None) -> int:
        """log2 of the largest circuit that a stored setup serves; None allows every ceremony except `insecure-dev`.

        Raises:
            SetupError: there is none, or one is damaged.
        """
        if ceremony == ceremonies.INSECURE_DEV:
            return MAX_DEV_LOG_ROWS
        sizes = [one.k for one in self.list() if not one.is_insecure_dev and ceremony in (None, one.ceremony)]
        if not sizes:
            raise SetupError(
                "There is no trusted setup to compile with.",
                "Run `zkinfer setup fetch 15` or `zkinfer setup import FILE`; "
                "for experiments only, use --setup insecure-dev.",
            )
        return max(sizes)

    def stored(self, ceremony: str, k: int) -> TrustedSetup | None:
        """The home folder's file of exactly this ceremony and k, or None; raises SetupError if it is damaged."""
        path = self.path_for(ceremony, k)
        return _open_own(path, ceremonies.by_name(ceremony), k) if path.exists() else None

    def path_for(self, ceremony: str, k: int) -> Path:
        """The path of this setup in the home folder, whether or not the file exists."""
        return self.home / f"{ceremony}-{k}.srs"

    def add(self, path: Path, progress: Progress | None = None) -> TrustedSetup:
        """Check a file and copy it into the home folder; existing files are kept.

        Raises:
            SetupError: the file is rejected, changes while it is copied, or cannot be copied.
        """
        return self._own_copy(identify_setup(path, progress=progress))

    def _own_copy(self, found: TrustedSetup) -> TrustedSetup:
        """A copy in the home folder, which other users cannot replace between the check and the use."""
        target = self.path_for(found.ceremony, found.k)
        self._make_home()
        if not target.exists():
            with temporary_sibling(target) as scratch:
                _copy(found.path, scratch, found.sha256)
                _install(scratch, target, found)
        _record(target, found)
        return _open_own(target, ceremonies.by_name(found.ceremony), found.k)

    def adopt(self, path: Path, ceremony: str, k: int) -> TrustedSetup:
        """Check a file in the home folder that has a temporary name, and rename it.

        Raises:
            SetupError: the file is rejected, or is not of that ceremony and k; it is left in place.
        """
        found = identify_setup(path)
        if (found.ceremony, found.k) != (ceremony, k):
            raise SetupError(
                f"This is {found.ceremony} with k = {found.k}, not {ceremony} with k = {k}.",
                "The source serves the wrong file; use another one.",
            )
        target = self.path_for(ceremony, k)
        with setup_write_errors(target):
            _install(path, target, found)
        return TrustedSetup(ceremony, k, target, found.sha256, found.tau_g2)

    def insecure_dev(self, k: int, progress: Progress | None = None) -> TrustedSetup:
        """The `insecure-dev` setup of exactly 2^k powers, generated on first use.

        Raises:
            SetupError: k is out of range, the stored file is damaged, or it cannot be written.
        """
        require_k(k)
        dev = ceremonies.by_name(ceremonies.INSECURE_DEV)
        target = self.path_for(dev.name, k)
        if not target.exists():
            self._make_home()
            with temporary_sibling(target) as scratch:
                generate_insecure_dev(k, scratch, progress)
                _install(scratch, target, TrustedSetup(dev.name, k, scratch, hash_setup(scratch), dev.tau_g2))
        return _open_own(target, dev, k)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the exclusive lock for downloads into the home folder; blocks until it is free."""
        self._make_home()
        path = self.home / ".lock"
        with ExitStack() as held:
            with setup_write_errors(path):
                file = held.enter_context(path.open("wb"))
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _make_home(self) -> None:
        with setup_write_errors(self.home):
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_shared(self.home)

    def _candidates(self) -> Sequence[_Candidate]:
        return sorted([*_own(self.home), *(each for folder in self._search for each in _foreign(folder))])


def _own(home: Path) -> Iterator[_Candidate]:
    for path in _files(home):
        match = _NAME.fullmatch(path.name)
        if match is not None and (rank := ceremonies.rank(match[1])) is not None:
            yield _Candidate(int(match[2]), rank, False, path, match[1])


def _foreign(folder: Path) -> Iterator[_Candidate]:
    for path in _files(folder):
        claim = peek_setup(path)
        if claim is not None and (rank := ceremonies.rank(claim[0].name)) is not None:
            yield _Candidate(claim[1], rank, True, path, claim[0].name)


def _files(folder: Path) -> Sequence[Path]:
    """The files of a folder; empty if the folder does not exist."""
    if not folder.is_dir():
        return []
    try:
        return [path for path in sorted(folder.iterdir()) if path.is_file()]
    except OSError as err:
        raise SetupError(f"Cannot read the folder {folder}: {err.strerror}.", "Check its permissions.") from err


def _open(candidate: _Candidate) -> TrustedSetup | None:
    """Hash a candidate; None for a file of a search folder whose digest is not pinned."""
    ceremony = ceremonies.by_name(candidate.ceremony)
    if not candidate.foreign:
        return _open_own(candidate.path, ceremony, candidate.k)
    digest = hash_setup(candidate.path)
    if ceremony.files.get(candidate.k) != digest.hex:
        return None
    return TrustedSetup(ceremony.name, candidate.k, candidate.path, digest, ceremony.tau_g2)


def _open_own(path: Path, ceremony: ceremonies.Ceremony, k: int) -> TrustedSetup:
    refuse_shared(path.parent)
    refuse_shared_file(path)
    expected = ceremony.files.get(k) or _recorded(path)
    digest = hash_setup(path)
    if digest.hex != expected or peek_setup(path) != (ceremony, k):
        raise SetupError(
            f"The stored setup {path} is damaged: its sha256 is {digest.hex}, not {expected}.",
            f"Delete it, then {_cure(k, ceremony.name)}.",
        )
    return TrustedSetup(ceremony.name, k, path, digest, ceremony.tau_g2)


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _recorded(path: Path) -> str:
    """The digest (hex) recorded beside a file whose digest is not pinned."""
    refuse_shared_file(_sidecar(path))
    try:
        return Digest.parse(_sidecar(path).read_text(encoding="ascii").strip()).hex
    except (OSError, ValueError, InputError) as err:
        raise SetupError(
            f"The stored setup {path} was never checked, or its record is missing.",
            f"Run `zkinfer setup import {path}`.",
        ) from err


def _record(path: Path, setup: TrustedSetup) -> None:
    """Record the digest of a file that is not pinned. A valid file is unique, so concurrent writers agree."""
    if setup.k not in ceremonies.by_name(setup.ceremony).files:
        with atomic_file(_sidecar(path)) as file:
            file.write(f"{setup.sha256}\n".encode())


def _install(scratch: Path, target: Path, setup: TrustedSetup) -> None:
    _record(target, setup)  # first, so that no setup ever exists without its record
    scratch.replace(target)


def _copy(source: Path, target: Path, expected: Digest) -> None:
    """Copy a file and verify that the copy has the digest that was checked."""
    content = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while data := reader.read(_COPY_BYTES):
            content.update(data)
            writer.write(data)
        flush_to_disk(writer)
    if content.digest() != expected.value:
        raise SetupError(f"{source} changed while it was copied.", "Stop other writers and try again.")


def _cure(k: int, ceremony: str | None) -> str:
    if ceremony == ceremonies.INSECURE_DEV:
        return "pass `--setup insecure-dev` to generate it"
    return (
        f"run `zkinfer setup fetch {k}`, or `zkinfer setup import FILE` for a file you have; "
        "for tests and demonstrations only, pass `--setup insecure-dev`"
    )


def _missing(k: int, ceremony: str | None) -> SetupError:
    kind = "trusted setup" if ceremony is None else f"setup of {ceremony}"
    cure = _cure(k, ceremony)
    return SetupError(f"No {kind} with k = {k} or more is stored.", f"{cure[0].upper()}{cure[1:]}.")
