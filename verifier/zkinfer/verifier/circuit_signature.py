"""Signatures of circuit folders by the library `model-signing`, as Sigstore bundles beside the folder.

They say who published a circuit. An auditor needs none, since the verifier rebuilds the circuit; a signature lets the
recipient of a folder, a registry or a server know its publisher. Signing with a local key and both kinds of
verification work offline; only keyless signing needs Sigstore's servers, and is left to the library's own command.

The library decides whether the signature is right. Which files it covers is checked here, since a signature may exclude
files by name: it must list every file of the folder, the manifest included, with its SHA-256, and no other.
"""

from __future__ import annotations

import base64
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.errors import CircuitError, InputError
from zkinfer.circuits.storage import private_directory, read_file
from zkinfer.verifier.errors import KeyFileError
from zkinfer.verifier.signing import load_public_key, load_signing_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zkinfer.circuits.manifest import Circuit

MAX_BYTES: Final = 1 << 22
_PREDICATE: Final = "https://model_signing/signature/v1.0"


def sign_circuit(circuit: Circuit, key: Path, signature: Path, *, passphrase: bytes | None = None) -> None:
    """Sign a circuit folder.

    Args:
        circuit: opened, so that its files are those of its manifest.
        key: a signing key on P-256.
        signature: the bundle to write; must not be in the folder.
        passphrase: of the key.

    Raises:
        KeyFileError: the key cannot be read, or is not on P-256.
        InputError: the signature exists, would be in the folder, or cannot be written.
    """
    from model_signing.signing import Config  # noqa: PLC0415 - of an extra

    if signature.exists() or circuit.folder.resolve() in signature.resolve().parents:
        raise InputError(f"{signature} exists, or is in the circuit folder.", "Choose another name beside the folder.")
    if load_signing_key(key, passphrase=passphrase).public.algorithm != "ecdsa-p256":
        raise _wrong_kind(key)
    password: Any = passphrase  # the library's annotation says text, but it hands bytes to cryptography
    with _signing_errors(signature):
        Config().use_elliptic_key_signer(private_key=key, password=password).sign(circuit.folder, signature)


def require_signature_by_key(circuit: Circuit, signature: Path, key: Path) -> None:
    """Raise unless this key signed all files of a circuit folder.

    Args:
        circuit: opened.
        signature: the bundle.
        key: a public key on P-256.

    Raises:
        CircuitError: the signature is wrong, by another key, malformed, or of other files.
        KeyFileError, InputError: a file cannot be read.
    """
    from model_signing.verifying import Config  # noqa: PLC0415 - of an extra

    if load_public_key(key).algorithm != "ecdsa-p256":
        raise _wrong_kind(key)
    with _covering(circuit, signature) as copy, _refusals(signature):
        Config().use_elliptic_key_verifier(public_key=key).verify(circuit.folder, copy)


def require_keyless_signature(circuit: Circuit, signature: Path, *, identity: str, issuer: str, config: Path) -> None:
    """Raise unless an identity signed all files of a circuit folder with Sigstore; asks no server.

    Args:
        circuit: opened.
        signature: the bundle.
        identity: the signer, such as an e-mail address or the URL of a workflow.
        issuer: the URL of the OpenID Connect issuer that vouched for the identity.
        config: a file with a Sigstore `ClientTrustConfig`, which holds the trusted root.

    Raises:
        CircuitError: the signature is wrong, by another identity, malformed, or of other files.
        InputError: a file cannot be read.
    """
    from model_signing.verifying import Config  # noqa: PLC0415 - of an extra

    read_file(config, max_bytes=MAX_BYTES)
    try:
        verifier = Config().use_sigstore_verifier(identity=identity, oidc_issuer=issuer, trust_config=config)
    except (ValueError, KeyError, TypeError) as err:
        raise InputError(f"{config} is not a Sigstore trust configuration.", "It holds a trusted root.") from err
    with _covering(circuit, signature) as copy, _refusals(signature):
        verifier.verify(circuit.folder, copy)


@contextmanager
def _covering(circuit: Circuit, signature: Path) -> Iterator[Path]:
    """Yield a copy of a bundle that lists exactly the files of the folder; its signature is still to be checked."""
    data = read_file(signature, max_bytes=MAX_BYTES)
    _require_coverage(circuit, signature, data)
    with private_directory() as scratch:
        copy = scratch / "signature"
        copy.write_bytes(data)
        yield copy


def _require_coverage(circuit: Circuit, signature: Path, data: bytes) -> None:
    files = {path.name: sha256_file(path).hex for path in circuit.folder.iterdir()}
    try:
        envelope = canonical.load(data, max_bytes=MAX_BYTES, what="bundle")["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        statement = canonical.load(payload, max_bytes=MAX_BYTES, what="signed statement")
        kind, resources = statement["predicateType"], statement["predicate"]["resources"]
        listed = {one["name"]: one["digest"] for one in resources if one["algorithm"] == "sha256"}
    except (ValueError, KeyError, TypeError) as err:
        raise _malformed(signature) from err
    if kind != _PREDICATE or len(listed) != len(resources):
        raise _malformed(signature)
    if listed != files:
        odd = sorted({name for name in files.keys() | listed.keys() if files.get(name) != listed.get(name)})
        raise CircuitError(
            f"{signature} is of other files than {circuit.folder}: they differ in {odd[0]}.",
            "Ask the publisher for the signature of this circuit.",
        )


def _malformed(signature: Path) -> CircuitError:
    return CircuitError(f"{signature} is not the signature of a folder.", "Ask the publisher for it again.")


def _wrong_kind(key: Path) -> KeyFileError:
    return KeyFileError(
        f"{key} is an Ed25519 key, which signatures of folders do not support.",
        "Make one with: zkinfer keys new --algorithm ecdsa-p256",
    )


@contextmanager
def _signing_errors(signature: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise InputError(f"{signature} cannot be written: {err.strerror}.") from err


@contextmanager
def _refusals(signature: Path) -> Iterator[None]:
    """Translate what the libraries raise for a wrong signature; a missing field of a bundle may be a KeyError."""
    from sigstore.errors import Error, VerificationError  # noqa: PLC0415 - of an extra

    logging.getLogger("sigstore").addHandler(logging.NullHandler())
    try:
        yield
    except (InvalidSignature, ValueError, KeyError, TypeError, IndexError, Error, VerificationError) as err:
        reason = f" {err}" if str(err) else ""
        raise CircuitError(
            f"{signature} is not a valid signature of this circuit by that signer.{reason}"[:500],
            "It was altered, or made by another signer.",
        ) from err
