import json
from importlib.resources import files

import pytest

from zkinfer.contracts import CONTRACTS, ArtifactError, CodeMismatchError, artifacts, key_store_code, load, load_canary
from zkinfer.contracts.identifiers import keccak256

EIP_170 = 24_576


@pytest.fixture
def damaged(tmp_path, monkeypatch):
    """A copy of the artifacts to damage, which is read instead of the installed ones."""
    folder = tmp_path / "compiled"
    folder.mkdir()
    monkeypatch.setattr(artifacts, "files", lambda _: tmp_path)
    load.cache_clear()
    load_canary.cache_clear()
    yield folder
    load.cache_clear()
    load_canary.cache_clear()


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_contract_is_shipped(name):
    artifact = load(name)
    assert artifact.name == name
    assert {item["type"] for item in artifact.abi} <= {"constructor", "error", "event", "function", "receive"}
    assert len(artifact.deployed) <= EIP_170
    assert artifact.code_hash == "0x" + keccak256(artifact.deployed).hex()


def test_every_file_is_listed():
    folder = files("zkinfer.contracts") / "compiled"
    assert {entry.name for entry in folder.iterdir()} == {f"{name}.json" for name in (*CONTRACTS, "canary")}


@pytest.mark.parametrize("name", CONTRACTS)
def test_immutable_offsets_are_zero_filled_and_in_bounds(name):
    artifact = load(name)
    for start, length in artifact.immutables:
        assert artifact.deployed[start : start + length] == bytes(length)


def test_creation_code_ends_in_deployed_code():
    artifact = load("Halo2VerifierReusable")
    assert artifact.creation.endswith(artifact.deployed)


def test_ledger_entry_fits_one_word():
    entry = [place for place in load("InferenceLedger").storage if place.get("in") == "struct Entry"]
    assert [(one["name"], one["slot"]) for one in entry] == [("state", 0), ("recordedAt", 0), ("outputDigest", 0)]


def test_router_and_registry_have_the_expected_storage_layout():
    names = [place["name"] for place in load("ModelRegistry").storage if "in" not in place]
    assert names == ["_listings"]
    assert [place["name"] for place in load("VerifierRouter").storage if "in" not in place] == [
        "_owner",
        "_pendingOwner",
        "_routes",
    ]


def test_code_with_other_immutables_is_recognised():
    artifact = load("InferenceLedger")
    code = bytearray(artifact.deployed)
    for start, length in artifact.immutables:
        code[start : start + length] = b"\x11" * length
    artifact.require_code(bytes(code))


@pytest.mark.parametrize("place", [0, 100, -1])
def test_code_with_a_changed_byte_is_refused(place):
    artifact = load("InferenceLedger")
    code = bytearray(artifact.deployed)
    code[place] ^= 1
    with pytest.raises(CodeMismatchError, match="not that of InferenceLedger"):
        artifact.require_code(bytes(code))


@pytest.mark.parametrize("code", [b"", b"\x60", load("InferenceLedger").deployed + b"\0"])
def test_code_of_the_wrong_length_is_refused(code):
    with pytest.raises(CodeMismatchError, match="deployed by another version"):
        load("InferenceLedger").require_code(code)


def test_canary_key_has_its_digest():
    canary = load_canary()
    assert canary.key_digest == "0x" + keccak256(canary.key).hex()
    assert len(canary.key) % 32 == 0


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"bytecode":"0xzz"}'])
def test_damaged_artifact_is_refused(damaged, content):
    (damaged / "InferenceLedger.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"'InferenceLedger' is missing or damaged\. Install"):
        load("InferenceLedger")


def test_artifact_with_other_code_is_refused(damaged):
    document = json.loads((files("zkinfer.contracts") / "compiled/InferenceLedger.json").read_text())
    (damaged / "InferenceLedger.json").write_text(json.dumps({**document, "deployedBytecode": "0x00"}))
    with pytest.raises(ArtifactError, match="damaged"):
        load("InferenceLedger")


def test_canary_with_another_key_is_refused(damaged):
    document = json.loads((files("zkinfer.contracts") / "compiled/canary.json").read_text())
    (damaged / "canary.json").write_text(json.dumps({**document, "key": "0x00"}))
    with pytest.raises(ArtifactError, match="'canary' is missing or damaged"):
        load_canary()


def test_missing_canary_is_refused(damaged):
    with pytest.raises(ArtifactError, match="missing"):
        load_canary()


@pytest.mark.parametrize("size", [0, 31, 33, 32 * 768])
def test_key_of_impossible_size_is_refused(size):
    with pytest.raises(ArtifactError, match=f"A key of {size} bytes does not fit"):
        key_store_code(bytes(size))


def test_key_store_code_matches_the_contract():
    assert key_store_code(b"\x07" * 64).hex() == "61004180600a3d393df300" + "07" * 64
