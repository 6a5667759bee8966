"""Options to connect to a server of zkinfer over gRPC. Secrets are read from files, as arguments are seen by others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from zkinfer.client.connection import Options

TokenFile = Annotated[Path | None, typer.Option(help="File with your bearer token, for --server.")]
Tls = Annotated[bool, typer.Option("--tls", help="Use TLS with the CAs of the system.")]
RootCertificates = Annotated[Path | None, typer.Option(help="Use TLS with these CAs (PEM).")]
Certificate = Annotated[Path | None, typer.Option(help="Your certificate chain (PEM), for mutual TLS.")]
Key = Annotated[Path | None, typer.Option(help="Its private key (PEM).")]


@dataclass(frozen=True, slots=True)
class ServerConnection:
    """Options to connect to a server, if one is named."""

    server: Annotated[str | None, typer.Option(metavar="ADDR", help="Ask this server, host:port.")] = None
    token_file: TokenFile = None
    tls: Tls = False
    tls_roots: RootCertificates = None
    tls_certificate: Certificate = None
    tls_key: Key = None

    @property
    def options(self) -> Options:
        """What the client needs; raises InputError if a file cannot be read."""
        token = self.token_file
        return {
            "token": None if token is None else _read(token).decode("ascii", "replace").strip(),
            "tls": self.tls,
            "root_certificates": None if self.tls_roots is None else _read(self.tls_roots),
            "private_key": None if self.tls_key is None else _read(self.tls_key),
            "certificate_chain": None if self.tls_certificate is None else _read(self.tls_certificate),
        }

    def refuse_unused(self) -> None:
        """Raise InputError if there are options without a server."""
        from zkinfer.circuits.errors import InputError

        if self.server is None and self != ServerConnection():
            raise InputError("Token and TLS options need a server.", "Name it with --server.")


def _read(path: Path) -> bytes:
    from zkinfer.circuits.errors import InputError, why

    try:
        return path.read_bytes()
    except OSError as err:
        raise InputError(f"{path} cannot be read: {why(err)}.") from err
