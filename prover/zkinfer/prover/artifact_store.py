"""Content-addressed files: the inputs of unfinished jobs and the attestations of finished ones.

Writes are atomic and durable when `put` returns, and content is hashed on every read. Inputs are secrets: only their
owner can read the folder and the files.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.errors import InputError, why
from zkinfer.circuits.storage import ensure_private_dir, flush_to_disk
from zkinfer.prover.errors import ArtifactDamagedError, ArtifactMissingError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PART_PREFIX, _IDENTITY_SUFFIX = ".part-", ".identity"
_NAME = re.compile(r"[0-9a-f]{64}")
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class ArtifactStore:
    """A folder of artifacts by SHA-256; safe for concurrent threads and processes.

    Args:
        root: created if missing; must not be writable by others.

    Raises:
        StoreError: the folder cannot be used. All methods raise it too.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            ensure_private_dir(root)
        except InputError as err:
            raise StoreError(err.cause, err.cure) from err

    def put(self, data: bytes) -> Digest:
        """Store bytes durably and return their digest; idempotent."""
        digest = sha256(data)
        with self._translate_errors("written"):
            if not self._refresh(digest, data):
                self._write(digest, data)
            self._sync_folder()
        return digest

    def get(self, digest: Digest, limit: int) -> bytes:
        """Read an artifact.

        Args:
            digest: its name.
            limit: maximum size in bytes.

        Raises:
            ArtifactMissingError: there is no such artifact.
            ArtifactDamagedError: it exceeds the limit, or its content has another digest.
        """
        with self._translate_errors("read"):
            try:
                with self._path(digest).open("rb") as file:
                    data = file.read(limit + 1)
            except FileNotFoundError as err:
                raise missing_artifact(digest) from err
        if len(data) > limit:
            raise ArtifactDamagedError(f"The artifact {digest} is larger than {limit:,} bytes.", "Check the disk.")
        if sha256(data) != digest:
            raise ArtifactDamagedError(f"The artifact {digest} was changed on the disk.", "Check the disk.")
        return data

    def has(self, digest: Digest) -> bool:
        """Whether the artifact exists; its content is not checked."""
        with self._translate_errors("read"):
            return self._path(digest).exists()

    def delete(self, digest: Digest) -> bool:
        """Remove an artifact; returns whether it existed."""
        with self._translate_errors("written"):
            try:
                self._path(digest).unlink()
            except FileNotFoundError:
                return False
        return True

    def older_than(self, seconds: float, now: float) -> list[Digest]:
        """Artifacts whose last `put` was more than `seconds` before `now` (Unix time).

        Partial files of killed processes are removed on the way.
        """
        with self._translate_errors("read"), os.scandir(self.root) as entries:
            names = [entry.name for entry in entries if _age(entry, now) > seconds]
        for name in names:
            if name.startswith(_PART_PREFIX):
                (self.root / name).unlink(missing_ok=True)
        return [Digest("sha256", bytes.fromhex(name)) for name in names if _NAME.fullmatch(name)]

    def identity(self) -> str:
        """A random name of this folder, created on first use and stored in it."""
        path = self.root.with_name(self.root.name + _IDENTITY_SUFFIX)
        with self._translate_errors("written"):
            if not path.exists():
                part = path.with_name(_PART_PREFIX + secrets.token_hex(8))
                part.write_text(secrets.token_hex(16))
                with suppress(FileExistsError):  # another process created it
                    path.hardlink_to(part)
                part.unlink()
            return path.read_text()

    def free_bytes(self) -> int:
        """Free space on the disk, in bytes."""
        with self._translate_errors("read"):
            return shutil.disk_usage(self.root).free

    def _refresh(self, digest: Digest, data: bytes) -> bool:
        """Whether the artifact exists undamaged, in which case its time of `put` is updated."""
        path = self._path(digest)
        try:
            intact = path.read_bytes() == data
            os.utime(path)
        except FileNotFoundError:
            return False
        return intact

    def _write(self, digest: Digest, data: bytes) -> None:
        part = self.root / (_PART_PREFIX + secrets.token_hex(8))
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                flush_to_disk(file)
            part.replace(self._path(digest))
        finally:
            part.unlink(missing_ok=True)

    def _sync_folder(self) -> None:
        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _path(self, digest: Digest) -> Path:
        return self.root / digest.hex

    @contextmanager
    def _translate_errors(self, operation: str) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            cure = (
                "Free space on that disk." if err.errno in _DISK_FULL else "Check the folder, its disk and permissions."
            )
            raise StoreError(f"Artifacts in {self.root} cannot be {operation}: {why(err)}.", cure) from err


def missing_artifact(digest: Digest) -> ArtifactMissingError:
    """The error for a missing artifact."""
    return ArtifactMissingError(f"There is no artifact {digest}.", "It was removed or never stored: store it again.")


def _age(entry: os.DirEntry[str], now: float) -> float:
    try:
        return now - entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:  # removed after it was listed
        return -1.0
