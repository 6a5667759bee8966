"""A question to a model on a chain, and the identifiers that follow from it, as the contracts compute them."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.keccak import keccak256, words
from zkinfer.contracts.registration import VISIBILITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zkinfer.contracts.registration import Registration

ANY_INPUT: Final = "0x" + keccak256(b"zkinfer.any-input").hex()
NOBODY: Final = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class Request:
    """The fields of `Request` in IInferenceLedger.sol, in their order: hex with 0x, numbers in wei or Unix seconds.

    Nothing is checked here; the ledger refuses what makes no sense.
    """

    listing: str
    input_commitment: str
    consumer: str
    requester: str
    expiry: int
    prover: str = NOBODY
    prover_fee: int = 0
    refund_to: str = NOBODY
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
    """The name under which a publisher's registration of a model is asked and recorded.

    Of the registration it names what never changes: the model, the selector and the layout; not fee and URI.
    """
    selector, visibility = registration.selector.ljust(32, b"\0"), VISIBILITIES.index(registration.visibility)
    counts = (registration.inputs, registration.outputs)
    return "0x" + keccak256(words([registration.model_id, publisher, selector, visibility, *counts])).hex()


def commitment(instances: Iterable[int]) -> str:
    """keccak256 over public values as words: commits to an input or to an output."""
    return "0x" + keccak256(words(instances)).hex()
