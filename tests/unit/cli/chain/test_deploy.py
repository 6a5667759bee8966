from datetime import timedelta
from types import SimpleNamespace as Fake

import pytest
import typer

from zkinfer.cli.chain import deploy
from zkinfer.contracts import AddressBook, Governance
from zkinfer.contracts.address_book import write_book
from zkinfer.contracts.errors import AddressBookError

GUARDIAN, PROPOSER = "0x" + "9a" * 20, "0x" + "b0" * 20
BOOK = AddressBook(1, Governance(GUARDIAN, (PROPOSER,), delay=60))
MAINNET = Fake(id=1, address=GUARDIAN, require_id=lambda _: None)


def requested(path, delay=None, guardian=None, proposers=None):
    return deploy._requested_book(MAINNET, path, guardian, proposers, delay, test=False, salt=deploy._NO_SALT)


def test_existing_book_determines_the_governance(tmp_path):
    write_book(BOOK, tmp_path / "1.json")
    assert requested(tmp_path / "1.json") == requested(tmp_path / "1.json", timedelta(seconds=60)) == BOOK


@pytest.mark.parametrize("delay", [timedelta(days=7), timedelta(0)])
def test_delay_other_than_the_book_has_is_refused(tmp_path, delay):
    write_book(BOOK, tmp_path / "1.json")
    with pytest.raises(AddressBookError, match=r"made with a delay of 0:01:00, not of .*updateDelay"):
        requested(tmp_path / "1.json", delay)


def test_delay_of_a_new_deployment_defaults_to_two_days(tmp_path):
    who = {"guardian": GUARDIAN, "proposers": [PROPOSER]}
    assert requested(tmp_path / "1.json", **who).governance.delay == 2 * 24 * 3600
    assert requested(tmp_path / "1.json", timedelta(0), **who).governance.delay == 0


@pytest.mark.parametrize("who", [{}, {"guardian": GUARDIAN}, {"proposers": [PROPOSER]}])
def test_production_chain_without_explicit_governance_is_refused(tmp_path, who):
    with pytest.raises(typer.BadParameter, match="needs --guardian ADDRESS and --proposer ADDRESS"):
        requested(tmp_path / "1.json", **who)


@pytest.mark.parametrize(
    ("governance", "message"),
    [
        (Governance(GUARDIAN, (PROPOSER,), delay=0), "without a delay"),
        (Governance(GUARDIAN, (PROPOSER, GUARDIAN)), "the guardian must not be a proposer"),
    ],
)
def test_unsafe_governance_is_refused_except_on_development_chains(governance, message):
    deploy._require_safe_governance(Fake(id=31337), governance)
    with pytest.raises(typer.BadParameter, match=f"{message}.*--unsafe-governance"):
        deploy._require_safe_governance(MAINNET, governance)


def test_safe_governance_is_accepted():
    deploy._require_safe_governance(MAINNET, BOOK.governance)
