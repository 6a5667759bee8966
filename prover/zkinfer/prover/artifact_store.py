"""Files named by their content: the inputs of jobs that wait, and the attestations of those that are done.

A file appears whole or not at all, and is on the disk when `put` returns. What is read is hashed first. Inputs are
secrets: the folder and the files are their owner's alone.
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
from zkinfer.circuits.storage import flush_to_disk, own_directory
from zkinfer.prover.errors import ArtifactDamagedError, ArtifactMissingError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PART, _IDENTITY = ".part-", ".identity"
_NAME = re.compile(r"[0-9a-f]{64}")
_FULL = (errno.ENOSPC, errno.EDQUOT)


class ArtifactStore:
    """A folder of artifacts by SHA-256. Many threads and processes may use it at once.

    Args:
        root: made if missing; others must not be able to write there.

    Raises:
        StoreError: the folder cannot be used; so do all methods.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            own_directory(root)
        except InputError as err:
            raise StoreError(err.cause, err.cure) from err

    def put(self, data: bytes) -> Digest:
        """Keep bytes and return their name; they survive a power cut from here on. Putting twice is as good as once."""
        digest = sha256(data)
        with self._translated("written"):
            if not self._refreshed(digest, data):
                self._write(digest, data)
            self._sync_folder()
        return digest

    def get(self, digest: Digest, limit: int) -> bytes:
        """The bytes of a name.

        Raises:
            ArtifactMissingError: there is no such artifact.
            ArtifactDamagedError: it is larger than `limit` bytes, or its content has another digest.
        """
        with self._translated("read"):
            try:
                with self._path(digest).open("rb") as file:
                    data = file.read(limit + 1)
            except FileNotFoundError as err:
                raise missing(digest) from err
        if len(data) > limit:
            raise ArtifactDamagedError(f"The artifact {digest} is larger than {limit:,} bytes.")
        if sha256(data) != digest:
            raise ArtifactDamagedError(f"The artifact {digest} was changed on the disk.", "Check the disk.")
        return data

    def has(self, digest: Digest) -> bool:
        """Whether there is an artifact of this name; its content is not looked at."""
        with self._translated("read"):
            return self._path(digest).exists()

    def delete(self, digest: Digest) -> bool:
        """Remove an artifact; whether there was one."""
        with self._translated("written"):
            try:
                self._path(digest).unlink()
            except FileNotFoundError:
                return False
        return True

    def older_than(self, seconds: float, now: float) -> list[Digest]:
        """Artifacts put, for the last time, longer ago than this; `now` is in Unix seconds.

        What a killed process left half written is removed on the way.
        """
        with self._translated("read"), os.scandir(self.root) as entries:
            names = [entry.name for entry in entries if _age(entry, now) > seconds]
        for name in names:
            if name.startswith(_PART):
                (self.root / name).unlink(missing_ok=True)
        return [Digest("sha256", bytes.fromhex(name)) for name in names if _NAME.fullmatch(name)]

    def identity(self) -> str:
        """A random name of this folder, kept beside it from the first time on."""
        path = self.root.with_name(self.root.name + _IDENTITY)
        with self._translated("written"):
            if not path.exists():
                part = path.with_name(_PART + secrets.token_hex(8))
                part.write_text(secrets.token_hex(16))
                with suppress(FileExistsError):  # another process was faster
                    path.hardlink_to(part)
                part.unlink()
            return path.read_text()

    def free_bytes(self) -> int:
        """Room on the disk."""
        with self._translated("read"):
            return shutil.disk_usage(self.root).free

    def _refreshed(self, digest: Digest, data: bytes) -> bool:
        """Whether the artifact is here, whole; it counts as put now. A damaged one is written again."""
        path = self._path(digest)
        try:
            whole = path.read_bytes() == data
            os.utime(path)
        except FileNotFoundError:
            return False
        return whole

    def _write(self, digest: Digest, data: bytes) -> None:
        part = self.root / (_PART + secrets.token_hex(8))
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
    def _translated(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            cure = "Make room on that disk." if err.errno in _FULL else "Check the folder, its disk and its rights."
            raise StoreError(f"Artifacts in {self.root} cannot be {done}: {why(err)}.", cure) from err


def missing(digest: Digest) -> ArtifactMissingError:
    """The error for an artifact that is not there."""
    return ArtifactMissingError(
        f"There is no artifact {digest}.", "It was removed meanwhile, or never put: put it again."
    )


def _age(entry: os.DirEntry[str], now: float) -> float:
    try:
        return now - entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:  # removed since it was listed
        return -1.0
