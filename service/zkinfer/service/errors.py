"""What a server refuses on its own account; see `zkinfer.circuits.errors` for the tree that these hang from."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import InputError, ModelError, ZkinferError

if TYPE_CHECKING:
    from collections.abc import Iterator


class SettingsError(InputError):
    """The server's settings contradict themselves, or would leave it open."""


class TokenFileError(InputError):
    """The file of tokens cannot be read or written, or others can read it."""


class BadFieldError(InputError):
    """A field of a request cannot be used."""

    def __init__(self, field: str, cause: str, cure: str = "", kind: type[ZkinferError] | None = None) -> None:
        super().__init__(cause, cure)
        self.field = field
        self.kind = kind or type(self)


class ServiceError(ZkinferError):
    """A call cannot be served."""


class UnauthenticatedError(ServiceError):
    """The caller did not prove who they are."""


class ForbiddenError(ServiceError):
    """The caller may not do this."""


class UnknownMethodError(ServiceError):
    """No method of this name is served."""


class UnknownOperationError(ServiceError):
    """There is no such operation, or it is another's."""

    def __init__(self, name: str) -> None:
        cure = "It was deleted, is no longer kept, or belongs to another identity."
        super().__init__(f"There is no operation {name!r:.120}.", cure)
        self.name = name


class NotReadyError(ServiceError):
    """There is no attestation yet, or there will never be one."""


class ProofPendingError(ServiceError):
    """The caller waited for a proof as long as they may, and it goes on."""


class StateInUseError(ServiceError):
    """Another server uses the folder of state."""


class TooManyRequestsError(ServiceError):
    """More is asked than is served at a time; `retry_after` says in how many seconds to come again."""

    def __init__(self, cause: str, cure: str = "", retry_after: float = 1.0) -> None:
        super().__init__(cause, cure)
        self.retry_after = retry_after


class LateRequestError(ServiceError):
    """The request of a call did not come in time."""


@contextmanager
def blaming(field: str) -> Iterator[None]:
    """Say which field of the request an InputError is about; a field inside is put behind this one.

    A ModelError is about what the server has, so it passes as it is.
    """
    try:
        yield
    except BadFieldError as err:
        raise BadFieldError(f"{field}.{err.field}", err.cause, err.cure, err.kind) from err
    except ModelError:
        raise
    except InputError as err:
        raise BadFieldError(field, err.cause, err.cure, type(err)) from err
