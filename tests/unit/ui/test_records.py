from dataclasses import replace

import pytest
from tests.unit.ui.conftest import Browser

from zkinfer.chain.errors import NodeError
from zkinfer.contracts.ledger import Entry, Ledger
from zkinfer.ui.app import application
from zkinfer.ui.ledger import LedgerBrowser
from zkinfer.ui.settings import ChainAccess

REQUEST = "0x" + "ab" * 32
URL = "https://node.example/s3cret"


@pytest.fixture
def browser(parts, chain, book):
    """A browser of a page with the ledger of a deployment on an embedded chain."""
    access = ChainAccess(URL, book.addresses["InferenceLedger"])
    settings = replace(parts.settings, chain=access)
    made = replace(parts, settings=settings, ledger=LedgerBrowser(access, lambda url: chain))
    found = Browser(application(made))
    found.get(f"/open/{made.access.key}")
    return found


def test_unknown_request_is_not_on_the_ledger(browser, book):
    text = browser.get(f"/records?request_id={REQUEST}").text
    assert "The ledger does not know this request" in text
    assert book.addresses["InferenceLedger"] in text
    assert "s3cret" not in text


def test_recorded_answer_is_shown_with_its_time(browser, monkeypatch):
    entry = Entry("recorded", 1_800_000_000, "0x" + "cd" * 26)
    monkeypatch.setattr(Ledger, "entry", lambda self, request_id: entry)
    text = browser.get(f"/records?request_id={REQUEST}").text
    assert "An answer is on record" in text
    assert "2027-01-15 08:00:00 UTC" in text
    assert "cd" * 26 in text


@pytest.mark.parametrize("state", ["open", "refunded", "paid"])
def test_every_state_has_words(browser, monkeypatch, state):
    monkeypatch.setattr(Ledger, "entry", lambda self, request_id: Entry(state, 0, "0x"))
    assert browser.get(f"/records?request_id={REQUEST}").status_code == 200


@pytest.mark.parametrize("name", ["1", "0x" + "zz" * 32, "<b>"])
def test_malformed_request_is_refused(browser, name):
    answer = browser.get("/records", params={"request_id": name})
    assert answer.status_code == 422
    assert "<b>" not in answer.text


def test_address_without_a_ledger_is_refused(chain):
    with pytest.raises(NodeError):
        LedgerBrowser(ChainAccess(URL, "0x" + "11" * 20), lambda url: chain).entry(REQUEST)


def test_malformed_url_is_refused_without_naming_it():
    with pytest.raises(NodeError) as refusal:
        LedgerBrowser(ChainAccess("ftp://s3cret", "0x" + "11" * 20)).entry(REQUEST)
    assert "s3cret" not in str(refusal.value)


def test_page_offers_records_with_a_chain_only(parts, browser):
    without = Browser(application(parts))
    without.get(f"/open/{parts.access.key}")
    assert without.get("/records").status_code == 404
    assert 'href="/records"' not in without.get("/").text
    assert 'href="/records"' in browser.get("/").text
    assert 'name="chain"' in browser.get("/").text
