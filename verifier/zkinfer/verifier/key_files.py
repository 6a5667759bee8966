"""Key files: PKCS#8 PEM for signing keys, SubjectPublicKeyInfo PEM for public keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.storage import read_file, read_private_file
from zkinfer.verifier.errors import KeyFileError, SignatureError
from zkinfer.verifier.signing import PublicKey, SigningKey

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_MAX_BYTES = 1 << 16


def save_signing_key(
    key: SigningKey, path: Path, *, passphrase: bytes | None = None, unsafe_unencrypted: bool = False
) -> None:
    """Write a signing key to a new file with mode 0600, encrypted with the passphrase.

    Args:
        key: the key.
        path: must not exist.
        passphrase: must not be empty.
        unsafe_unencrypted: write the key unencrypted; excludes a passphrase.

    Raises:
        KeyFileError: the file exists or cannot be written, or not exactly one of `passphrase` and
            `unsafe_unencrypted` is given.
    """
    if bool(passphrase) == unsafe_unencrypted:
        raise KeyFileError("A signing key must be encrypted.", "Give either a passphrase or unsafe_unencrypted.")
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    _write_new(path, key.to_pem(encryption), mode=0o600)


def load_signing_key(path: Path, *, passphrase: bytes | None = None) -> SigningKey:
    """Read a signing key.

    Raises:
        KeyFileError: the file is missing, readable by others, not a signing key or of an unsupported kind, or the
            passphrase is wrong, missing or superfluous.
    """
    private = _decrypt(_read(path, private=True), passphrase or None, path)
    if not isinstance(private, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise KeyFileError(f"{path} holds another kind of key.", "Use Ed25519 or P-256.")
    try:
        return SigningKey(private)
    except InputError as err:
        raise KeyFileError(f"{path} cannot be used. {err.cause}", err.cure) from err


def is_encrypted(path: Path) -> bool:
    """Whether a signing key is encrypted; raises KeyFileError as `load_signing_key` for an unusable file."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in _read(path, private=True)


def save_public_key(key: PublicKey, path: Path) -> None:
    """Write a public key to a new file; raises KeyFileError if it exists or cannot be written."""
    loaded = serialization.load_der_public_key(key.der)
    pem = loaded.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write_new(path, pem, mode=0o644)


def load_public_key(path: Path) -> PublicKey:
    """Read a public key; raises KeyFileError if the file is missing or has other content."""
    pem = _read(path, private=False)
    try:
        loaded = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as err:
        raise KeyFileError(f"{path} is not a public key in PEM.", "Give the public key, not the signing key.") from err
    try:
        return PublicKey(
            loaded.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    except SignatureError as err:
        raise KeyFileError(f"{path} holds another kind of key.", "Use Ed25519 or P-256.") from err


def _decrypt(pem: bytes, passphrase: bytes | None, path: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(pem, passphrase)
    except TypeError as err:  # cryptography raises it for a missing or superfluous passphrase
        missing = passphrase is None
        raise KeyFileError(
            f"{path} is encrypted." if missing else f"{path} is not encrypted.",
            "Give its passphrase." if missing else "Omit the passphrase.",
        ) from err
    except (ValueError, UnsupportedAlgorithm) as err:
        raise KeyFileError(
            f"{path} cannot be read as a signing key.", "The passphrase is wrong, or the file is damaged or not a key."
        ) from err


def _write_new(path: Path, data: bytes, *, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as err:
        raise KeyFileError(f"{path} exists already.", "Choose another name: keys are never overwritten.") from err
    except OSError as err:
        raise KeyFileError(f"{path} cannot be written: {err.strerror}.") from err


def _read(path: Path, *, private: bool) -> bytes:
    try:
        data = (read_private_file if private else read_file)(path, max_bytes=_MAX_BYTES)
    except InputError as err:
        raise KeyFileError(err.cause, err.cure) from err
    if not data:
        raise KeyFileError(f"{path} is not a key file.")
    return data
