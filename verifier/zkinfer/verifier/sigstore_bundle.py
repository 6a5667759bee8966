"""Attestations as Sigstore bundles, in which other tools store, index and verify them.

An attestation is a DSSE envelope, and so is the content of a bundle (https://docs.sigstore.dev/about/bundle/, v0.3).
Only the form of an ECDSA signature differs: DER there, r and s here. A bundle names the key by a hint; the key itself
stays in the statement. Nothing is verified here, and converting back gives the same attestation.
"""

from __future__ import annotations

import base64
from typing import Annotated, Final, Literal

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import Digest
from zkinfer.verifier.attestation import Attestation
from zkinfer.verifier.errors import MalformedAttestationError
from zkinfer.verifier.signing import PublicKey, normalised_signature
from zkinfer.verifier.statement import (
    MAX_BYTES,
    PAYLOAD_TYPE,
    Envelope,
    Statement,
    first_problem,
    from_base64,
    refuse_oversized,
    to_base64,
)

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True)


class _Signature(_Part):
    sig: Annotated[str, Field(max_length=256)]


class _Dsse(_Part):
    payload: str
    payload_type: Literal["application/vnd.in-toto+json"]
    signatures: Annotated[tuple[_Signature, ...], Field(min_length=1, max_length=1)]


class _Bundle(_Part):
    media_type: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"]
    dsse_envelope: _Dsse


def to_bundle(attestation: Attestation) -> bytes:
    """The bundle of an attestation, as JSON.

    Raises:
        SignatureError: the key that the attestation names is malformed.
    """
    key = PublicKey(attestation.signer_key)
    hint = base64.b64encode(Digest.parse(key.fingerprint).value).decode()
    envelope = attestation.envelope
    signature = {"keyid": envelope.keyid, "sig": to_base64(_foreign(envelope.signature, key))}
    document = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": to_base64(envelope.payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [signature],
        },
    }
    return canonical.dump(document)


def from_bundle(data: bytes) -> Attestation:
    """The attestation in a bundle; its verification material is dropped, since the statement names the key.

    Raises:
        AttestationTooLargeError, UnsupportedVersionError, MalformedAttestationError: not the bundle of an attestation.
        SignatureError: the key that the statement names is malformed.
        JsonError: not strict JSON.
    """
    refuse_oversized(len(data))
    canonical.load(data, max_bytes=MAX_BYTES, what="bundle")
    try:
        dsse = _Bundle.model_validate_json(data).dsse_envelope
    except ValidationError as err:
        raise MalformedAttestationError(
            f"The bundle is malformed: {first_problem(err)}.", "It must be a Sigstore bundle v0.3 with one signature."
        ) from err
    payload = from_base64(dsse.payload, "payload")
    key = PublicKey(from_base64(Statement.from_bytes(payload).predicate.signer.public_key, "public key"))
    signature = _own(from_base64(dsse.signatures[0].sig, "signature"), key)
    return Attestation.from_bytes(Envelope(payload, key.fingerprint, signature).to_bytes())


def _foreign(signature: bytes, key: PublicKey) -> bytes:
    if key.algorithm == "ed25519":
        return signature
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


def _own(signature: bytes, key: PublicKey) -> bytes:
    if key.algorithm == "ed25519":
        return signature
    try:
        return normalised_signature(*decode_dss_signature(signature))
    except (ValueError, OverflowError) as err:
        raise MalformedAttestationError("The signature in the bundle is not ECDSA in DER.") from err
