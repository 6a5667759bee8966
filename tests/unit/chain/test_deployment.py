from dataclasses import replace
from types import SimpleNamespace as Fake

import pytest
from tests.unit.contracts.deployed import DIGITS_UNDER_EZKL, SELECTOR, routed

from zkinfer.chain import deployment
from zkinfer.chain.deployment import Deployed, default_confirmations, open_chain, open_deployment
from zkinfer.circuits.errors import InputError
from zkinfer.contracts.address_book import write_book
from zkinfer.contracts.deploy import STOPS
from zkinfer.contracts.errors import (
    AddressBookError,
    CodeMismatchError,
    DeploymentError,
    RevertedError,
    RpcError,
    WrongChainError,
)

STRANGER = "0x" + "66" * 20
CIRCUIT = Fake(folder="digits.circuit")


@pytest.fixture
def deployed(chain, book):
    return Deployed(chain, book)


@pytest.fixture(autouse=True)
def _registration(monkeypatch):
    def registration_of(_, selector):
        return replace(DIGITS_UNDER_EZKL, selector=selector or DIGITS_UNDER_EZKL.selector)

    monkeypatch.setattr(deployment, "registration_of", registration_of)


def placed(deployed, **changed):
    return Fake(**{"id": "0xid", "chain_id": deployed.chain.id, "ledger": deployed.ledger.address} | changed)


def test_deployment_is_opened_by_its_address_book(deployed, tmp_path):
    write_book(deployed.book, tmp_path / "book.json")
    assert open_deployment(deployed.chain, tmp_path / "book.json").book == deployed.book


def test_file_that_is_not_an_address_book_is_refused(chain, tmp_path):
    (tmp_path / "book.json").write_text("{}")
    with pytest.raises(AddressBookError):
        open_deployment(chain, tmp_path / "book.json")


def test_address_book_of_another_chain_is_refused(deployed, tmp_path):
    write_book(replace(deployed.book, chain_id=5), tmp_path / "book.json")
    with pytest.raises(WrongChainError, match="instead of chain 5"):
        open_deployment(deployed.chain, tmp_path / "book.json")


def test_deployment_whose_code_is_missing_is_refused(deployed, tmp_path):
    write_book(replace(deployed.book, salt=b"\1" * 32), tmp_path / "book.json")
    with pytest.raises((CodeMismatchError, DeploymentError)):
        open_deployment(deployed.chain, tmp_path / "book.json")


def test_listing_is_identified_by_publisher_and_verifier(deployed, chain):
    routed(chain, deployed.book)
    own = DIGITS_UNDER_EZKL.selector
    listing = deployed.registry.register(DIGITS_UNDER_EZKL)
    assert deployed.listing_of(CIRCUIT, chain.address) == deployed.listing_of(CIRCUIT, chain.address, own) == listing
    with pytest.raises(InputError, match=rf"did not register .* under the selector 0x{SELECTOR.hex()}.*--selector"):
        deployed.listing_of(CIRCUIT, chain.address, SELECTOR)
    with pytest.raises(InputError, match=f"{STRANGER} did not register"):
        deployed.listing_of(CIRCUIT, STRANGER)
    deployed.stops["0x" + own.hex()].stop()
    with pytest.raises(DeploymentError, match=rf"the verifier 0x{own.hex()} is live is False"):
        deployed.listing_of(CIRCUIT, chain.address)


def test_unknown_listing_is_not_live(deployed):
    with pytest.raises(RevertedError):
        deployed.require_live_listings(["0x" + "00" * 32])


def test_routes_are_those_of_the_address_book(deployed):
    assert deployed.route_states() == {"0x" + selector.hex(): "live" for selector in STOPS}
    assert {selector: stop.live() for selector, stop in deployed.stops.items()} == dict.fromkeys(deployed.stops, True)


def test_all_verifiers_are_required_to_be_live_unless_one_is_named(deployed):
    deployed.require_live()
    first, *others = STOPS
    deployed.stops["0x" + first.hex()].stop()
    deployed.require_live(*others)
    for selectors in [(), (first,)]:
        with pytest.raises(DeploymentError, match=rf"the verifier 0x{first.hex()} is live is False"):
            deployed.require_live(*selectors)


def test_request_of_this_ledger_is_accepted(deployed):
    deployed.require_own(placed(deployed))


@pytest.mark.parametrize(("changed", "error"), [({"chain_id": 5}, WrongChainError), ({"ledger": STRANGER}, InputError)])
def test_request_of_another_ledger_is_refused(deployed, changed, error):
    with pytest.raises(error):
        deployed.require_own(placed(deployed, **changed))


def test_default_confirmations_depend_on_the_node():
    assert [default_confirmations(url) for url in ("http://127.0.0.1:8545", "https://node.example")] == [1, 3]


def test_node_without_a_secure_url_is_refused():
    with pytest.raises(RpcError):
        open_chain("http://node.example")
