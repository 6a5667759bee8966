"""A plain marketplace, which knows ERC-721 and ERC-2981 and nothing of works: RoyaltyMarket of the contract tests."""

import json

from tests.paths import VECTORS

from zkinfer.contracts.abi import call_data
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Part, create

MADE = json.loads((VECTORS / "marketplace.json").read_text())
CREATION = bytes.fromhex(MADE["bytecode"][2:])


class Marketplace:
    """The marketplace at its one address on a chain."""

    address = Part("RoyaltyMarket", CREATION, bytes(32)).address

    def __init__(self, chain):
        self._chain = chain
        create(chain, Part("RoyaltyMarket", CREATION, bytes(32)))

    def list(self, collection, token, price):
        """Offer a token for sale, as its owner; the marketplace must be approved for it."""
        self._send("list", collection, token, price)

    def buy(self, collection, token, price):
        """Buy a token: its royalty's receiver gets the royalty, and the seller the rest."""
        self._send("buy", collection, token, value=price)

    def _send(self, name, *arguments, value=0):
        (entry,) = (one for one in MADE["abi"] if one.get("name") == name)
        self._chain.send(self.address, call_data(entry, arguments), value=value)


def sell(web3, works, token, seller, buyer, price):
    """Sell a token of works on the marketplace, by and to accounts that sign."""
    owner = Chain(web3, seller)
    owner.write("Works", works, "approve", Marketplace.address, token)
    Marketplace(owner).list(works, token, price)
    Marketplace(Chain(web3, buyer)).buy(works, token, price)
