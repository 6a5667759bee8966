import json
from dataclasses import replace

import pytest

from zkinfer.contracts.address_book import AddressBook, accept_powers, read_book, write_book
from zkinfer.contracts.deploy import Governance, plan
from zkinfer.contracts.errors import AddressBookError
from zkinfer.contracts.governance import Powers

GUARDIAN, PROPOSER = "0x" + "9a" * 20, "0x" + "b0" * 20
BOOK = AddressBook(31337, Governance(GUARDIAN, (PROPOSER, GUARDIAN), delay=60, test=True), b"\7" * 32)


def edited(**changes):
    return json.dumps(json.loads(BOOK.to_bytes()) | changes, sort_keys=True, separators=(",", ":")).encode()


def governed(**changes):
    return edited(governance=json.loads(BOOK.to_bytes())["governance"] | changes)


def test_address_book_round_trips_through_its_file(tmp_path):
    write_book(BOOK, tmp_path / "deep/31337.json")
    assert read_book(tmp_path / "deep/31337.json") == BOOK


def test_accepted_powers_are_kept_until_they_match_the_plan_again(tmp_path):
    path, planned = tmp_path / "31337.json", Powers.planned(BOOK.plan)
    accept_powers(BOOK, path, replace(planned, ezkl_guardian=PROPOSER, admins=()))
    write_book(BOOK, path)
    assert read_book(path) == replace(BOOK, accepted=replace(planned, ezkl_guardian=PROPOSER, admins=()))
    accept_powers(BOOK, path, planned)
    assert read_book(path) == BOOK


def test_powers_of_another_deployment_are_not_written(tmp_path):
    path = tmp_path / "31337.json"
    write_book(BOOK, path)
    with pytest.raises(AddressBookError, match="names another deployment"):
        accept_powers(replace(BOOK, salt=bytes(32)), path, Powers.planned(BOOK.plan))
    assert read_book(path) == BOOK


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"ezkl_guardian": "0x1"}, "accepted.ezkl_guardian"),
        ({"ashlar_guardian": GUARDIAN.upper()}, "accepted.ashlar_guardian"),
        ({"router_owner": None}, "accepted.router_owner"),
        ({"delay": True}, "accepted.delay"),
        ({"delay": -1}, "accepted.delay"),
        ({"proposers": PROPOSER}, "accepted.proposers"),
        ({"admins": ["0x1"]}, "accepted.admins"),
        ({"colour": "red"}, "accepted of"),
    ],
)
def test_malformed_powers_are_refused(change, what):
    known = json.loads(replace(BOOK, accepted=Powers.planned(BOOK.plan)).to_bytes())["accepted"]
    with pytest.raises(AddressBookError, match=f"field {what}"):
        AddressBook.from_bytes(edited(accepted=known | change))


@pytest.mark.parametrize("accepted", [None, [], "all"])
def test_powers_of_the_wrong_type_are_refused(accepted):
    with pytest.raises(AddressBookError, match=r"field accepted\."):
        AddressBook.from_bytes(edited(accepted=accepted))


def test_address_book_has_the_addresses_of_its_plan():
    document = json.loads(BOOK.to_bytes())
    assert document["addresses"] == plan(BOOK.governance, BOOK.salt).addresses == BOOK.addresses
    assert set(document["codeHashes"]) == set(BOOK.addresses)


def test_writing_is_idempotent(tmp_path):
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
def test_folder_that_cannot_be_created_is_reported(tmp_path, folder):
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
def test_malformed_address_book_is_refused(data, what):
    with pytest.raises(AddressBookError, match=what):
        AddressBook.from_bytes(data)


def test_missing_file_is_reported(tmp_path):
    with pytest.raises(AddressBookError, match=r"no such file.*Run `zkinfer chain deploy`"):
        read_book(tmp_path / "1.json")


def test_too_large_file_is_refused(tmp_path):
    (tmp_path / "1.json").write_bytes(b" " * 70_000)
    with pytest.raises(AddressBookError, match="too large"):
        read_book(tmp_path / "1.json")
