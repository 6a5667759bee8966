"""Connection settings of a client: the server's address and the caller's credentials."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TypedDict

import grpc
from grpc import aio

from zkinfer.circuits.errors import InputError

_HOST = re.compile(r"(?:(?:dns|ipv4|ipv6):/*)?(?P<host>\[[^\]]+\]|[^:/]+)(?::\d+)?")
_MAX_BYTES = 64 << 20
_OPTIONS = [
    ("grpc.max_receive_message_length", _MAX_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),  # keeps idle connections alive through middleboxes during long waits
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]


class Options(TypedDict, total=False):
    """The fields of a `Connection` except the target."""

    token: str | None
    tls: bool
    root_certificates: bytes | None
    private_key: bytes | None
    certificate_chain: bytes | None
    insecure_send_token: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The address of a server, and how to authenticate.

    Args:
        target: `host:port` or `unix:/path`.
        token: bearer token; not sent to another machine without TLS unless `insecure_send_token` is set.
        tls: use TLS with the CAs of the system; implied by the next three.
        root_certificates: PEM of the CAs to trust instead.
        private_key: PEM, for mutual TLS; needs the certificate chain.
        certificate_chain: PEM.
        insecure_send_token: send the token without TLS.

    Raises:
        InputError: the target is a URL or has no port, a token would be sent without TLS, or only one of private key
            and certificate chain is given.
    """

    target: str
    token: str | None = None
    tls: bool = False
    root_certificates: bytes | None = None
    private_key: bytes | None = None
    certificate_chain: bytes | None = None
    insecure_send_token: bool = False

    def __post_init__(self) -> None:
        if (self.private_key is None) != (self.certificate_chain is None):
            raise InputError("A private key and its certificate chain belong together.")
        if self.token and not (self.encrypted or self.insecure_send_token or is_local(self.target)):
            raise InputError(
                f"The token would be sent without TLS to {self.target}.", "Use TLS, or set insecure_send_token."
            )
        if ":" not in self.target or self.target.startswith(("http:", "https:")):  # gRPC would resolve them differently
            raise InputError(f"{self.target!r:.120} is not a server address.", "Write host:port or unix:/path.")

    @property
    def encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return self.tls or self.root_certificates is not None or self.private_key is not None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of every call."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def channel(self) -> grpc.Channel:
        """A blocking channel."""
        if self.encrypted:
            return grpc.secure_channel(self.target, self._credentials(), _OPTIONS)
        return grpc.insecure_channel(self.target, _OPTIONS)

    def aio_channel(self) -> aio.Channel:
        """A channel for the running event loop."""
        if self.encrypted:
            return aio.secure_channel(self.target, self._credentials(), _OPTIONS)
        return aio.insecure_channel(self.target, _OPTIONS)

    def _credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.root_certificates, self.private_key, self.certificate_chain)

    def __repr__(self) -> str:
        return f"Connection({self.target!r})"


def is_local(target: str) -> bool:
    """Whether a target is certainly on this machine."""
    if target.startswith("unix:"):
        return True
    match = _HOST.fullmatch(target)
    host = match["host"].strip("[]") if match else ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
