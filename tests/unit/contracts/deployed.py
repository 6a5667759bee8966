"""Deployments on chains of their own, for tests of what goes on there."""

from zkinfer.contracts.address_book import AddressBook
from zkinfer.contracts.deploy import Governance, deploy
from zkinfer.contracts.devchain import embedded_chain


def deployed_chain(delay=60):
    """A fresh chain, and a deployment on it that the paying account governs; takes seconds."""
    chain = embedded_chain()
    book = AddressBook(chain.id, Governance(chain.address, (chain.address,), delay=delay))
    deploy(chain, book.plan)
    return chain, book
