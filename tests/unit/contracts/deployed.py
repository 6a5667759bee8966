"""Fresh embedded chains, with a deployment or without; models to register, and a further verifier to route."""

import json
from contextlib import contextmanager

from tests.paths import ROOT
from tests.vectors.make_chain import DIGITS, layout_of

from zkinfer.contracts import ASHLAR_SELECTOR, EZKL_SELECTOR, Layout, Registration
from zkinfer.contracts.abi import creation_code
from zkinfer.contracts.address_book import AddressBook
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Governance, Part, create_missing, deploy
from zkinfer.contracts.devchain import embedded_web3
from zkinfer.contracts.governance import Timelock, route_addition
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.signers import unsafe_dev_account


def embedded_chain():
    """A fresh chain, with the first of its funded accounts as the paying account."""
    web3 = embedded_web3()
    return Chain(web3, unsafe_dev_account(0, Chain(web3).id))


def deployed_chain(delay=60, *, test=False):
    """A fresh chain and the address book of a deployment on it, governed by the paying account; takes seconds."""
    chain = embedded_chain()
    book = AddressBook(chain.id, Governance(chain.address, (chain.address,), delay=delay, test=test))
    deploy(chain, book.plan)
    return chain, book


@contextmanager
def rolled_back(chain):
    """Revert at the end whatever the block does to an embedded chain: deploying again takes seconds."""
    make = chain._web3.provider.make_request
    snapshot = make("evm_snapshot", [])["result"]
    yield chain
    make("evm_revert", [snapshot])


def _digits():
    """The digits' circuit under ezkl, from the stored vectors; its setup is of a real ceremony."""
    model = json.loads(DIGITS.read_text())["model"]
    layout = layout_of(model["layout"])
    return Registration(model["onnxDigest"], bytes.fromhex(model["key"][2:]), layout, EZKL_SELECTOR)


def _perceptron():
    """A circuit under Ashlar, from its vectors; its setup is insecure-dev."""
    vector = json.loads((ROOT / "tests/vectors/ashlar/mlp_public_1.json").read_text())
    layout = Layout("public", *(vector["layout"][name] for name in ("inputWidth", "inputs", "outputs")))
    return Registration("0x" + "ab" * 32, bytes.fromhex(vector["key"][2:]), layout, ASHLAR_SELECTOR)


DIGITS_UNDER_EZKL, PERCEPTRON_UNDER_ASHLAR = _digits(), _perceptron()

SELECTOR = b"\1\2\3\4"
"""Of a further verifier, for tests of routes."""
# Returns 1 from live(), and the selector from every other call.
_LIVE = keccak256(b"live()")[:4]
_CODE = bytes.fromhex(f"5f3560e01c63{_LIVE.hex()}14601c5763{SELECTOR.hex()}60e01b5f5260205ff35b60015f5260205ff3")


def further_stop(chain, book, salt=bytes(32)):
    """Create a further verifier and its emergency stop, under the book's guardian; returns the stop's address."""
    verifier = Part("", b"\x60" + bytes([len(_CODE)]) + bytes.fromhex("8060093d393df3") + _CODE, salt)
    stop = Part("", creation_code("EmergencyStop", (verifier.address, book.governance.guardian)), salt)
    create_missing(chain, [verifier, stop], lambda *_: None)
    return stop.address


def routed(chain, book):
    """Create the further verifier and its route, in a deployment without a delay; returns the stop's address."""
    stop = further_stop(chain, book)
    advance(chain, book, route_addition(book.addresses["VerifierRouter"], SELECTOR, stop))
    return stop


def advance(chain, book, operation):
    """Schedule and execute an operation at the timelock of a deployment without a delay."""
    timelock = Timelock(chain, book.addresses["TimelockController"])
    timelock.schedule(operation)
    timelock.execute(operation)
