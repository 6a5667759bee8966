"""Signing keys and public keys, and their files: Ed25519, and ECDSA on P-256.

Signatures are not malleable. Those of Ed25519 are unique; of the two ECDSA signatures (r, s) and (r, -s) only the one
with the smaller s is valid, encoded as 64 bytes r || s instead of DER. Files are PKCS#8 PEM for
signing keys and SubjectPublicKeyInfo PEM for public keys.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.storage import read_file, read_private_file
from zkinfer.verifier.errors import KeyFileError, SignatureError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from zkinfer.verifier.statement import Algorithm


PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
SIGNATURE_BYTES = 64
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ECDSA = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)  # RFC 6979: independent of random nonces


class PublicKey:
    """A public key that verifies signatures. Keys are equal if their encodings are.

    Args:
        der: a SubjectPublicKeyInfo in DER.

    Raises:
        SignatureError: not the canonical encoding of an Ed25519 or P-256 key.
    """

    __slots__ = ("_key", "algorithm", "der")

    def __init__(self, der: bytes) -> None:
        self._key = _load(der)
        self.der = der
        self.algorithm: Algorithm = "ed25519" if isinstance(self._key, ed25519.Ed25519PublicKey) else "ecdsa-p256"

    @property
    def fingerprint(self) -> str:
        """`sha256:` and the hex digest of the DER encoding."""
        return str(sha256(self.der))

    @property
    def raw(self) -> bytes:
        """The key alone: 32 bytes of an Ed25519 key, 65 of an uncompressed point on P-256."""
        if isinstance(self._key, ed25519.Ed25519PublicKey):
            return self._key.public_bytes_raw()
        return self._key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)

    def verify(self, data: bytes, signature: bytes) -> None:
        """Verify a signature over `data`; raises SignatureError if it is invalid."""
        if len(signature) != SIGNATURE_BYTES:
            raise SignatureError(f"The signature has {len(signature)} bytes, not {SIGNATURE_BYTES}.")
        try:
            if isinstance(self._key, ed25519.Ed25519PublicKey):
                self._key.verify(signature, data)
            else:
                self._key.verify(_der_signature(signature), data, _ECDSA)
        except InvalidSignature as err:
            raise SignatureError(
                "The signature does not match the key and the content.",
                "The attestation was altered after it was signed, or signed with another key.",
            ) from err

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    def __repr__(self) -> str:
        return f"PublicKey({self.algorithm}, {self.fingerprint})"


class Signer(Protocol):
    """Signs attestations: a `SigningKey`, or a key in a hardware module."""

    @property
    def public(self) -> PublicKey:
        """The key that verifies the signatures."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Sign bytes, in the format of `PublicKey.verify`."""
        ...


class SigningKey:
    """A private key in memory, which is never printed.

    Args:
        private: an Ed25519 key, or an elliptic-curve key on P-256; InputError for any other.
    """

    __slots__ = ("_private", "public")

    def __init__(self, private: PrivateKey) -> None:
        if isinstance(private, ec.EllipticCurvePrivateKey) and not isinstance(private.curve, ec.SECP256R1):
            raise InputError(f"Keys on the curve {private.curve.name} are not supported.", "Use Ed25519 or P-256.")
        self._private = private
        self.public = PublicKey(_spki(private.public_key()))

    @classmethod
    def generate(cls, algorithm: Algorithm = "ed25519") -> Self:
        """Generate a new key."""
        if algorithm == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.generate())
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def ephemeral(cls) -> Self:
        """Generate a key for a single attestation: it protects the integrity of the file and identifies no signer."""
        return cls.generate()

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Parse unencrypted output of `to_pem`, which passes keys between our processes; raises InputError."""
        try:
            private = serialization.load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as err:
            raise InputError("The text is not an unencrypted signing key in PEM.") from err
        if not isinstance(private, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
            raise InputError("The key is of an unsupported kind.", "Use Ed25519 or P-256.")
        return cls(private)

    def sign(self, data: bytes) -> bytes:
        """Sign bytes; the signature has 64 bytes for both algorithms."""
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return self._private.sign(data)
        return normalised_signature(*decode_dss_signature(self._private.sign(data, _ECDSA)))

    def to_pem(self, encryption: serialization.KeySerializationEncryption) -> bytes:
        """Encode the private key as PKCS#8; `save_signing_key` chooses the encryption."""
        return self._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    def __repr__(self) -> str:
        return f"SigningKey({self.public.algorithm}, {self.public.fingerprint})"


def normalised_signature(r: int, s: int) -> bytes:
    """An ECDSA signature on P-256 in the one form that is valid here; raises OverflowError above 32 bytes."""
    return r.to_bytes(32, "big") + min(s, max(_ORDER - s, 0)).to_bytes(32, "big")


def _load(der: bytes) -> ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as err:
        raise SignatureError("The signer's public key is malformed.", "It was altered or damaged.") from err
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        known: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey = key
    elif isinstance(key, ed25519.Ed25519PublicKey):
        known = key
    else:
        raise SignatureError("The signer's public key is neither Ed25519 nor P-256.")
    if _spki(known) != der:
        raise SignatureError("The signer's public key is not in its canonical encoding.", "It was altered.")
    return known


def _spki(key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _der_signature(signature: bytes) -> bytes:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < _ORDER and 0 < s < _ORDER):
        raise SignatureError("The signature holds a number outside the range of P-256.")
    if s > _ORDER // 2:
        raise SignatureError(
            "The signature is not in its normal form: its s is high.",
            "It was altered, or made by software that does not normalise ECDSA.",
        )
    return encode_dss_signature(r, s)


_MAX_FILE_BYTES = 1 << 16


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
        data = (read_private_file if private else read_file)(path, max_bytes=_MAX_FILE_BYTES)
    except InputError as err:
        raise KeyFileError(err.cause, err.cure) from err
    if not data:
        raise KeyFileError(f"{path} is not a key file.")
    return data
