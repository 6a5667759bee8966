"""Who calls: by bearer token, by the certificate of mutual TLS, or anybody where that was said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import InputError
from zkinfer.service.errors import UnauthenticatedError
from zkinfer.service.identity import ANONYMOUS, Identity, Rights, identity_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zkinfer.service.tokens import TokenFile

_SCHEME = "bearer "
OPEN_METHODS = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.health.v1.Health/List",
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
    }
)
"""What a load balancer asks; it has no token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Tells who calls.

    Args:
        tokens: the file of tokens.
        certificates: whether every connection has shown a certificate of our own authority.
        subjects: rights by common name; None takes every such certificate, with all rights. Where there are some,
            a token lets nobody in whose certificate is not among them; it says more exactly who calls.
        local: whether only this machine can call; then anybody may, as long as there never was a file of tokens.
        anonymous: let in everybody who shows nothing.
    """

    tokens: TokenFile
    certificates: bool = False
    subjects: Mapping[str, Rights] | None = None
    local: bool = False
    anonymous: bool = False

    def identify(self, metadata: Iterable[tuple[str, str | bytes]], names: Iterable[bytes]) -> Identity:
        """Who calls.

        Args:
            metadata: of the call.
            names: common names of the certificate that the connection showed.

        Raises:
            UnauthenticatedError: nobody that is known.
            TokenFileError: see `TokenFile.identify`, and `TokenFile.exists`.
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
                "The token is not valid.", "It is misspelt, expired or revoked: ask for a new one."
            )
        return identity

    def _by_certificate(self, names: list[str]) -> Identity:
        try:
            name = identity_name(names[0] if len(names) == 1 else "")
        except InputError as err:
            raise UnauthenticatedError(
                "The certificate's common name names no identity.",
                "It needs exactly one, of lower-case letters, digits and . _ @ -.",
            ) from err
        if self.subjects is None:
            return Identity(name=name)
        rights = self.subjects.get(name)
        if rights is None:
            raise UnauthenticatedError(f"The certificate of {name} is not among those that are let in.")
        return Identity(name=name, rights=rights)
