import json
from dataclasses import replace

import pytest

from zkinfer.contracts.address_book import AddressBook, accept_powers, add_dedicated, read_book, write_book
from zkinfer.contracts.deploy import Governance, plan
from zkinfer.contracts.errors import AddressBookError
from zkinfer.contracts.ezkl.dedicated import DedicatedVerifier
from zkinfer.contracts.governance import Powers

GUARDIAN, PROPOSER = "0x" + "9a" * 20, "0x" + "b0" * 20
BOOK = AddressBook(31337, Governance(GUARDIAN, (PROPOSER, GUARDIAN), delay=60, test=True), b"\7" * 32)


ALONE = DedicatedVerifier("0x" + "1a" * 32, "0x" + "2a" * 32, "0x" + "3a" * 32, GUARDIAN, BOOK.salt)
OTHER = replace(ALONE, key_digest="0x" + "4a" * 32)
KNOWING = BOOK.with_dedicated(ALONE, OTHER)


def edited(**changes):
    return json.dumps(json.loads(BOOK.to_bytes()) | changes, sort_keys=True, separators=(",", ":")).encode()


def governed(**changes):
    return edited(governance=json.loads(BOOK.to_bytes())["governance"] | changes)


def test_book_survives_its_file(tmp_path):
    write_book(BOOK, tmp_path / "deep/31337.json")
    assert read_book(tmp_path / "deep/31337.json") == BOOK


def test_powers_that_are_accepted_are_kept_until_they_are_the_planned_again(tmp_path):
    path, planned = tmp_path / "31337.json", Powers.planned(BOOK.plan)
    accept_powers(BOOK, path, replace(planned, guardian=PROPOSER, admins=()))
    write_book(BOOK, path)
    assert read_book(path) == replace(BOOK, accepted=replace(planned, guardian=PROPOSER, admins=()))
    accept_powers(BOOK, path, planned)
    assert read_book(path) == BOOK


def test_powers_over_another_deployment_are_not_written(tmp_path):
    path = tmp_path / "31337.json"
    write_book(BOOK, path)
    with pytest.raises(AddressBookError, match="names another deployment"):
        accept_powers(replace(BOOK, salt=bytes(32)), path, Powers.planned(BOOK.plan))
    assert read_book(path) == BOOK


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"guardian": "0x1"}, "accepted.guardian"),
        ({"router_owner": None}, "accepted.router_owner"),
        ({"delay": True}, "accepted.delay"),
        ({"delay": -1}, "accepted.delay"),
        ({"proposers": PROPOSER}, "accepted.proposers"),
        ({"admins": ["0x1"]}, "accepted.admins"),
        ({"colour": "red"}, "accepted of"),
    ],
)
def test_powers_that_are_none_are_refused(change, what):
    known = json.loads(replace(BOOK, accepted=Powers.planned(BOOK.plan)).to_bytes())["accepted"]
    with pytest.raises(AddressBookError, match=f"field {what}"):
        AddressBook.from_bytes(edited(accepted=known | change))


def knowing(**changes):
    (first, *others) = json.loads(KNOWING.to_bytes())["dedicated"]
    return edited(dedicated=[first | changes, *others])


def test_verifiers_of_single_circuits_are_kept_by_selector(tmp_path):
    path = tmp_path / "31337.json"
    write_book(BOOK, path)
    for one in (OTHER, ALONE, OTHER):
        add_dedicated(path, one)
    write_book(BOOK, path)  # keeps them too
    assert read_book(path) == KNOWING == BOOK.with_dedicated(OTHER, ALONE)
    assert KNOWING.dedicated_at(ALONE.selector) == ALONE
    assert KNOWING.dedicated_at(b"\1\2\3\4") is None


@pytest.mark.parametrize("change", [{"code_hash": "0x" + "5a" * 32}, {"guardian": PROPOSER}])
def test_another_verifier_of_a_circuit_is_not_written(tmp_path, change):
    path = tmp_path / "31337.json"
    write_book(BOOK, path)
    add_dedicated(path, ALONE)
    with pytest.raises(AddressBookError, match=f"another verifier of this circuit, under 0x{ALONE.selector.hex()}"):
        add_dedicated(path, replace(ALONE, **change))
    assert read_book(path) == BOOK.with_dedicated(ALONE)


def test_guardians_that_are_accepted_are_kept_until_they_are_the_first_again(tmp_path):
    path, planned = tmp_path / "31337.json", Powers.planned(BOOK.plan)
    accept_powers(KNOWING, path, planned, {ALONE.selector: PROPOSER})
    agreed = read_book(path)
    assert agreed == KNOWING.with_dedicated(replace(ALONE, accepted=PROPOSER))
    add_dedicated(path, ALONE)
    accept_powers(agreed, path, planned)
    assert read_book(path) == agreed
    accept_powers(agreed, path, planned, {ALONE.selector: GUARDIAN})
    assert read_book(path) == KNOWING


