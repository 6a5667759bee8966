import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.verifier.forge import ATTACKER, OWNER, P256

from zkinfer.circuits.errors import InputError
from zkinfer.verifier import PublicKey, SignatureError, SigningKey

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
both = pytest.mark.parametrize("key", [OWNER, P256], ids=["ed25519", "p256"])


def spki(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@both
def test_signature_of_the_same_content_verifies(key):
    PublicKey(key.public.der).verify(b"content", key.sign(b"content"))


@both
def test_signature_of_other_content_is_refused(key):
    with pytest.raises(SignatureError, match="does not match the key and the content"):
        key.public.verify(b"other", key.sign(b"content"))


@both
def test_signature_by_another_key_is_refused(key):
    forged = SigningKey.generate(key.public.algorithm).sign(b"content")
    with pytest.raises(SignatureError, match="does not match"):
        key.public.verify(b"content", forged)


@both
def test_every_flipped_bit_of_a_signature_is_refused(key):
    signature = key.sign(b"content")
    for bit in range(512):
        altered = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")
        with pytest.raises(SignatureError, match="signature"):
            key.public.verify(b"content", altered)


@both
@pytest.mark.parametrize("length", [0, 63, 65, 72])
def test_signature_of_the_wrong_length_is_refused(key, length):
    with pytest.raises(SignatureError, match=f"has {length} bytes, not 64"):
        key.public.verify(b"content", (key.sign(b"content") + bytes(8))[:length])


def test_high_s_is_refused():
    signature = P256.sign(b"content")
    high = signature[:32] + (ORDER - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    with pytest.raises(SignatureError, match="its s is high"):
        P256.public.verify(b"content", high)


@pytest.mark.parametrize("number", [0, ORDER, ORDER + 1, 2**256 - 1])
def test_number_outside_the_group_is_refused(number):
    with pytest.raises(SignatureError, match="outside the range of P-256"):
        P256.public.verify(b"content", number.to_bytes(32, "big") + bytes(31) + b"\x01")
    with pytest.raises(SignatureError, match="outside the range of P-256"):
        P256.public.verify(b"content", bytes(31) + b"\x01" + number.to_bytes(32, "big"))


def test_shifted_s_of_ed25519_is_refused():
    order = 2**252 + 27742317777372353535851937790883648493
    signature = OWNER.sign(b"content")
    shifted = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    with pytest.raises(SignatureError, match="does not match"):
        OWNER.public.verify(b"content", signature[:32] + shifted)


@given(st.binary(max_size=64))
@settings(max_examples=50)
def test_p256_always_signs_with_low_s(data):
    assert int.from_bytes(P256.sign(data)[32:], "big") <= ORDER // 2


@both
def test_signature_is_deterministic(key):
    assert key.sign(b"content") == key.sign(b"content")


def test_fingerprint_is_stable():
    assert OWNER.public.fingerprint == "sha256:fd110d301d2f077de1414b8f99f441b1403fab207b2052fbd2c065e4ee8e7dc2"


@pytest.mark.parametrize("other", [spki(ed448.Ed448PrivateKey.generate().public_key()), None], ids=["ed448", "rsa"])
def test_key_of_another_kind_is_refused(other):
    der = other or spki(rsa.generate_private_key(65537, 1024).public_key())
    with pytest.raises(SignatureError, match="neither Ed25519 nor P-256"):
        PublicKey(der)


def test_key_on_another_curve_is_refused():
    with pytest.raises(SignatureError, match="neither Ed25519 nor P-256"):
        PublicKey(spki(ec.generate_private_key(ec.SECP256K1()).public_key()))
    with pytest.raises(InputError, match="curve secp256k1 are not supported"):
        SigningKey(ec.generate_private_key(ec.SECP256K1()))


@pytest.mark.parametrize("der", [b"", b"\x00" * 44, OWNER.public.der[:-1], P256.public.der[:-1] + b"\x00"])
def test_malformed_key_is_refused(der):
    with pytest.raises(SignatureError, match="public key"):
        PublicKey(der)


def test_compressed_point_is_refused():
    compressed = bytes([2 + P256.public.der[-1] % 2]) + P256.public.der[27:59]
    der = b"\x30\x39" + P256.public.der[2:23] + b"\x03\x22\x00" + compressed
    with pytest.raises(SignatureError, match=r"canonical encoding|not one"):
        PublicKey(der)


def test_trailing_byte_after_a_key_is_refused():
    with pytest.raises(SignatureError, match="public key"):
        PublicKey(OWNER.public.der + b"\x00")


def test_secret_is_hidden_in_the_repr():
    secret = b"\x01" * 32
    shown = f"{OWNER!r} {OWNER} {OWNER.public!r}"
    assert secret.hex() not in shown
    assert base64.b64encode(secret).decode() not in shown


def test_keys_compare_by_encoding():
    assert PublicKey(OWNER.public.der) == OWNER.public
    assert len({OWNER.public, PublicKey(OWNER.public.der), ATTACKER.public}) == 2


def test_ephemeral_keys_differ():
    assert SigningKey.ephemeral().public != SigningKey.ephemeral().public
