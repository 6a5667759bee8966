import dataclasses
import hashlib
from datetime import datetime

import pytest
from tests.unit.verifier import forge

from zkinfer.circuits.errors import InputError
from zkinfer.verifier import MAX_BYTES, Attestation, AttestationTooLargeError, MalformedAttestationError


def test_attestation_round_trips(good):
    assert Attestation.from_bytes(good.to_bytes()) == good


def test_attestation_is_read_from_a_file(good, tmp_path):
    (tmp_path / "a.json").write_bytes(good.to_bytes())
    assert Attestation.read(tmp_path / "a.json") == good


def test_digest_is_that_of_the_file(good):
    assert good.digest.hex == hashlib.sha256(good.to_bytes()).hexdigest()


def test_attestation_holds_the_proven_statement(good):
    stated = good.predicate.statement
    assert stated.context == forge.CONTEXT.hash
    assert good.predicate.layout.unpack(stated.inputs) == [128, -320, 512]
    assert good.predicate.context == forge.CONTEXT
    assert good.signer_key == forge.OWNER.public.der
    assert len(good.proof) == 32


def test_key_of_either_algorithm_signs(parties):
    made = parties.attest(key=forge.P256)
    assert made.predicate.signer.algorithm == "ecdsa-p256"
    forge.P256.public.verify(made.envelope.signed_bytes, made.envelope.signature)


def test_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read: No such file or directory. Check the path"):
        Attestation.read(tmp_path / "missing.json")


def test_folder_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="is not a regular file"):
        Attestation.read(tmp_path)


def test_oversized_file_is_refused(tmp_path):
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(AttestationTooLargeError, match="padded or damaged"):
        Attestation.read(tmp_path / "huge.json")


def test_file_of_exactly_the_size_limit_is_parsed():
    with pytest.raises(MalformedAttestationError, match="not JSON"):
        Attestation.from_bytes(b" " * MAX_BYTES)


def test_time_without_a_zone_is_refused(parties):
    with pytest.raises(InputError, match="without a time zone"):
        parties.attest(created_at=datetime(2026, 11, 21))


def test_attestation_is_immutable(good):
    with pytest.raises(dataclasses.FrozenInstanceError, match="statement"):
        good.statement = None


@pytest.mark.parametrize("what", ["proof", "public key"])
def test_non_canonical_base64_is_refused(document, what):
    path = ("predicate", "proof") if what == "proof" else ("predicate", "signer", "publicKey")
    with pytest.raises(MalformedAttestationError, match=f"The {what} is not base64"):
        Attestation.from_bytes(forge.signed(forge.at(document, path, lambda text: text.rstrip("=") + "\n")))
