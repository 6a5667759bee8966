"""A Sigstore instance in memory: certificate authority, certificate log and transparency log, each with one fixed key.

It signs what a keyless signer would have signed online, so that offline verification can be tested.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

START = datetime(2026, 1, 1, tzinfo=UTC)
SIGNED_AT = START + timedelta(minutes=5)
ISSUER_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
SCT_OID = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
AUTHORITY, CERTIFICATES, LOG, SIGNER = (ec.derive_private_key(number, ec.SECP256R1()) for number in (71, 72, 73, 74))
TYPE = "application/vnd.in-toto+json"


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def der(key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key) -> bytes:
    return hashlib.sha256(der(key)).digest()


def signature(key, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def usage(**allowed):
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**(dict.fromkeys(names, False) | allowed))


def authority() -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority.example")])
    builder = x509.CertificateBuilder(name, name, AUTHORITY.public_key(), 1, START, START + timedelta(days=3650))
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(AUTHORITY.public_key()), critical=False)
        .sign(AUTHORITY, hashes.SHA256())
    )


def certificate(identity: str, issuer: str, receipt: bytes) -> x509.Certificate:
    """A certificate for ten minutes with the receipt of the certificate log."""
    root = authority()
    times = (START, START + timedelta(minutes=10))
    builder = x509.CertificateBuilder(root.subject, x509.Name([]), SIGNER.public_key(), 2, *times)
    return (
        builder.add_extension(usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(AUTHORITY.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(identity)]), critical=True)
        .add_extension(x509.UnrecognizedExtension(ISSUER_OID, issuer.encode()), critical=False)
        .add_extension(x509.UnrecognizedExtension(SCT_OID, receipt), critical=False)
        .sign(AUTHORITY, hashes.SHA256())
    )


def receipt(signed: bytes) -> bytes:
    """The extension of a certificate that holds one signed certificate timestamp (RFC 6962, 3.3)."""
    moment = struct.pack("!Q", int(START.timestamp() * 1000))
    stamp = b"\0" + key_id(CERTIFICATES) + moment + b"\0\0" + b"\x04\x03" + struct.pack("!H", len(signed)) + signed
    listed = struct.pack("!HH", len(stamp) + 2, len(stamp)) + stamp
    return b"\x04" + (b"\x81" if len(listed) > 127 else b"") + bytes([len(listed)]) + listed


def logged_certificate(identity: str, issuer: str) -> x509.Certificate:
    tbs = certificate(identity, issuer, receipt(bytes(70))).tbs_precertificate_bytes
    moment = int(START.timestamp() * 1000)
    entry = key_id(AUTHORITY) + struct.pack("!I", len(tbs))[1:] + tbs
    signed = signature(CERTIFICATES, struct.pack("!BBQH", 0, 0, moment, 1) + entry + b"\0\0")
    return certificate(identity, issuer, receipt(signed))


def log_entry(payload: bytes, signed: bytes, signer: x509.Certificate) -> dict:
    """The only entry of the transparency log."""
    pem = signer.public_bytes(serialization.Encoding.PEM)
    spec = {
        "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": [{"signature": text(signed), "verifier": text(pem)}],
    }
    body = dump({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
    moment = int(SIGNED_AT.timestamp())
    promise = {"body": text(body), "integratedTime": moment, "logID": key_id(LOG).hex(), "logIndex": 0}
    root = hashlib.sha256(b"\0" + body).digest()
    note = f"log.example\n1\n{text(root)}\n"
    checkpoint = f"{note}\n\N{EM DASH} log.example {text(key_id(LOG)[:4] + signature(LOG, note.encode()))}\n"
    return {
        "logIndex": "0",
        "logId": {"keyId": text(key_id(LOG))},
        "kindVersion": {"kind": "dsse", "version": "0.0.1"},
        "integratedTime": str(moment),
        "inclusionPromise": {"signedEntryTimestamp": text(signature(LOG, dump(promise)))},
        "inclusionProof": {
            "logIndex": "0",
            "rootHash": text(root),
            "treeSize": "1",
            "hashes": [],
            "checkpoint": {"envelope": checkpoint},
        },
        "canonicalizedBody": text(body),
    }


def bundle(payload: bytes, identity: str, issuer: str) -> dict:
    """The bundle that a keyless signer would have made."""
    signer = logged_certificate(identity, issuer)
    signed = signature(SIGNER, f"DSSEv1 {len(TYPE)} {TYPE} {len(payload)} ".encode() + payload)
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": text(signer.public_bytes(serialization.Encoding.DER))},
            "tlogEntries": [log_entry(payload, signed, signer)],
        },
        "dsseEnvelope": {"payload": text(payload), "payloadType": TYPE, "signatures": [{"sig": text(signed)}]},
    }


def trust_config() -> dict:
    """The file that says which authority and which logs to trust."""

    def log(name: str, key) -> dict:
        return {
            "baseUrl": f"https://{name}",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": text(der(key)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": "2025-01-01T00:00:00Z"},
            },
            "logId": {"keyId": text(key_id(key))},
        }

    service = {"majorApiVersion": 1, "validFor": {"start": "2025-01-01T00:00:00Z"}, "operator": "example"}
    return {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log("log.example", LOG)],
            "certificateAuthorities": [
                {
                    "subject": {"organization": "example", "commonName": "authority.example"},
                    "uri": "https://authority.example",
                    "certChain": {
                        "certificates": [{"rawBytes": text(authority().public_bytes(serialization.Encoding.DER))}]
                    },
                    "validFor": {"start": "2025-01-01T00:00:00Z"},
                }
            ],
            "ctlogs": [log("certificates.example", CERTIFICATES)],
            "timestampAuthorities": [],
        },
        "signingConfig": {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [{"url": "https://authority.example", **service}],
            "oidcUrls": [{"url": "https://issuer.example", **service}],
            "rekorTlogUrls": [{"url": "https://log.example", **service}],
            "tsaUrls": [],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {"selector": "ANY"},
        },
    }


def dump(document: dict) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
