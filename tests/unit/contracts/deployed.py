"""Fresh embedded chains, with a deployment or without."""

from contextlib import contextmanager

from zkinfer.contracts.address_book import AddressBook
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Governance, deploy
from zkinfer.contracts.devchain import embedded_web3
from zkinfer.contracts.signers import unsafe_dev_account


def embedded_chain():
    """A fresh chain, with the first of its funded accounts as the paying account."""
    web3 = embedded_web3()
    return Chain(web3, unsafe_dev_account(0, Chain(web3).id))


def deployed_chain(delay=60):
    """A fresh chain and the address book of a deployment on it, governed by the paying account; takes seconds."""
    chain = embedded_chain()
    book = AddressBook(chain.id, Governance(chain.address, (chain.address,), delay=delay))
    deploy(chain, book.plan)
    return chain, book


@contextmanager
def rolled_back(chain):
    """Revert at the end whatever the block does to an embedded chain: deploying again takes seconds."""
    make = chain._web3.provider.make_request
    snapshot = make("evm_snapshot", [])["result"]
    yield chain
    make("evm_revert", [snapshot])
