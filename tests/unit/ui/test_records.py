from dataclasses import replace

import pytest
from tests.unit.ui.conftest import Browser

from zkinfer.chain.blocks import Blocks
from zkinfer.chain.lookup import LedgerLookup, ListedModel
from zkinfer.contracts.ledger import Entry, Ledger
from zkinfer.ui.app import application
from zkinfer.ui.settings import ChainAccess

REQUEST = "0x" + "ab" * 32
URL = "https://node.example/s3cret"


@pytest.fixture
def browser(parts, chain, book):
    """A browser of a page with the ledger of a deployment on an embedded chain."""
    access = ChainAccess(URL, book.addresses["InferenceLedger"])
    settings = replace(parts.settings, chain=access)
    lookup = LedgerLookup(Blocks(chain._web3), access.ledger, confirmations=1)
    made = replace(parts, settings=settings, ledger=lambda: lookup)
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


def test_code_is_named_with_the_block_in_which_it_was_compared(browser, chain, book):
    text = browser.get(f"/records?request_id={REQUEST}").text
    number = chain._web3.eth.block_number
    assert f"<dd>{number} <code>0x{bytes(chain._web3.eth.get_block(number)['hash']).hex()}</code>" in text
    for name in ("InferenceLedger", "ModelRegistry", "VerifierRouter"):
        assert f"<dt>{name}</dt><dd><code>{book.addresses[name]}</code>" in text


@pytest.mark.parametrize(
    ("status", "live", "words"),
    [
        ("active", True, "accepts proofs"),
        ("deprecated", True, "takes no more requests"),
        ("revoked", True, "no contract acts on its answers"),
        ("active", False, "answers may be forged"),
    ],
)
def test_listing_of_the_request_is_shown_as_the_registry_has_it(browser, monkeypatch, status, live, words):
    model = ListedModel("0x" + "ee" * 32, "0x" + "aa" * 32, status, live)
    monkeypatch.setattr(LedgerLookup, "_model", lambda *_: model)
    text = browser.get(f"/records?request_id={REQUEST}").text
    assert words in text
    assert "ee" * 32 in text


def test_request_without_a_log_has_an_unknown_model(browser, monkeypatch):
    monkeypatch.setattr(Ledger, "entry", lambda self, request_id: Entry("open", 0, "0x"))
    assert "no log of the request" in browser.get(f"/records?request_id={REQUEST}").text


def test_address_without_a_ledger_is_refused(parts, chain):
    access = ChainAccess(URL, "0x" + "11" * 20)
    lookup = LedgerLookup(Blocks(chain._web3), access.ledger)
    made = replace(parts, settings=replace(parts.settings, chain=access), ledger=lambda: lookup)
    found = Browser(application(made))
    found.get(f"/open/{made.access.key}")
    answer = found.get(f"/records?request_id={REQUEST}")
    assert answer.status_code == 422
    assert "no InferenceLedger" in answer.text


def test_page_offers_records_with_a_chain_only(parts, browser):
    without = Browser(application(parts))
    without.get(f"/open/{parts.access.key}")
    assert without.get("/records").status_code == 404
    assert 'href="/records"' not in without.get("/").text
    assert 'href="/records"' in browser.get("/").text
    assert 'name="chain"' in browser.get("/").text
