"""Authentication: by bearer token, by client certificate, or anonymous if configured.

Tokens are stored as hashes in one file that only the operator can read. A token is `zki_<id>_<secret>`. The id selects
the entry; the secret has 256 random bits, which cannot be guessed, so SHA-256 is enough and no slow hash is needed. A
running server reloads the file when it changes, so a revoked token is rejected from the next call on.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import InputError, JsonError, why
from zkinfer.circuits.storage import refuse_readable, write_atomically
from zkinfer.service.errors import TokenFileError, UnauthenticatedError
from zkinfer.service.identity import ANONYMOUS, Identity, Rights, identity_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path


MAX_BYTES = 1 << 22
_TOKEN = re.compile(r"zki_([0-9a-f]{12})_([0-9a-f]{64})")
_NO_HASH = "0" * 64


class Grant(BaseModel):
    """The entry of one token in the file: everything but the secret."""

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
        """The identity of the token."""
        models = None if self.models is None else frozenset(self.models)
        rights = Rights(models=models, unfinished_jobs=self.unfinished_jobs, calls_per_second=self.calls_per_second)
        return Identity(name=self.name, rights=rights)

    def expired(self, now: datetime) -> bool:
        """Whether the token has expired."""
        return self.expires is not None and now >= self.expires


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    tokens: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class _CachedFile:
    """The file's content, and its metadata when it was read."""

    signature: tuple[int, ...]
    grants: dict[str, Grant]


class TokenFile:
    """A token file, which is read again only when it changes.

    A file that disappears is an error, not an empty file: otherwise its removal would allow anonymous callers.

    Args:
        path: may be missing; then there are no tokens.
        clock: the time, with a zone.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.path = path
        self._clock = clock
        self._cached: _CachedFile | None = None
        self._existed = False

    def exists(self) -> bool:
        """Whether the file exists; raises TokenFileError if it existed before and has disappeared."""
        return self._check_signature() is not None

    def identify(self, token: str) -> Identity | None:
        """The identity of a token; None if it is unknown, revoked, expired or malformed.

        Raises:
            TokenFileError: the file cannot be read.
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
        """Add a token and return it; it cannot be retrieved later.

        Raises:
            InputError: the name is not a valid identity name.
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
        with self._modified() as grants:
            grants[grant.id] = grant
        return grant, token

    def revoke(self, token_id: str) -> Grant:
        """Remove a token by its id; a server rejects it from the next call on. Raises TokenFileError."""
        with self._modified() as grants:
            grant = grants.pop(token_id, None)
            if grant is None:
                raise TokenFileError(f"There is no token {token_id!r:.80}.", "`zkinfer tokens list` shows the ids.")
        return grant

    def _grants(self) -> dict[str, Grant]:
        cached = self._cached
        signature = self._check_signature()
        if signature is None:
            return {}
        if cached is None or cached.signature != signature:
            cached = self._cached = _CachedFile(signature, _parse(self.path))
        return cached.grants

    def _check_signature(self) -> tuple[int, ...] | None:
        signature = _signature(self.path)
        if signature is None and self._existed:
            raise TokenFileError(f"{self.path} has disappeared.", "Restore it, or restart the server without it.")
        self._existed = signature is not None
        return signature

    @contextmanager
    def _modified(self) -> Iterator[dict[str, Grant]]:
        """The tokens, to be modified and written back under a lock."""
        with _locked(self.path.with_name(self.path.name + ".lock")):
            grants = dict(self._grants())
            yield grants
            document = _Document(tokens=tuple(grants.values()))
            data = canonical.dump(document.model_dump(mode="json", by_alias=True))
            write_atomically(self.path, data, mode=0o600)
            self._existed = True


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _signature(path: Path) -> tuple[int, ...] | None:
    """Metadata that changes when the file does; None if it does not exist."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as err:
        raise TokenFileError(f"{path} cannot be read: {why(err)}.") from err
    try:
        refuse_readable(path, found)
    except InputError as err:
        raise TokenFileError(err.cause, err.cure) from err
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def _parse(path: Path) -> dict[str, Grant]:
    try:
        data = path.read_bytes()
        canonical.load(data, max_bytes=MAX_BYTES, what="token file")
        document = _Document.model_validate_json(data)
    except OSError as err:
        raise TokenFileError(f"{path} cannot be read: {why(err)}.") from err
    except JsonError as err:
        raise TokenFileError(f"{path}: {err.cause}", err.cure) from err
    except ValidationError as err:
        first = err.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise TokenFileError(f"{path} is not a token file: at {place!r}, {first['msg']}.") from err
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


_SCHEME = "bearer "
OPENAPI = "/http/GetOpenApi"
OPEN_METHODS = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.health.v1.Health/List",
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
        OPENAPI,
    }
)
"""Health checks, which load balancers call without a token, and the description of the HTTP interface."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """Identifies callers.

    Args:
        tokens: the token file.
        certificates: whether every connection has presented a certificate of the configured authority.
        subjects: rights by common name; None accepts every such certificate, with all rights. If set, the
            certificate must be listed even with a token; the token then determines the identity.
        local: whether only this machine can call; then callers may be anonymous until a token file exists.
        anonymous: accept callers without credentials.
    """

    tokens: TokenFile
    certificates: bool = False
    subjects: Mapping[str, Rights] | None = None
    local: bool = False
    anonymous: bool = False

    def identify(self, metadata: Iterable[tuple[str, str | bytes]], names: Iterable[bytes]) -> Identity:
        """The identity of a caller.

        Args:
            metadata: of the call.
            names: common names of the certificate that the connection presented.

        Raises:
            UnauthenticatedError: no valid credentials.
            TokenFileError: as `TokenFile.identify` and `TokenFile.exists`.
        """
        given = [str(value) for key, value in metadata if key == "authorization"]
        if self.certificates and (self.subjects is not None or not given):
            shown = self._by_certificate([name.decode("utf-8", "replace") for name in names])
            return self._by_token(given) if given else shown
        if given:
            return self._by_token(given)
        if self.anonymous or (self.local and not self.tokens.exists()):
            return ANONYMOUS
        raise UnauthenticatedError("The call has no token.", "Send the metadata authorization: Bearer <token>.")

    def _by_token(self, given: list[str]) -> Identity:
        identity = None
        if len(given) == 1 and given[0][: len(_SCHEME)].lower() == _SCHEME:
            identity = self.tokens.identify(given[0][len(_SCHEME) :].strip())
        if identity is None:
            raise UnauthenticatedError(
                "The token is not valid.", "It is mistyped, expired or revoked. Request a new one."
            )
        return identity

    def _by_certificate(self, names: list[str]) -> Identity:
        try:
            name = identity_name(names[0] if len(names) == 1 else "")
        except InputError as err:
            raise UnauthenticatedError(
                "The certificate's common name is not a valid identity.",
                "Use exactly one common name of lower-case letters, digits and . _ @ -.",
            ) from err
        if self.subjects is None:
            return Identity(name=name)
        rights = self.subjects.get(name)
        if rights is None:
            raise UnauthenticatedError(f"The certificate of {name} is not authorised.")
        return Identity(name=name, rights=rights)
