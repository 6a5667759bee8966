"""The example contract DigitLock, as its users call it: contracts/src/examples/DigitLock.sol."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any, Self

from zkinfer.chain.events import REQUESTED, request_in
from zkinfer.contracts.abi import constructor_data
from zkinfer.contracts.deploying import FACTORY, Part

if TYPE_CHECKING:
    from zkinfer.chain import Answer
    from zkinfer.contracts import Request
    from zkinfer.contracts.chain import Chain


class DigitLock:
    """A lock that opens for the first picture which a model reads as the right digit."""

    def __init__(self, address: str) -> None:
        self.address = address

    @classmethod
    def create(cls, chain: Chain, ledger: str, listing: str, digit: int, margin: int) -> Self:
        """A new lock, which relies on a ledger and one listing; scores must lead by `margin` units to open it."""
        code = constructor_data("DigitLock", (ledger, bytes.fromhex(listing[2:]), digit, margin))
        part = Part("DigitLock", code, bytes(32))
        chain.send(FACTORY, part.salt + part.creation)
        return cls(part.address)

    def play(self, chain: Chain, picture: str, prover: str, value: int) -> Request:
        """Show a picture by its commitment, and pay for its reading; returns the request that the lock makes of it."""
        arguments = (bytes.fromhex(picture[2:]), prover)
        receipt = chain.write("DigitLock", self.address, "play", *arguments, value=value)
        logs = receipt["logs"] if receipt is not None else []
        return next(request_in(log) for log in logs if bytes(log["topics"][0]) == REQUESTED)

    def settle(self, chain: Chain, answer: Answer) -> None:
        """Let the lock act on an answer that is on record."""
        chain.write("DigitLock", self.address, "settle", *abi_of(answer))

    def winner(self, chain: Chain) -> str:
        """Who opened it; the zero address while it is shut."""
        winner: str = chain.read("DigitLock", self.address, "winner")
        return winner


def abi_of(answer: Answer) -> tuple[Any, ...]:
    """The arguments of `settle` and of the ledger's `record`."""
    fields = astuple(answer.request)
    words = (bytes.fromhex(one[2:]) if isinstance(one, str) and len(one) == 66 else one for one in fields)
    return tuple(words), answer.proof, answer.instances
