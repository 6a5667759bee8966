"""A request to a model on a chain, and the identifiers that follow from it, as the contracts compute them."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.keccak import WORD_LIMIT, keccak256, words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zkinfer.contracts.registration import Registration

ANY_INPUT: Final = "0x" + keccak256(b"zkinfer.any-input").hex()
ZERO_ADDRESS: Final = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class Request:
    """The fields of `Request` in IInferenceLedger.sol, in their order: hex with 0x, numbers in wei or Unix seconds.

    Nothing is checked here; the ledger rejects invalid requests.
    """

    listing: str
    input_commitment: str
    consumer: str
    requester: str
    expiry: int
    prover: str = ZERO_ADDRESS
    prover_fee: int = 0
    refund_to: str = ZERO_ADDRESS
    owner_fee: int = 0
    salt: str = "0x" + "00" * 32

    @property
    def fees(self) -> int:
        """What must be sent with the request, in wei."""
        return self.prover_fee + self.owner_fee

    def id(self, chain_id: int, ledger: str) -> str:
        """The request's id, for a ledger that was deployed on a chain; `requestId` of the proof's context."""
        return "0x" + keccak256(words([chain_id, ledger, *astuple(self)])).hex()


def listing_of(registration: Registration, publisher: str) -> str:
    """The name of a publisher's registration of a model, which requests and records use.

    It depends on what never changes: the model, the selector and the layout; not on fee and URI.
    """
    selector = registration.selector.ljust(32, b"\0")
    return "0x" + keccak256(words([registration.model_id, publisher, selector, *registration.layout.fields])).hex()


def input_commitment(inputs: bytes) -> str:
    """keccak256 over packed inputs: what a request commits to."""
    return "0x" + keccak256(inputs).hex()


def output_commitment(outputs: Iterable[int]) -> str:
    """keccak256 over outputs as words of two's complement: what the ledger stores the start of."""
    return "0x" + keccak256(words(value % WORD_LIMIT for value in outputs)).hex()
