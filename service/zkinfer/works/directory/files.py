"""Certificates and C2PA manifest stores from a folder. What no registered work names by its digest counts for nothing.

A certificate counts if its SHA-256 is a work's `attestation` and its signature is right, a store if its SHA-256 is a
work's `manifest`. So nobody can add a word to somebody's work: only who registered it chose these digests. All other
files are reported, with the reason. Pictures are looked into only if a certificate is of them and names a store.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import InputError, ZkinferError, why
from zkinfer.circuits.storage import read_file
from zkinfer.prover.errors import StoreError
from zkinfer.works import certificate as certificates
from zkinfer.works.certificate import Certificate
from zkinfer.works.content import open_content
from zkinfer.works.directory.search import whole
from zkinfer.works.directory.store import StoredCertificate, StoredManifest
from zkinfer.works.errors import CertificateError, CodeError, CredentialsError
from zkinfer.works.iscc import parse
from zkinfer.works.manifest_store import MAX_STORE, SUFFIX, read_store
from zkinfer.works.prints import LENGTHS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zkinfer.works.directory.store import Store

MAX_FILES: Final = 100_000
_PICTURES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_MANIFEST_ID: Final = re.compile(r"[!-~]{1,200}")
_UNNAMED: Final = "no registered work names it by its SHA-256"
_UNNEEDED: Final = "no certificate that was taken names C2PA credentials in it, or they are known already"


@dataclass
class Report:
    """What was taken from a folder: names of files, and for those that were not the reasons."""

    taken: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


class Folder:
    """A folder that is read again and again: only files that changed, or that wait for their work, are opened.

    Args:
        store: the directory's database.
        path: of the folder.
    """

    def __init__(self, store: Store, path: Path) -> None:
        self._store, self._path = store, path
        self._done: dict[Path, tuple[int, int]] = {}
        self._embedded: dict[str, str] = {}
        self._digests: dict[Path, tuple[tuple[int, int], str]] = {}

    def read(self) -> Report:
        """Take what counts; raises InputError if the folder cannot be read or has too many files, or StoreError."""
        report = Report()
        files = sorted(self._files(), key=lambda one: (one[0].suffix != ".json", one[0]))
        for kind in (".json", ""):  # certificates name the pictures that are looked into
            self._embedded = self._store.missing_manifests()
            for path, state in files:
                if (path.suffix == ".json") == bool(kind) and self._done.get(path) != state:
                    self._read_one(path, state, report)
        return report

    def _read_one(self, path: Path, state: tuple[int, int], report: Report) -> None:
        name = str(path.relative_to(self._path))
        try:
            named = self._take(path, state)
        except StoreError:
            raise
        except ZkinferError as err:
            report.left[name] = err.cause
            self._done[path] = state
            return
        if named:
            report.taken.append(name)
            self._done[path] = state
        else:
            report.left[name] = _UNNEEDED if path.suffix.lower() in _PICTURES else _UNNAMED

    def _take(self, path: Path, state: tuple[int, int]) -> bool:
        """Whether a work names what is in a file, which is then kept."""
        if path.suffix == ".json":
            return self._take_certificate(read_file(path, max_bytes=certificates.MAX_BYTES))
        if path.suffix == SUFFIX:
            digest = sha256(read_file(path, max_bytes=MAX_STORE)).value.hex()
            return self._store.is_registered(manifest=f"0x{digest}") and self._take_store(path, digest)
        if path.suffix.lower() in _PICTURES:
            wanted = self._embedded.get(self._digest(path, state)) if self._embedded else None
            return wanted is not None and self._take_store(path, wanted.removeprefix("0x"))
        raise InputError("It is no certificate (.json), no manifest store (.c2pa), and no picture that can hold one.")

    def _digest(self, path: Path, state: tuple[int, int]) -> str:
        known = self._digests.get(path)
        if known is None or known[0] != state:
            known = self._digests[path] = (state, f"0x{open_content(path).sha256}")
        return known[1]

    def _take_certificate(self, data: bytes) -> bool:
        digest = "0x" + sha256(data).value.hex()
        if not self._store.is_registered(attestation=digest):
            return False
        certificate = Certificate.from_bytes(data)
        certificate.verified()
        chain = certificate.predicate.chain
        if chain is not None and (chain.chain_id, chain.works) != self._store.contract():
            raise CertificateError(f"It is for the works {chain.works} on chain {chain.chain_id}.")
        work = None if chain is None else chain.work
        self._store.put(StoredCertificate(digest, f"0x{certificate.sha256}", work, *_codes(certificate), data))
        return True

    def _take_store(self, path: Path, digest: str) -> bool:
        found = read_store(path)
        if found is None or found.digest != digest:
            raise CredentialsError("It does not have the C2PA credentials that the work names.")
        if not _MANIFEST_ID.fullmatch(found.manifest_id):
            raise CredentialsError("The id of its active manifest is none that could be asked for.")
        self._store.put(StoredManifest(f"0x{digest}", found.manifest_id, found.data))
        return True

    def _files(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        """Regular files, links not followed, each with its size and time."""
        if not self._path.is_dir():
            raise InputError(f"{self._path} is no folder.", "Give a folder of certificates.")
        count = 0
        try:
            for path in self._path.rglob("*"):
                about = path.lstat()
                if not stat.S_ISREG(about.st_mode):
                    continue
                count += 1
                if count > MAX_FILES:
                    raise InputError(f"{self._path} has more than {MAX_FILES:,} files.", "Give a smaller folder.")
                yield path, (about.st_size, about.st_mtime_ns)
        except OSError as err:
            raise InputError(f"{self._path} cannot be read: {why(err)}.", "Give a folder.") from err


def _codes(certificate: Certificate) -> tuple[str | None, str | None]:
    """The bits of a certificate's Image-Codes as hex; None where it has none, or one of a flat picture."""
    content = certificate.predicate.content
    found: list[str | None] = []
    for code, length in zip((content.iscc64, content.iscc256), LENGTHS, strict=True):
        try:
            bits, actual = (0, 0) if code is None else parse(code)
            found.append(f"0x{whole(bits, length).bits:0{length // 4}x}" if actual == length else None)
        except CodeError:
            found.append(None)
    return found[0], found[1]
