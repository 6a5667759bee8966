"""The file of an agreement: what a contract would not understand is refused when it is read."""

import json

import pytest

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import InputError
from zkinfer.contracts.signers import unsafe_dev_account
from zkinfer.contracts.works import KINDS, ORIGINS, Registration
from zkinfer.works.agreement import Agreement, sign_agreement
from zkinfer.works.errors import CertificateError

WORD, WORKS = "0x" + "5a" * 32, "0x" + "5a" * 20


def signed(kind="image", origin="human"):
    what = Registration(WORD, kind, origin, licences=(7,), offers=(WORD,), uri="https://w.example/1")
    return sign_agreement(what, 31337, WORKS, 2_000_000_000, unsafe_dev_account(0, 31337))


@pytest.mark.parametrize(("kind", "origin"), [*((one, "human") for one in KINDS), *(("image", one) for one in ORIGINS)])
def test_agreement_is_read_as_it_was_signed(tmp_path, kind, origin):
    agreement = signed(kind, origin)
    agreement.write(tmp_path / "agreed.json")
    assert Agreement.read(tmp_path / "agreed.json") == agreement


@pytest.mark.parametrize(
    "change",
    [
        {"registration": {"kind": "poem"}},
        {"registration": {"origin": ""}},
        {"registration": {"licences": [0]}},
        {"registration": {"licences": [1 << 256]}},
        {"registration": {"licences": [1] * 9}},
        {"registration": {"resale_bps": 10_001}},
        {"registration": {"content": WORD[:-1]}},
        {"registration": {"more": 1}},
        {"deadline": 0},
        {"deadline": 1 << 256},
        {"chain_id": 1 << 256},
        {"creator": "ann"},
        {"signature": "0x"},
        {"signature": "0x123"},
        {"works": None},
    ],
    ids=str,
)
def test_changed_agreement_is_refused(tmp_path, change):
    path = tmp_path / "agreed.json"
    signed().write(path)
    document = json.loads(path.read_bytes())
    inner = document["registration"] | change.get("registration", {})
    path.write_bytes(canonical.dump(document | change | {"registration": inner}))
    with pytest.raises(CertificateError):
        Agreement.read(path)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"a":1, "b":2}'])
def test_other_data_are_refused(tmp_path, data):
    (tmp_path / "agreed.json").write_bytes(data)
    with pytest.raises(CertificateError):
        Agreement.read(tmp_path / "agreed.json")


def test_missing_agreement_is_refused(tmp_path):
    with pytest.raises(InputError):
        Agreement.read(tmp_path / "gone.json")


def test_agreement_for_another_contract_is_refused():
    signed().require_for(31337, WORKS)
    for other in ((1, WORKS), (31337, "0x" + "ab" * 20)):
        with pytest.raises(CertificateError, match="is for the works"):
            signed().require_for(*other)
