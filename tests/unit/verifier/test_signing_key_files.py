import os
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.unit.verifier.forge import OWNER, P256

from zkinfer.verifier import (
    KeyFileError,
    SigningKey,
    load_public_key,
    load_signing_key,
    save_public_key,
    save_signing_key,
)

PASSPHRASE = b"correct horse"
both = pytest.mark.parametrize("key", [OWNER, P256], ids=["ed25519", "p256"])


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    save_signing_key(OWNER, path, passphrase=PASSPHRASE)
    return path


def written(path, data, mode=0o600):
    path.write_bytes(data)
    path.chmod(mode)
    return path


def pem(private):
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@both
def test_encrypted_key_round_trips(key, tmp_path):
    save_signing_key(key, tmp_path / "key", passphrase=PASSPHRASE)
    assert load_signing_key(tmp_path / "key", passphrase=PASSPHRASE).public == key.public


@both
def test_public_key_round_trips(key, tmp_path):
    save_public_key(key.public, tmp_path / "key.pub")
    assert load_public_key(tmp_path / "key.pub") == key.public


def test_key_file_is_private_and_encrypted(encrypted):
    assert stat.S_IMODE(encrypted.stat().st_mode) == 0o600
    assert encrypted.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


@pytest.mark.parametrize("passphrase", [None, b""])
def test_writing_an_unencrypted_key_is_refused(tmp_path, passphrase):
    with pytest.raises(KeyFileError, match=r"must be encrypted. Give either a passphrase"):
        save_signing_key(OWNER, tmp_path / "key", passphrase=passphrase)
    assert not (tmp_path / "key").exists()


def test_passphrase_with_unsafe_unencrypted_is_refused(tmp_path):
    with pytest.raises(KeyFileError, match="either a passphrase or"):
        save_signing_key(OWNER, tmp_path / "key", passphrase=PASSPHRASE, unsafe_unencrypted=True)


def test_unencrypted_key_round_trips_if_requested(tmp_path):
    save_signing_key(OWNER, tmp_path / "key", unsafe_unencrypted=True)
    assert load_signing_key(tmp_path / "key").public == OWNER.public


@pytest.mark.parametrize("save", [save_signing_key, save_public_key])
def test_existing_file_is_never_overwritten(tmp_path, save):
    path = written(tmp_path / "key", b"precious")
    key, options = (OWNER, {"passphrase": PASSPHRASE}) if save is save_signing_key else (OWNER.public, {})
    with pytest.raises(KeyFileError, match=r"exists already. Choose another name: keys are never overwritten"):
        save(key, path, **options)
    assert path.read_bytes() == b"precious"


def test_link_in_place_of_the_file_is_not_followed(tmp_path):
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match="exists already"):
        save_signing_key(OWNER, tmp_path / "key", passphrase=PASSPHRASE)


def test_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(KeyFileError, match="cannot be written: No such file"):
        save_public_key(OWNER.public, tmp_path / "missing" / "key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_key_readable_by_others_is_refused(tmp_path, mode):
    save_signing_key(OWNER, tmp_path / "key", passphrase=PASSPHRASE)
    (tmp_path / "key").chmod(mode)
    with pytest.raises(KeyFileError, match=r"read by other users.* Run: chmod 600 "):
        load_signing_key(tmp_path / "key", passphrase=PASSPHRASE)


@pytest.mark.parametrize(
    ("passphrase", "message"),
    [(b"wrong", "The passphrase is wrong"), (None, "is encrypted. Give its passphrase"), (b"", "Give its passphrase")],
)
def test_wrong_passphrase_is_refused(encrypted, passphrase, message):
    with pytest.raises(KeyFileError, match=message):
        load_signing_key(encrypted, passphrase=passphrase)


def test_passphrase_for_an_unencrypted_key_is_refused(tmp_path):
    save_signing_key(OWNER, tmp_path / "key", unsafe_unencrypted=True)
    with pytest.raises(KeyFileError, match=r"is not encrypted. Omit the passphrase"):
        load_signing_key(tmp_path / "key", passphrase=PASSPHRASE)


@pytest.mark.parametrize("data", [b"garbage", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_garbage_is_refused(tmp_path, data):
    path = written(tmp_path / "key", data)
    with pytest.raises(KeyFileError, match="cannot be read as a signing key"):
        load_signing_key(path)
    with pytest.raises(KeyFileError, match="is not a public key in PEM"):
        load_public_key(path)


@pytest.mark.parametrize(("data", "cause"), [(b"", "is not a key file"), (b"x" * 70_000, "at most 65,536 bytes")])
def test_file_of_an_impossible_size_is_refused(tmp_path, data, cause):
    with pytest.raises(KeyFileError, match=cause):
        load_signing_key(written(tmp_path / "key", data))


def test_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "key")
    with pytest.raises(KeyFileError, match="is not a regular file"):
        load_public_key(tmp_path / "key")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(KeyFileError, match="cannot be read: no such file"):
        load_signing_key(tmp_path / "key")


@pytest.mark.parametrize("kind", ["rsa", "secp256k1"])
def test_key_of_another_kind_is_refused(tmp_path, kind):
    private = rsa.generate_private_key(65537, 1024) if kind == "rsa" else ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(KeyFileError, match="Use Ed25519 or P-256"):
        load_signing_key(written(tmp_path / "key", pem(private)))
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(KeyFileError, match="Use Ed25519 or P-256"):
        load_public_key(written(tmp_path / "key.pub", public))


def test_signing_key_in_place_of_a_public_one_is_refused(encrypted):
    with pytest.raises(KeyFileError, match="Give the public key, not the signing key"):
        load_public_key(encrypted)


def test_generated_key_round_trips(tmp_path):
    key = SigningKey.generate("ecdsa-p256")
    save_signing_key(key, tmp_path / "key", passphrase=PASSPHRASE)
    key.public.verify(b"x", load_signing_key(tmp_path / "key", passphrase=PASSPHRASE).sign(b"x"))
