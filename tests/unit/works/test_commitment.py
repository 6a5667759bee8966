"""Files of commitments: secret, in one form, and only for what they were made to."""

from dataclasses import asdict, replace

import pytest
from tests.unit.contracts.work_scene import image

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import InputError
from zkinfer.contracts.works import ZERO_WORD
from zkinfer.works.commitment import Commitment
from zkinfer.works.errors import CertificateError

CREATOR, WORKS = "0x" + "aa" * 20, "0x" + "bb" * 20
WHAT = image(pixels="0x" + "01" * 32)


@pytest.fixture
def made():
    return Commitment.to(WHAT, 31337, WORKS, CREATOR)


def written(path, document):
    path.write_bytes(canonical.dump(document))
    path.chmod(0o600)
    return path


def test_commitment_is_read_as_it_was_written(made, tmp_path):
    made.write(tmp_path / "a.json")
    assert Commitment.read(tmp_path / "a.json") == made
    made.require_for(WHAT, 31337, WORKS, CREATOR)


def test_digest_is_that_of_the_registration_with_its_salt(made):
    assert made.digest == replace(WHAT, salt=made.salt).commitment(CREATOR)


def test_every_commitment_has_a_salt_of_its_own(made):
    other = Commitment.to(WHAT, 31337, WORKS, CREATOR)
    assert made.salt != other.salt
    assert made.digest != other.digest


def test_file_that_others_can_read_is_refused(made, tmp_path):
    made.write(tmp_path / "a.json")
    (tmp_path / "a.json").chmod(0o644)
    with pytest.raises(InputError, match="chmod"):
        Commitment.read(tmp_path / "a.json")


@pytest.mark.parametrize(
    "change",
    [
        {"salt": ZERO_WORD},
        {"salt": "0x12"},
        {"creator": CREATOR.upper()},
        {"chain_id": 0},
        {"chain_id": "31337"},
        {"content": None},
        {"more": 1},
    ],
)
def test_malformed_file_is_refused(made, tmp_path, change):
    with pytest.raises(CertificateError):
        Commitment.read(written(tmp_path / "a.json", asdict(made) | change))


def test_bytes_that_are_no_canonical_json_are_refused(made, tmp_path):
    path = written(tmp_path / "a.json", asdict(made))
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(CertificateError):
        Commitment.read(path)


@pytest.mark.parametrize(
    ("what", "chain", "works", "creator"),
    [
        (image(2, pixels=WHAT.pixels), 31337, WORKS, CREATOR),
        (image(), 31337, WORKS, CREATOR),
        (WHAT, 1, WORKS, CREATOR),
        (WHAT, 31337, CREATOR, CREATOR),
        (WHAT, 31337, WORKS, WORKS),
    ],
)
def test_other_work_chain_contract_or_creator_is_refused(made, what, chain, works, creator):
    with pytest.raises(CertificateError):
        made.require_for(what, chain, works, creator)
