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


DEDICATED = DedicatedVerifier("0x" + "1a" * 32, "0x" + "2a" * 32, "0x" + "3a" * 32, GUARDIAN, BOOK.salt)
OTHER_DEDICATED = replace(DEDICATED, key_digest="0x" + "4a" * 32)
BOOK_WITH_BOTH = BOOK.with_dedicated(DEDICATED, OTHER_DEDICATED)


def edited(**changes):
    return json.dumps(json.loads(BOOK.to_bytes()) | changes, sort_keys=True, separators=(",", ":")).encode()


def governed(**changes):
    return edited(governance=json.loads(BOOK.to_bytes())["governance"] | changes)


def test_address_book_round_trips_through_its_file(tmp_path):
    write_book(BOOK, tmp_path / "deep/31337.json")
    assert read_book(tmp_path / "deep/31337.json") == BOOK


def test_accepted_powers_are_kept_until_they_match_the_plan_again(tmp_path):
    path, planned = tmp_path / "31337.json", Powers.planned(BOOK.plan)
    accept_powers(BOOK, path, replace(planned, guardian=PROPOSER, admins=()))
    write_book(BOOK, path)
    assert read_book(path) == replace(BOOK, accepted=replace(planned, guardian=PROPOSER, admins=()))
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
        ({"guardian": "0x1"}, "accepted.guardian"),
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


def with_dedicated(**changes):
    (first, *others) = json.loads(BOOK_WITH_BOTH.to_bytes())["dedicated"]
    return edited(dedicated=[first | changes, *others])


def test_dedicated_verifiers_are_kept_by_selector(tmp_path):
    path = tmp_path / "31337.json"
    write_book(BOOK, path)
    for one in (OTHER_DEDICATED, DEDICATED, OTHER_DEDICATED):
        add_dedicated(path, one)
    write_book(BOOK, path)  # keeps them too
    assert read_book(path) == BOOK_WITH_BOTH == BOOK.with_dedicated(OTHER_DEDICATED, DEDICATED)
    assert BOOK_WITH_BOTH.dedicated_at(DEDICATED.selector) == DEDICATED
    assert BOOK_WITH_BOTH.dedicated_at(b"\1\2\3\4") is None


@pytest.mark.parametrize("change", [{"code_hash": "0x" + "5a" * 32}, {"guardian": PROPOSER}])
def test_second_verifier_for_a_selector_is_not_written(tmp_path, change):
    path = tmp_path / "31337.json"
    write_book(BOOK, path)
    add_dedicated(path, DEDICATED)
    with pytest.raises(AddressBookError, match=f"another verifier of this circuit, under 0x{DEDICATED.selector.hex()}"):
        add_dedicated(path, replace(DEDICATED, **change))
    assert read_book(path) == BOOK.with_dedicated(DEDICATED)


def test_accepted_guardians_are_kept_until_they_match_the_plan_again(tmp_path):
    path, planned = tmp_path / "31337.json", Powers.planned(BOOK.plan)
    accept_powers(BOOK_WITH_BOTH, path, planned, {DEDICATED.selector: PROPOSER})
    agreed = read_book(path)
    assert agreed == BOOK_WITH_BOTH.with_dedicated(replace(DEDICATED, accepted=PROPOSER))
    add_dedicated(path, DEDICATED)
    accept_powers(agreed, path, planned)
    assert read_book(path) == agreed
    accept_powers(agreed, path, planned, {DEDICATED.selector: GUARDIAN})
    assert read_book(path) == BOOK_WITH_BOTH


def test_guardian_of_new_verifiers_is_the_accepted_one():
    assert BOOK.guardian == GUARDIAN
    assert replace(BOOK, accepted=replace(Powers.planned(BOOK.plan), guardian=PROPOSER)).guardian == PROPOSER


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (edited(dedicated={}), "field dedicated"),
        (edited(dedicated=[1]), "field dedicated"),
        (edited(dedicated=[]), "canonical form"),
        (with_dedicated(key_digest="0x1a"), "field dedicated.key_digest"),
        (with_dedicated(code_hash=None), "field dedicated.code_hash"),
        (with_dedicated(guardian="0x" + "9A" * 20), "field dedicated.guardian"),
        (with_dedicated(accepted=None), "field dedicated.guardian"),
        (with_dedicated(code_hash="0x" + "5a" * 32), "canonical form"),  # addresses are unaffected
        (with_dedicated(addresses={}), "canonical form"),
        (with_dedicated(colour="red"), "has unknown fields"),
        (edited(dedicated=json.loads(BOOK_WITH_BOTH.to_bytes())["dedicated"][::-1]), "canonical form"),
        (edited(dedicated=json.loads(BOOK.with_dedicated(DEDICATED).to_bytes())["dedicated"] * 2), "canonical form"),
    ],
)
def test_malformed_verifiers_are_refused(data, what):
    with pytest.raises(AddressBookError, match=what):
        AddressBook.from_bytes(data)


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
