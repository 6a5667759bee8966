"""Bearer tokens: made once, shown once, kept as hashes in one file of the operator's alone.

A token is `zki_<id>_<secret>`: the id finds its line, the secret is 256 random bits. Nobody can guess those, so one
SHA-256 is enough and a slow hash would only slow the server down. A running server reads the file again as soon as
it changes, so that a revoked token is refused at the next call.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import JsonError, why
from zkinfer.circuits.storage import write_atomically
from zkinfer.service.errors import TokenFileError
from zkinfer.service.identity import Identity, Rights, identity_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAX_BYTES = 1 << 22
_TOKEN = re.compile(r"zki_([0-9a-f]{12})_([0-9a-f]{64})")
_NO_HASH = "0" * 64


class Grant(BaseModel):
    """One token as the file has it: everything but the secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    name: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime
    expires: AwareDatetime | None = None
    models: tuple[str, ...] | None = None
    unfinished_jobs: Annotated[int, Field(ge=0)] | None = None
    calls_per_second: Annotated[float, Field(gt=0)] | None = None

    @property
    def identity(self) -> Identity:
        """Whose token it is."""
        models = None if self.models is None else frozenset(self.models)
        rights = Rights(models=models, unfinished_jobs=self.unfinished_jobs, calls_per_second=self.calls_per_second)
        return Identity(name=self.name, rights=rights)

    def expired(self, now: datetime) -> bool:
        """Whether it is void by now."""
        return self.expires is not None and now >= self.expires


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    tokens: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """The file's content, and what it looked like when it was read."""

    mark: tuple[int, ...]
    grants: dict[str, Grant]


class TokenFile:
    """A file of tokens. Reading is cheap as long as it does not change.

    One that was there and is gone is no file without tokens: everybody would be somebody again when it comes back.

    Args:
        path: need not exist; then there are no tokens.
        clock: tells the time, with a zone.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.path = path
        self._clock = clock
        self._read: _Read | None = None
        self._was_there = False

    def exists(self) -> bool:
        """Whether there is a file, or there never was one here; raises TokenFileError where it is gone."""
        return self._look() is not None

    def identify(self, token: str) -> Identity | None:
        """Whose token this is; None for an unknown, revoked, expired or malformed one.

        Raises:
            TokenFileError: the file cannot be read, so that nobody can be told from anybody.
        """
        match = _TOKEN.fullmatch(token)
        grant = self._grants().get(match[1]) if match else None
        kept = grant.sha256 if grant else _NO_HASH
        if not hmac.compare_digest(_hash(token), kept) or grant is None or grant.expired(self._clock()):
            return None
        return grant.identity

    def list(self) -> tuple[Grant, ...]:
        """All tokens, oldest first; raises TokenFileError."""
        return tuple(self._grants().values())

    def new(
        self,
        name: str,
        *,
        rights: Rights | None = None,
        expires: datetime | None = None,
    ) -> tuple[Grant, str]:
        """Add a token, and return it: this is the only time that anybody sees it.

        Raises:
            InputError: no name for an identity.
            TokenFileError: the file cannot be read or written.
        """
        allowed = rights or Rights()
        token_id = secrets.token_hex(6)
        token = f"zki_{token_id}_{secrets.token_hex(32)}"
        grant = Grant(
            id=token_id,
            name=identity_name(name),
            sha256=_hash(token),
            created=self._clock().replace(microsecond=0),
            expires=expires,
            models=None if allowed.models is None else tuple(sorted(allowed.models)),
            unfinished_jobs=allowed.unfinished_jobs,
            calls_per_second=allowed.calls_per_second,
        )
        with self._changing() as grants:
            grants[grant.id] = grant
        return grant, token

    def revoke(self, token_id: str) -> Grant:
        """Remove a token by its id; a server refuses it from its next call on. Raises TokenFileError."""
        with self._changing() as grants:
            grant = grants.pop(token_id, None)
            if grant is None:
                raise TokenFileError(f"There is no token {token_id!r:.80}.", "`zkinfer tokens list` has their ids.")
        return grant

    def _grants(self) -> dict[str, Grant]:
        read = self._read
        mark = self._look()
        if mark is None:
            return {}
        if read is None or read.mark != mark:
            read = self._read = _Read(mark, _parse(self.path))
        return read.grants

    def _look(self) -> tuple[int, ...] | None:
        mark = _mark(self.path)
        if mark is None and self._was_there:
            raise TokenFileError(f"{self.path} is gone.", "Put it back, or start the server again without it.")
        self._was_there = mark is not None
        return mark

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Grant]]:
        """The tokens, to be changed and written back; one writer at a time."""
        with _locked(self.path.with_name(self.path.name + ".lock")):
            grants = dict(self._grants())
            yield grants
            document = _Document(tokens=tuple(grants.values()))
            data = canonical.dump(document.model_dump(mode="json", by_alias=True))
            write_atomically(self.path, data, mode=0o600)
            self._was_there = True


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _mark(path: Path) -> tuple[int, ...] | None:
    """What changes when a file does; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as err:
        raise TokenFileError(f"{path} cannot be read: {why(err)}.") from err
    if found.st_mode & 0o077 or not stat.S_ISREG(found.st_mode):
        raise TokenFileError(f"{path} can be read by others, or is no file.", f"Run: chmod 600 {path}")
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def _parse(path: Path) -> dict[str, Grant]:
    try:
        data = path.read_bytes()
        canonical.load(data, max_bytes=MAX_BYTES, what="file of tokens")
        document = _Document.model_validate_json(data)
    except OSError as err:
        raise TokenFileError(f"{path} cannot be read: {why(err)}.") from err
    except JsonError as err:
        raise TokenFileError(f"{path}: {err.cause}", err.cure) from err
    except ValidationError as err:
        first = err.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise TokenFileError(f"{path} is no file of tokens: at {place!r}, {first['msg']}.") from err
    return {grant.id: grant for grant in document.tokens}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as err:
        raise TokenFileError(f"{path} cannot be written: {why(err)}.") from err
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
