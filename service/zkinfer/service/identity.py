"""Who calls, and what they may do."""

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
    """What an identity may do; None bounds nothing.

    Args:
        models: names in the repository; None for all, those that come later included.
        unfinished_jobs: how many of its jobs may be unfinished; None for what the server's settings say.
        calls_per_second: averaged; a second's worth may come at once.
    """

    models: frozenset[str] | None = None
    unfinished_jobs: int | None = None
    calls_per_second: float | None = None

    def may_use(self, model: str) -> bool:
        """Whether a model is among those allowed."""
        return self.models is None or model in self.models


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody who calls. Jobs belong to the name, so that a new token of the same name sees the jobs of the old."""

    name: str
    rights: Rights = Rights()

    def require_model(self, model: str) -> None:
        """Raise ForbiddenError unless a model may be used."""
        if not self.rights.may_use(model):
            raise ForbiddenError(
                f"{self.name} may not use the model {model!r:.120}.", "Ask its operator for a token that names it."
            )


ANONYMOUS = Identity(name="anonymous")
_CALLER: ContextVar[Identity] = ContextVar("caller", default=ANONYMOUS)
_AGAIN: ContextVar[Callable[[], Identity] | None] = ContextVar("caller again", default=None)


def caller() -> Identity:
    """Who makes the call that is being served."""
    return _CALLER.get()


def enter(identity: Identity, again: Callable[[], Identity] | None = None) -> None:
    """From here on, in this call, `caller` is this one; `again` finds out once more who it is."""
    _CALLER.set(identity)
    _AGAIN.set(again)


def enter_again() -> None:
    """The next request of a stream: its caller may have lost their rights since it was opened, or come too often.

    Raises whatever `again` raises.
    """
    again = _AGAIN.get()
    if again is not None:
        _CALLER.set(again())


def is_identity_name(text: str) -> bool:
    """Whether somebody who proves who they are can have this name."""
    return NAME.fullmatch(text) is not None and text != ANONYMOUS.name


def identity_name(text: str) -> str:
    """A name as it is kept; raises InputError for what is none, or is taken by those who prove nothing."""
    if not is_identity_name(text):
        raise InputError(
            f"{text!r:.80} is no name for an identity.",
            "Use up to 64 lower-case letters, digits and . _ @ -, beginning and ending with a letter or digit.",
        )
    return text
