"""Settings of the page, and the addresses at which it may listen."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from zkinfer.circuits.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_LISTEN: Final = "127.0.0.1:8642"
DEFAULT_UPLOAD: Final = 64 << 20
_LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+|localhost)):(?P<port>[0-9]{1,5})")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]{1,253})(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?"
)
_TOKEN = re.compile(r"[\x21-\x7e]*")


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address to listen at; `port` is 0 for any free port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `127.0.0.1:8642` or `[::1]:8642`; raises InputError."""
        match = _ADDRESS.fullmatch(text)
        host = "" if match is None else match["six"] or match["four"].replace("localhost", "127.0.0.1")
        try:
            known = ipaddress.ip_address(host)
        except ValueError:
            known = None
        if match is None or known is None or int(match["port"]) > 65_535:
            raise InputError(f"{text!r:.120} is not an address.", f"Write it as {DEFAULT_LISTEN} or [::1]:8642.")
        return cls(host, int(match["port"]))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def name(self) -> str:
        """The host as a URL has it."""
        return f"[{self.host}]" if ":" in self.host else self.host


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """The HTTP interface of a running `zkinfer serve` to browse. The token stays in this process.

    Args:
        url: such as `http://127.0.0.1:8000`, or with a path below which a proxy serves it.
        token: bearer token; empty for none.
        root_certificates: PEM of the CAs to trust under `https`; None for those of the system.

    Raises:
        InputError: the URL or the token is malformed, the token would be sent to another machine without TLS, or there
            are CAs without TLS.
    """

    url: str
    token: str = ""
    root_certificates: bytes | None = None

    def __post_init__(self) -> None:
        match = _URL.fullmatch(self.url)
        if match is None:
            raise InputError(
                f"{_without_secrets(self.url)!r:.120} is not the URL of a server.",
                "Write it as http://127.0.0.1:8000: the address of `zkinfer serve --rest`, not that of gRPC.",
            )
        if _TOKEN.fullmatch(self.token) is None:
            raise InputError("The token has spaces or characters beyond ASCII.", "The file must hold nothing else.")
        encrypted = match["scheme"] == "https"
        if self.token and not encrypted and not _is_loopback(match["host"]):
            raise InputError(f"The token would be sent without TLS to {match['host']}.", "Write the URL with https.")
        if self.root_certificates is not None and not encrypted:
            raise InputError("CAs have no effect without TLS.", "Write the URL with https.")

    def __repr__(self) -> str:
        return f"ServerAccess({self.url!r})"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _without_secrets(url: str) -> str:
    """A URL without user, password and query, which may be secret."""
    return url.partition("?")[0].rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class ChainAccess:
    """A ledger whose records can be required. The URL of the node, which may contain a key, stays in this process.

    Args:
        url: of a node.
        ledger: its address in lower case, or the address book of its deployment.
        confirmations: blocks that a record needs; None requires a finalized block.
    """

    url: str
    ledger: str | Path
    confirmations: int | None = None

    def __repr__(self) -> str:
        return f"ChainAccess({self.ledger!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class UiSettings:
    """Everything that the operator of the page chooses.

    Args:
        address: where to listen.
        host_names: names besides the address under which browsers may ask for the page, in lower case.
        max_upload: bytes of one form with all of its files.
        server: the server to browse; None for none.
        chain: the ledger to compare with; None for none.
        insecure_no_tls: accept connections from other machines, which are not encrypted.

    Raises:
        InputError: another machine could connect, and the option that allows it is missing; or a name is malformed.
    """

    address: Address
    host_names: tuple[str, ...] = ()
    max_upload: int = DEFAULT_UPLOAD
    server: ServerAccess | None = None
    chain: ChainAccess | None = None
    insecure_no_tls: bool = False

    def __post_init__(self) -> None:
        if not self.address.is_loopback and not self.insecure_no_tls:
            raise InputError(
                f"Other machines could connect to {self.address.host}, without encryption.",
                "Listen at a loopback address, such as 127.0.0.1, behind a proxy with TLS or an SSH tunnel; or add "
                "--insecure-no-tls.",
            )
        for name in self.host_names:
            if _NAME.fullmatch(name) is None:
                raise InputError(f"{name!r:.80} is not a host name.", "Write it in lower case, without scheme or port.")

    @property
    def hosts(self) -> frozenset[str]:
        """The names that a request may address, as a URL has them, without port."""
        own = _LOOPBACK_NAMES if self.address.is_loopback else (self.address.name,)
        return frozenset((*own, *self.host_names))
