"""Certificates for signing C2PA credentials: a root of one's own, and a leaf that C2PA's tools accept.

The profile is that of C2PA 2.2, section 14.5: ECDSA on P-256, a leaf that is no authority, with the key usage
digitalSignature alone and an extended key usage for e-mail protection, both critical, and key identifiers. A leaf that
signs itself is refused by the tools, so there is a root. Its key is forgotten once the leaf is signed: nobody can issue
others under it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.storage import staged_folder
from zkinfer.verifier.signing import SigningKey, save_signing_key

if TYPE_CHECKING:
    from pathlib import Path

DAYS: Final = 365
ROOT: Final = "root.pem"
CHAIN: Final = "chain.pem"
KEY: Final = "signer.key"
_MAX_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Issued:
    """A root, the chain of the leaf (leaf first), both in PEM, and the leaf's key."""

    root: bytes
    chain: bytes
    key: SigningKey


def issue(name: str, *, now: datetime | None = None, days: int = DAYS) -> Issued:
    """Make a root and a leaf.

    Args:
        name: of the signer, as C2PA's tools show it.
        now: with a time zone; default: now.
        days: for which both are valid.

    Raises:
        InputError: the name is empty or longer than 64 characters.
    """
    if not 0 < len(name) <= _MAX_NAME:
        raise InputError(f"The name has {len(name)} characters.", f"Give one of 1 to {_MAX_NAME}.")
    begin = (now or datetime.now(UTC)).replace(microsecond=0) - timedelta(minutes=5)
    root_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name, leaf_name = _name(f"{name} (own root)"[:_MAX_NAME]), _name(name)
    end = begin + timedelta(days=days)
    root = (
        _builder(root_name, root_name, root_key.public_key(), begin, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        _builder(leaf_name, root_name, leaf_key.public_key(), begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(leaf_key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    root_pem, leaf_pem = (one.public_bytes(serialization.Encoding.PEM) for one in (root, leaf))
    return Issued(root_pem, leaf_pem + root_pem, SigningKey(leaf_key))


def write_keys(
    folder: Path, issued: Issued, *, passphrase: bytes | None = None, unsafe_unencrypted: bool = False
) -> None:
    """Write a new folder with `root.pem`, `chain.pem` and the key `signer.key`, readable by its owner alone.

    Raises:
        InputError: the folder exists, or cannot be written.
        KeyFileError: neither or both of `passphrase` and `unsafe_unencrypted`.
    """
    with staged_folder(folder) as content:
        (content / ROOT).write_bytes(issued.root)
        (content / CHAIN).write_bytes(issued.chain)
        save_signing_key(issued.key, content / KEY, passphrase=passphrase, unsafe_unencrypted=unsafe_unencrypted)


def _name(text: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, text), x509.NameAttribute(NameOID.ORGANIZATION_NAME, text)]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    serial = x509.random_serial_number()
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return builder.serial_number(serial).not_valid_before(begin).not_valid_after(end)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
