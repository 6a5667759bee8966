"""The trust roots that this user has accepted: one file each in the home, so that none is rolled back or replaced.

A pin holds the last accepted version with its signatures, and when it was last used. A root is known by its name: a
file with the same name must continue the accepted versions, whoever sent it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from zkinfer.circuits.errors import InputError, why
from zkinfer.circuits.storage import (
    ensure_private_dir,
    exclusive_lock,
    read_file,
    refuse_shared_file,
    write_atomically,
)
from zkinfer.verifier.errors import MalformedAttestationError, MalformedRootError, RootExpiredError, TrustRootError
from zkinfer.verifier.statement import load_document, read_document, read_time, write_document, write_time
from zkinfer.verifier.trustroot.document import RootName, Time
from zkinfer.verifier.trustroot.rotation import require_current, require_fingerprint, require_history
from zkinfer.verifier.trustroot.signed import MAX_BYTES, SignedRoot

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from zkinfer.verifier.trustroot.signed import RootFile

_NOTE_AGAIN: Final = timedelta(hours=1)
_CLOCK_TOLERANCE: Final = timedelta(days=1)
_FORGET: Final = "zkinfer trust forget"
_NAME: Final = TypeAdapter(RootName)


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["zkinfer-trust-pin/1"] = "zkinfer-trust-pin/1"
    used: Time
    root: Annotated[str, Field(max_length=MAX_BYTES)]


@dataclass(frozen=True, slots=True)
class Pin:
    """The last accepted version, and when it was last used."""

    signed: SignedRoot
    used: datetime


@dataclass(frozen=True, slots=True)
class Pins:
    """The accepted trust roots in one folder, which no other user may write to."""

    folder: Path

    def find(self, name: str) -> Pin | None:
        """The pin of a root; None if it was never accepted.

        Raises:
            TrustRootError: the pin is damaged, or the name is no name.
            InputError: it cannot be read, or other users can write to it.
        """
        path = self._path(name)
        try:
            path.lstat()  # a link that leads nowhere is a lost pin, not a first use
        except FileNotFoundError:
            return None
        except OSError as err:
            raise InputError(f"{path} cannot be read: {why(err)}.") from err
        ensure_private_dir(self.folder)
        refuse_shared_file(path)
        try:
            data = read_file(path, max_bytes=2 * MAX_BYTES)
            load_document(data, what="pin", max_bytes=2 * MAX_BYTES)
            document = read_document(data, _Document, what="pin")
            signed = SignedRoot.from_bytes(document.root.encode())
        except (MalformedAttestationError, MalformedRootError) as err:
            raise _damaged(path, err.cause) from err
        if signed.root.name != name:
            raise _damaged(path, f"It is that of the trust root {signed.root.name}.")
        return Pin(signed, read_time(document.used))

    def accept(
        self, file: RootFile, now: datetime, *, expired_too: bool = False, fingerprint: str | None = None
    ) -> bool:
        """Accept the last version of a file if it may follow the one accepted before, and remember it.

        Args:
            file: all versions that its publisher sent.
            now: the current time.
            expired_too: accept a version that has expired by now, for a verification as of an earlier date.
            fingerprint: that its root keys must have, as the caller knows from elsewhere; see `TrustRoot.fingerprint`.

        Returns:
            Whether this is the first use of a root of this name: then nothing vouches for it but the fingerprint, or
            without one the choice of the file.

        Raises:
            RootSignatureError, RootRollbackError, RootExpiredError, MalformedRootError: it must not be accepted.
            TrustRootError, InputError: the pin cannot be read or written.
        """
        with exclusive_lock(ensure_private_dir(self.folder) / ".lock"):
            pin = self.find(file.name)
            if pin is not None:
                _require_clock(pin, now)
            if fingerprint is not None:
                require_fingerprint(file, fingerprint)
            require_history(file, None if pin is None else pin.signed)
            if not expired_too:
                require_current(file.current.root, now)
            self._remember(file.current, pin, now)
        return pin is None

    def forget(self, name: str) -> None:
        """Remove a pin, so that the next file of this name is a first use; raises TrustRootError if there is none."""
        path = self._path(name)
        with exclusive_lock(ensure_private_dir(self.folder) / ".lock"):
            try:
                path.unlink()
            except FileNotFoundError as err:
                raise TrustRootError(f"No trust root {name!r} was accepted.", "See: zkinfer trust list") from err
            except OSError as err:
                raise InputError(f"{path} cannot be removed: {why(err)}.") from err

    def names(self) -> list[str]:
        """The names of the accepted roots."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def _path(self, name: str) -> Path:
        """The file of a pin; raises TrustRootError for a text that names no trust root, such as a path."""
        try:
            return self.folder / f"{_NAME.validate_python(name)}.json"
        except ValidationError as err:
            raise TrustRootError(f"{name[:80]!r} is not the name of a trust root.", "See: zkinfer trust list") from err

    def _remember(self, signed: SignedRoot, pin: Pin | None, now: datetime) -> None:
        if pin is not None and pin.signed.digest == signed.digest and now - pin.used < _NOTE_AGAIN:
            return
        document = _Document(used=write_time(now), root=signed.to_bytes().decode())
        path = self._path(signed.root.name)
        try:
            write_atomically(path, write_document(document), mode=0o600)
        except OSError as err:
            raise InputError(f"{path} cannot be written: {why(err)}.") from err


def _damaged(path: Path, why_: str) -> TrustRootError:
    return TrustRootError(
        f"{path} is damaged. {why_}", f"Compare the root's keys with its publisher's, then run: {_FORGET} {path.stem}"
    )


def _require_clock(pin: Pin, now: datetime) -> None:
    """An old file must not pass as current because the clock was set back."""
    if now < pin.used - _CLOCK_TOLERANCE:
        raise RootExpiredError(
            f"The clock of this machine says {write_time(now)}, but the trust root {pin.signed.root.name} was already "
            f"used at {write_time(pin.used)}.",
            f"Set the clock. If it was ahead at that time, run: {_FORGET} {pin.signed.root.name}",
        )
