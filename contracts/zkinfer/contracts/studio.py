"""Client of a studio: pictures are ordered from a model there, and delivered with a proof. See examples/Studio.sol."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from zkinfer.contracts.abi import hex_to_bytes
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.identifiers import WORD_LIMIT, ZERO_ADDRESS, keccak256, words
from zkinfer.contracts.market import Market
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.studio_events import commission_in, commissions
from zkinfer.contracts.works import ZERO_WORD, Works

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.identifiers import Request
    from zkinfer.contracts.studio_events import Commission


@dataclass(frozen=True, slots=True)
class Right:
    """A right to derive from a work: an offer to accept on the way, or else the number of a licence that is held."""

    offer: str = ZERO_WORD
    licence: int = 0

    @property
    def fields(self) -> tuple[bytes, int]:
        """As the ABI encodes it."""
        return hex_to_bytes(self.offer), self.licence


@dataclass(frozen=True, slots=True)
class Order:
    """A picture to be made; see `Order` in Studio.sol.

    Args:
        model: the right to derive from the studio's model.
        prompt: the right to derive from a prompt.
        input_commitment: keccak256 over the packed inputs, as 0x and hex.
        prover: is paid `prover_fee` for the proof.
        prover_fee: in wei.
    """

    model: Right
    prompt: Right
    input_commitment: str
    prover: str = ZERO_ADDRESS
    prover_fee: int = 0

    @property
    def fields(self) -> tuple[Any, ...]:
        """As the ABI encodes it."""
        commitment = hex_to_bytes(self.input_commitment)
        return (self.model.fields, self.prompt.fields, commitment, self.prover, self.prover_fee)


class Studio:
    """The studio at an address. Every method that writes raises as `Chain.write`, and RevertedError if refused."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    @cached_property
    def works(self) -> Works:
        """Where pictures are registered."""
        return Works(self._chain, str(self._read("WORKS")).lower())

    @cached_property
    def market(self) -> Market:
        """Where licences are sold."""
        return Market(self._chain, str(self._read("MARKET")).lower())

    @cached_property
    def ledger(self) -> str:
        """Address of the ledger, where answers are recorded."""
        return str(self._read("LEDGER")).lower()

    @cached_property
    def listing(self) -> str:
        """The listing of the model that paints."""
        return "0x" + bytes(self._read("LISTING")).hex()

    @cached_property
    def model(self) -> int:
        """The work that the model is."""
        return int(self._read("MODEL"))

    def price_of(self, order: Order) -> int:
        """What an order costs now, in wei: the prices of its offers, the model's fee, and the prover's."""
        registry = Registry(self._chain, str(self._chain.read("InferenceLedger", self.ledger, "REGISTRY")).lower())
        offers = [one.offer for one in (order.model, order.prompt) if one.offer != ZERO_WORD]
        prices = sum(self.market.offer_of(one).price for one in offers)
        return prices + registry.fee(self.listing) + order.prover_fee

    def commission(self, order: Order) -> Commission | None:
        """Order a picture, whose creator will be the paying account; None in a rehearsal. Each call orders another one.

        The creator must let the studio register: see `Works.set_registrar`.
        """
        receipt = self._chain.write("Studio", self.address, "commission", order.fields, value=self.price_of(order))
        return None if receipt is None else commission_in(receipt, self.address, self._chain.id, self.ledger)

    def deliver(self, request: Request, inputs: bytes, outputs: Sequence[int], proof: bytes) -> TxReceipt | None:
        """Record the proven answer and register the picture, in one transaction; None if it was delivered before.

        Nothing is registered if the creator has this picture, or no longer lets the studio register: see `work_of`.
        """
        return self._chain.ensure(
            lambda: self.is_delivered(request),
            lambda: self._chain.write("Studio", self.address, "deliver", request.fields, inputs, list(outputs), proof),
        )

    def is_delivered(self, request: Request) -> bool:
        """Whether the picture of an order was delivered."""
        slot = keccak256(words([request.id(self._chain.id, self.ledger), _slot("_answered")]))
        return bool(self._chain.storage(self.address, int.from_bytes(slot, "big")))

    def work_of(self, request: Request, outputs: Sequence[int]) -> int:
        """The work that a picture is, whether it is registered or not: whoever ordered it is its creator."""
        content = sha256(words(value % WORD_LIMIT for value in outputs)).hexdigest()
        return self.works.id_of(request.refund_to, "0x" + content)

    def commissions(self) -> Iterator[Commission]:
        """All orders of the studio, newest first, from the node's logs; raises RpcError if it lacks old ones."""
        count = self._chain.storage(self.address, _slot("_asked"))
        return commissions(self._chain, self.address, self.ledger, count)

    def _read(self, name: str) -> Any:  # noqa: ANN401 - any ABI value
        return self._chain.read("Studio", self.address, name)


def _slot(name: str) -> int:
    (found,) = (int(one["slot"]) for one in load("Studio").storage if one["name"] == name)
    return found
