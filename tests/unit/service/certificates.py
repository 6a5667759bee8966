"""A certificate authority for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


class Authority:
    """Issues certificates; `certificate` is its root certificate in PEM."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._issued = self._build(self._name, self._key.public_key(), authority=True)
        self.certificate = self._issued.public_bytes(serialization.Encoding.PEM)

    def issue(self, common_name: str) -> tuple[bytes, bytes]:
        """Key and certificate for localhost, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._build(_name(common_name), key.public_key(), authority=False)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return pem, certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, folder: Path, common_name: str = "server") -> dict[str, Path]:
        """Write key, certificate and authority to files; returns the paths by the names of the settings."""
        key, certificate = self.issue(common_name)
        paths = {"key": folder / "key.pem", "certificate": folder / "certificate.pem", "client_ca": folder / "ca.pem"}
        for path, data in zip(paths.values(), (key, certificate, self.certificate), strict=True):
            path.write_bytes(data)
        paths["key"].chmod(0o600)
        return paths

    def _build(self, name, public, *, authority):
        now = datetime.now(UTC)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
