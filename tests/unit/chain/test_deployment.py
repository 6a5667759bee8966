from dataclasses import replace
from types import SimpleNamespace as Fake

import pytest
from tests.unit.contracts.ezkl import dedicated

from zkinfer.chain import deployment
from zkinfer.chain.deployment import Deployed, default_confirmations, open_chain, open_deployment, registration_for
from zkinfer.circuits.errors import InputError
from zkinfer.contracts.address_book import write_book
from zkinfer.contracts.deploy import SHARED_SELECTOR
from zkinfer.contracts.errors import (
    AddressBookError,
    CodeMismatchError,
    DeploymentError,
    RevertedError,
    RpcError,
    WrongChainError,
)
from zkinfer.contracts.registry import EmergencyStop, Registry

SHARED = "0x" + SHARED_SELECTOR.hex()
DEDICATED = "0x" + dedicated.SELECTOR.hex()
STRANGER = "0x" + "66" * 20
CIRCUIT = Fake(folder="digits.circuit")


@pytest.fixture
def deployed(chain, book):
    return Deployed(chain, book)


@pytest.fixture(autouse=True)
def _registration(monkeypatch):
    shared = replace(dedicated.REGISTRATION, selector=SHARED_SELECTOR)
    monkeypatch.setattr(deployment, "registration_of", lambda _, fee, uri: replace(shared, fee=fee, uri=uri))


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


@pytest.mark.parametrize(
    ("verifier", "selector"), [("shared", SHARED), ("dedicated", DEDICATED), ("0x01020304", "0x01020304")]
)
def test_registration_is_for_the_named_verifier(verifier, selector):
    made = registration_for(CIRCUIT, verifier, 7, "https://a")
    assert ("0x" + made.selector.hex(), made.fee, made.uri) == (selector, 7, "https://a")


def test_listing_is_identified_by_publisher_and_verifier(deployed, chain):
    dedicated.routed(chain, deployed.book)
    listing = Registry(chain, deployed.book.addresses["ModelRegistry"]).register(dedicated.REGISTRATION)
    assert deployed.listing_of(CIRCUIT, "dedicated", chain.address) == listing
    with pytest.raises(InputError, match=rf"did not register .* under the selector {SHARED}.*--selector"):
        deployed.listing_of(CIRCUIT, "shared", chain.address)
    with pytest.raises(InputError, match=f"{STRANGER} did not register"):
        deployed.listing_of(CIRCUIT, "dedicated", STRANGER)
    EmergencyStop(chain, dedicated.wanted_in(deployed.book).addresses["EmergencyStop"]).stop()
    with pytest.raises(DeploymentError, match=f"proofs under {DEDICATED} are not accepted: the verifier was stopped"):
        deployed.listing_of(CIRCUIT, "dedicated", chain.address)


def test_unknown_listing_is_not_live(deployed):
    with pytest.raises(RevertedError):
        deployed.require_live_listings(["0x" + "00" * 32])


def test_routes_are_those_of_the_address_book(deployed):
    assert deployed.route_states() == {SHARED: "live"}


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
