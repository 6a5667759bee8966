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


def wanted(path, delay=None, guardian=None, proposers=None):
    return deploy._wanted(MAINNET, path, guardian, proposers, delay, test=False, salt=deploy._NO_SALT)


def test_governance_is_that_of_the_book_where_there_is_one(tmp_path):
    write_book(BOOK, tmp_path / "1.json")
    assert wanted(tmp_path / "1.json") == wanted(tmp_path / "1.json", timedelta(seconds=60)) == BOOK


@pytest.mark.parametrize("delay", [timedelta(days=7), timedelta(0)])
def test_another_delay_than_the_book_s_is_refused(tmp_path, delay):
    write_book(BOOK, tmp_path / "1.json")
    with pytest.raises(AddressBookError, match=r"made with a delay of 0:01:00, not of .*updateDelay"):
        wanted(tmp_path / "1.json", delay)


def test_delay_of_a_new_deployment_is_two_days_unless_one_is_given(tmp_path):
    who = {"guardian": GUARDIAN, "proposers": [PROPOSER]}
    assert wanted(tmp_path / "1.json", **who).governance.delay == 2 * 24 * 3600
    assert wanted(tmp_path / "1.json", timedelta(0), **who).governance.delay == 0


@pytest.mark.parametrize("who", [{}, {"guardian": GUARDIAN}, {"proposers": [PROPOSER]}])
def test_who_governs_must_be_named_on_a_real_chain(tmp_path, who):
    with pytest.raises(typer.BadParameter, match="name who governs"):
        wanted(tmp_path / "1.json", **who)


@pytest.mark.parametrize(
    ("governance", "said"),
    [
        (Governance(GUARDIAN, (PROPOSER,), delay=0), "without a delay"),
        (Governance(GUARDIAN, (PROPOSER, GUARDIAN)), "the guardian must not be a proposer"),
    ],
)
def test_unsound_governance_is_refused_but_on_chains_for_trials(governance, said):
    deploy._require_sound(Fake(id=31337), governance)
    with pytest.raises(typer.BadParameter, match=f"{said}.*--unsafe-governance"):
        deploy._require_sound(MAINNET, governance)


def test_sound_governance_is_taken():
    deploy._require_sound(MAINNET, BOOK.governance)
