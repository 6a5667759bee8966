"""Fresh embedded chains, with a deployment or without."""

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
    """A fresh chain, and a deployment on it that the paying account governs; takes seconds."""
    chain = embedded_chain()
    book = AddressBook(chain.id, Governance(chain.address, (chain.address,), delay=delay))
    deploy(chain, book.plan)
    return chain, book
