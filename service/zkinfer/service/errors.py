"""Errors of the server; `zkinfer.circuits.errors` has the root of the tree."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import InputError, ModelError, ZkinferError

if TYPE_CHECKING:
    from collections.abc import Iterator


class SettingsError(InputError):
    """The server's settings are invalid, contradict each other, or are insecure without an explicit opt-in."""


class TokenFileError(InputError):
    """The token file cannot be read or written, or other users can read it."""


class BadFieldError(InputError):
    """A field of a request cannot be used."""

    def __init__(self, field: str, cause: str, cure: str = "", kind: type[ZkinferError] | None = None) -> None:
        super().__init__(cause, cure)
        self.field = field
        self.kind = kind or type(self)


class ServiceError(ZkinferError):
    """A call cannot be served."""


class UnauthenticatedError(ServiceError):
    """The caller has no valid credentials."""


class ForbiddenError(ServiceError):
    """The caller lacks the permission."""


class UnknownMethodError(ServiceError):
    """The method or the path does not exist, or the path does not take the method."""


class RequestTooLargeError(ServiceError):
    """The request is larger than the server accepts, as sent or once decompressed."""


class UntrustedSourceError(ServiceError):
    """The request was made by a web page that the operator did not allow, or addressed to another host."""


class UnknownOperationError(ServiceError):
    """The operation does not exist, or belongs to another identity."""

    def __init__(self, name: str) -> None:
        cure = "It was deleted, has expired, or belongs to another identity."
        super().__init__(f"There is no operation {name!r:.120}.", cure)
        self.name = name


class NotReadyError(ServiceError):
    """The attestation is not ready, or the proof failed."""


class ProofPendingError(ServiceError):
    """The proof was not finished within the wait limit; it continues."""


class StateInUseError(ServiceError):
    """Another server uses the state folder."""


class TooManyRequestsError(ServiceError):
    """The caller exceeds a rate or concurrency limit; `retry_after` is in seconds."""

    def __init__(self, cause: str, cure: str = "", retry_after: float = 1.0) -> None:
        super().__init__(cause, cure)
        self.retry_after = retry_after


class SlowVerificationError(ServiceError):
    """A verification took longer than this server allows."""


class LateRequestError(ServiceError):
    """The request of a call did not arrive in time."""


@contextmanager
def in_field(field: str) -> Iterator[None]:
    """Attribute an InputError in the block to a field of the request; nested fields are joined by dots.

    A ModelError is about the server's model, so it passes unchanged.
    """
    try:
        yield
    except BadFieldError as err:
        raise BadFieldError(f"{field}.{err.field}", err.cause, err.cure, err.kind) from err
    except ModelError:
        raise
    except InputError as err:
        raise BadFieldError(field, err.cause, err.cure, type(err)) from err
