"""Trust roots with fixed keys and times."""

from __future__ import annotations

from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from tests.unit.verifier.forge import NOW, OWNER

from zkinfer.verifier import SigningKey
from zkinfer.verifier.statement import to_base64
from zkinfer.verifier.trustroot.publisher import changed, new_root, signed_by

YEAR, DAY = timedelta(days=365), timedelta(days=1)
KEYS = [SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in range(11, 16)]
KEYS.append(SigningKey(ec.derive_private_key(0xFEDCBA, ec.SECP256R1())))
A, B, C, D, E, P256 = KEYS
MODEL, CIRCUIT, OTHER = "sha256:" + "5a" * 32, "0x" + "c1" * 32, "sha256:" + "07" * 32
LOG = SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x21" * 32))


def begun(*keys, threshold=1, name="acme.example", now=NOW, lifetime=YEAR, setups=("perpetual-powers-of-tau",)):
    """The unsigned first version."""
    return new_root(
        name,
        [key.public for key in keys or (A,)],
        threshold=threshold,
        setups=setups,
        engines=["ezkl"],
        now=now,
        lifetime=lifetime,
    )


def signed(file, *keys):
    for key in keys:
        file = signed_by(file, key)
    return file


def first(*keys, **options):
    """The first version, signed by all of its keys."""
    return signed(begun(*keys, **options), *(keys or (A,)))


def following(file, *keys, now=NOW, lifetime=YEAR, **changes):
    """A further version, signed by these keys."""
    return signed(changed(file, changes, now=now, lifetime=lifetime), *keys)


def key_entry(key, **more):
    return {"publicKey": to_base64(key.public.der), **more}


def roots(*keys, threshold=1):
    return {"threshold": threshold, "keys": [key_entry(key) for key in keys]}


def revocation(kind="attestation", id_=OTHER, since=None, reason="a test"):
    return {"kind": kind, "id": id_, "since": since, "reason": reason}


def full(*keys, model=MODEL, circuits="any", signer=OWNER, **changes):
    """A signed root that lists something of everything."""
    content = {
        "models": [{"sha256": model, "circuits": circuits, "label": "digits"}],
        "signers": [key_entry(signer, label="prover 1")],
        "chains": [{"chainId": 31337, "ledger": "0x" + "1e" * 20}],
        "logs": [key_entry(LOG, origin="log.example/1")],
    }
    return following(begun(*keys), *(keys or (A,)), **(content | changes))
