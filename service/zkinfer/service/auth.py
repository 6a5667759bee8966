"""Authentication: by bearer token, by client certificate, or anonymous if configured."""

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
"""Health checks, which load balancers call without a token."""


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
