"""The caller of the current call, and what it may do."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import InputError
from zkinfer.service.errors import ForbiddenError

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What an identity may do; None means no limit.

    Args:
        models: names in the repository; None for all, including future ones.
        unfinished_jobs: maximum number of unfinished jobs; None for the server's setting.
        calls_per_second: on average, with bursts of one second's worth.
    """

    models: frozenset[str] | None = None
    unfinished_jobs: int | None = None
    calls_per_second: float | None = None

    def may_use(self, model: str) -> bool:
        """Whether the model may be used."""
        return self.models is None or model in self.models


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An authenticated caller. Jobs belong to the name, so a new token of the same name sees the old jobs."""

    name: str
    rights: Rights = Rights()

    def require_model(self, model: str) -> None:
        """Raise ForbiddenError unless a model may be used."""
        if not self.rights.may_use(model):
            raise ForbiddenError(
                f"{self.name} may not use the model {model!r:.120}.",
                "Ask the server's operator for a token that includes this model.",
            )


ANONYMOUS = Identity(name="anonymous")
_CALLER: ContextVar[Identity] = ContextVar("caller", default=ANONYMOUS)
_REAUTHENTICATE: ContextVar[Callable[[], Identity] | None] = ContextVar("reauthenticate", default=None)


def caller() -> Identity:
    """The identity of the caller of the current call."""
    return _CALLER.get()


def set_caller(identity: Identity, identify: Callable[[], Identity] | None = None) -> None:
    """Set the caller of the current call; `identify` authenticates it again, see `reauthenticate`."""
    _CALLER.set(identity)
    _REAUTHENTICATE.set(identify)


def reauthenticate() -> None:
    """Authenticate the caller again for the next request of a stream, and count it against the rate.

    Raises:
        UnauthenticatedError: the credentials were revoked or have expired since the stream was opened.
        TooManyRequestsError: the caller exceeds its rate.
    """
    identify = _REAUTHENTICATE.get()
    if identify is not None:
        _CALLER.set(identify())


def is_identity_name(text: str) -> bool:
    """Whether an authenticated identity can have this name."""
    return NAME.fullmatch(text) is not None and text != ANONYMOUS.name


def identity_name(text: str) -> str:
    """Check the name of an identity; raises InputError if it is malformed or reserved."""
    if not is_identity_name(text):
        raise InputError(
            f"{text!r:.80} is not a valid identity name.",
            "Use up to 64 lower-case letters, digits and . _ @ -, beginning and ending with a letter or digit.",
        )
    return text
