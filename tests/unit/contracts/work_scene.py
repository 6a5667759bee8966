"""Works on an embedded chain, with a creator, a platform and a brand."""

from dataclasses import dataclass

from tests.unit.contracts.deployed import deployed_chain

from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import create
from zkinfer.contracts.market import Market, MarketOffer
from zkinfer.contracts.signers import unsafe_dev_account
from zkinfer.contracts.work_parts import works_of
from zkinfer.contracts.works import Registration, Works

TERMS = "0x" + "7e" * 32


@dataclass
class WorkScene:
    """Accounts by number: 0 the platform, which has deployed everything; 1 the creator, 2 the brand, 3 the remixer."""

    chain: Chain
    book: object
    works: Works
    market: Market

    def account(self, number):
        return unsafe_dev_account(number, self.chain.id)

    def address(self, number):
        return self.account(number).address.lower()

    def as_(self, number):
        """The clients of works and market with another paying account."""
        chain = Chain(self.chain._web3, self.account(number))
        return Works(chain, self.works.address), Market(chain, self.market.address)


def scene():
    chain, book = deployed_chain(test=True)
    works = Works(chain, create(chain, works_of(book.addresses["InferenceLedger"], "https://w.example/")))
    return WorkScene(chain, book, works, Market(chain, works.market))


def image(number=1, **changes):
    """A registration of an image."""
    return Registration(**{"content": f"0x{number:064x}", "kind": "image", "origin": "human"} | changes)


def offer_of(work, **changes):
    """An offer to derive from a work, for a tenth of what derivatives earn."""
    fields = {"price": 10**15, "duration": 0, "share_bps": 1000, "uses": 1 | 2, "terms": TERMS}
    return MarketOffer(work=work, **fields | changes)
