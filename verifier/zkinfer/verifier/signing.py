"""Signing keys and public keys: Ed25519, and ECDSA on P-256.

Signatures are not malleable. Those of Ed25519 are unique; of the two ECDSA signatures (r, s) and (r, -s) only the one
with the smaller s is valid, encoded as 64 bytes r || s instead of DER.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import InputError
from zkinfer.verifier.errors import SignatureError

if TYPE_CHECKING:
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
        r, s = decode_dss_signature(self._private.sign(data, _ECDSA))
        return r.to_bytes(32, "big") + min(s, _ORDER - s).to_bytes(32, "big")

    def to_pem(self, encryption: serialization.KeySerializationEncryption) -> bytes:
        """Encode the private key as PKCS#8; `key_files` chooses the encryption."""
        return self._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    def __repr__(self) -> str:
        return f"SigningKey({self.public.algorithm}, {self.public.fingerprint})"


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
