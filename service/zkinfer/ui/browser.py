"""A running `zkinfer serve`, as the page browses it. Needs the extra `client`, which is loaded on first use."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Final

from zkinfer.circuits.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.client import Client
    from zkinfer.client.models import ServedModel
    from zkinfer.client.values import Progress
    from zkinfer.ui.settings import ServerAccess

_SECONDS: Final = 5.0
_MOST_PROOFS: Final = 50
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


class ServerBrowser:
    """Reads models and proofs of one server, with the operator's token; safe to share between threads.

    Args:
        access: the server's address and the token.
    """

    def __init__(self, access: ServerAccess) -> None:
        self._access = access
        self._client: Client | None = None
        self._lock = threading.Lock()

    @property
    def target(self) -> str:
        """The server's address."""
        return self._access.target

    def models(self) -> Sequence[ServedModel]:
        """The server's models; raises CallError."""
        return self._connected().models(timeout=_SECONDS)

    def model(self, name: str, version: str) -> ServedModel:
        """One version of a model; raises InputError if the server does not list it, and CallError."""
        for model in self.models():
            if (model.name, model.version) == (name, version):
                return model
        raise InputError(
            f"The server has no model {name[:80]!r} of version {version[:40]!r}.", "Choose one of its list."
        )

    def proofs(self) -> Sequence[Progress]:
        """The newest proofs of the token's owner; raises CallError."""
        return self._connected().list(most=_MOST_PROOFS)

    def proof(self, name: str) -> Progress:
        """One proof; raises InputError for a malformed name, and CallError."""
        return self._connected().state(_operation(name))

    def attestation(self, name: str) -> bytes:
        """The bytes of a proof's attestation, which nobody has verified; raises as `proof`, and ClientError."""
        return self._connected().unverified_attestation(_operation(name), timeout=_SECONDS)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> Client:
        from zkinfer.client import Client  # noqa: PLC0415 - an optional library

        with self._lock:
            if self._client is None:
                access = self._access
                self._client = Client(
                    access.target,
                    token=access.token or None,
                    tls=access.tls,
                    root_certificates=access.root_certificates,
                )
            return self._client


def _operation(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise InputError(f"{name[:80]!r} is not the name of a proof.", "Choose one of the list.")
    return f"operations/proofs/{name}"