def test_guardian_of_new_verifiers_is_the_accepted_one():
    assert BOOK.guardian == GUARDIAN
    assert replace(BOOK, accepted=replace(Powers.planned(BOOK.plan), guardian=PROPOSER)).guardian == PROPOSER


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (edited(dedicated={}), "field dedicated"),
        (edited(dedicated=[1]), "field dedicated"),
        (edited(dedicated=[]), "canonical form"),
        (knowing(key_digest="0x1a"), "field dedicated.key_digest"),
        (knowing(code_hash=None), "field dedicated.code_hash"),
        (knowing(guardian="0x" + "9A" * 20), "field dedicated.guardian"),
        (knowing(accepted=None), "field dedicated.guardian"),
        (knowing(code_hash="0x" + "5a" * 32), "canonical form"),  # its addresses do not follow
        (knowing(addresses={}), "canonical form"),
        (knowing(colour="red"), "has unknown fields"),
        (edited(dedicated=json.loads(KNOWING.to_bytes())["dedicated"][::-1]), "canonical form"),
        (edited(dedicated=json.loads(BOOK.with_dedicated(ALONE).to_bytes())["dedicated"] * 2), "canonical form"),
    ],
)
def test_verifiers_that_are_none_are_refused(data, what):
    with pytest.raises(AddressBookError, match=what):
        AddressBook.from_bytes(data)


@pytest.mark.parametrize("accepted", [None, [], "all"])
def test_powers_of_another_kind_are_refused(accepted):
    with pytest.raises(AddressBookError, match=r"field accepted\."):
        AddressBook.from_bytes(edited(accepted=accepted))


def test_book_names_the_addresses_of_its_plan():
    document = json.loads(BOOK.to_bytes())
    assert document["addresses"] == plan(BOOK.governance, BOOK.salt).addresses == BOOK.addresses
    assert set(document["codeHashes"]) == set(BOOK.addresses)


def test_writing_again_changes_nothing(tmp_path):
    path = tmp_path / "31337.json"
    write_book(BOOK, path)
    before = path.stat().st_mtime_ns
    write_book(BOOK, path)
    assert path.stat().st_mtime_ns == before
    assert [one.name for one in tmp_path.iterdir()] == ["31337.json"]


def test_another_deployment_is_not_overwritten(tmp_path):
    path = tmp_path / "31337.json"
    write_book(BOOK, path)
    with pytest.raises(AddressBookError, match=r"names another deployment on chain 31337.*--deployment"):
        write_book(replace(BOOK, salt=bytes(32)), path)
    assert read_book(path) == BOOK


@pytest.mark.parametrize("folder", ["file/31337.json"])
def test_folder_that_cannot_be_made_is_told(tmp_path, folder):
    (tmp_path / "file").write_text("")
    with pytest.raises(AddressBookError, match="cannot be written: "):
        write_book(BOOK, tmp_path / folder)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "not an address book"),
        (edited(format="zkinfer-deployment/2"), "not an address book"),
        (edited(chainId="1"), "field chainId"),
        (edited(chainId=True), "field chainId"),
        (edited(salt="0x00"), "field salt"),
        (governed(guardian="0x" + "9A" * 20), "field governance.guardian"),
        (governed(proposers=[]), "addresses in the address book do not match"),
        (governed(proposers=GUARDIAN), "field governance.proposers"),
        (governed(delay=-1), "field governance.delay"),
        (governed(test=0), "field governance.test"),
        (governed(test=False), "addresses in the address book do not match"),
        (governed(colour="red"), "has unknown fields"),
        (edited(addresses={}), "addresses in the address book do not match"),
        (edited(codeHashes={}), "codeHashes in the address book do not match"),
        (edited(colour="red"), "has unknown fields"),
        (BOOK.to_bytes() + b"\n", "canonical form"),
    ],
)
def test_anything_else_is_refused(data, what):
    with pytest.raises(AddressBookError, match=what):
        AddressBook.from_bytes(data)


def test_missing_file_is_told(tmp_path):
    with pytest.raises(AddressBookError, match=r"no such file.*Run `zkinfer chain deploy`"):
        read_book(tmp_path / "1.json")


def test_huge_file_is_refused(tmp_path):
    (tmp_path / "1.json").write_bytes(b" " * 70_000)
    with pytest.raises(AddressBookError, match="too large"):
        read_book(tmp_path / "1.json")
