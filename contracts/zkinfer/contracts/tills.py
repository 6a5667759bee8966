"""Clients of tills, the accounts of works, and of funds, which share a data set's income among contributors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zkinfer.contracts.abi import hex_to_bytes
from zkinfer.contracts.identifiers import keccak256, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain


class Till:
    """The open till at an address. Every method raises as `Chain.write`, and RevertedError if the till refuses."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    def sweep(self) -> TxReceipt | None:
        """Pay everything that the till holds to its work."""
        return self._write("sweep")

    def collect(self, ledger: str) -> TxReceipt | None:
        """Withdraw the fees that a ledger has credited to the till, and pay them to its work."""
        return self._write("collect", ledger)

    def accept(self, registry: str, listing: str) -> TxReceipt | None:
        """Accept a listing whose owner has named this till as the next one, as the work's owner."""
        return self._write("accept", registry, hex_to_bytes(listing))

    def set_fee(self, registry: str, listing: str, fee: int) -> TxReceipt | None:
        """Change the least fee of an answer, in wei, as the work's owner."""
        return self._write("setFee", registry, hex_to_bytes(listing), fee)

    def deprecate(self, registry: str, listing: str, successor: str) -> TxReceipt | None:
        """Take no more requests, as the work's owner; `successor` is the listing to use instead, or zero."""
        return self._write("deprecate", registry, hex_to_bytes(listing), hex_to_bytes(successor))

    def revoke(self, registry: str, listing: str) -> TxReceipt | None:
        """Revoke a listing, as the work's owner."""
        return self._write("revoke", registry, hex_to_bytes(listing))

    def offer_ownership(self, registry: str, listing: str, owner: str) -> TxReceipt | None:
        """Name another owner of a listing, as the work's owner."""
        return self._write("offerOwnership", registry, hex_to_bytes(listing), owner)

    def _write(self, name: str, *arguments: object) -> TxReceipt | None:
        return self._chain.write("Till", self.address, name, *arguments)


def leaf_of(account: str, weight: int) -> bytes:
    """The leaf of a contributor: OpenZeppelin's standard tree over `(address, uint128)`, hashed twice."""
    return keccak256(keccak256(words([account, weight])))


class ContributorFund:
    """The fund at an address."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    def claim(self, account: str, weight: int, proof: Sequence[bytes]) -> TxReceipt | None:
        """Pay a contributor what is due; anybody may. Raises RevertedError if nothing is, or the proof is wrong."""
        return self._chain.write("ContributorFund", self.address, "claim", account, weight, list(proof))

    def due(self, account: str, weight: int) -> int:
        """What a contributor can claim now, in wei, with the fund's credit at the market."""
        return int(self._read("due", account, weight))

    def paid(self, account: str, weight: int) -> int:
        """What a contributor was ever paid, in wei."""
        return int(self._read("paidTo", account, weight))

    def root(self) -> str:
        """The root of the tree of contributors."""
        return "0x" + bytes(self._read("ROOT")).hex()

    def manifest(self) -> str:
        """SHA-256 of the file that lists the contributors."""
        return "0x" + bytes(self._read("MANIFEST")).hex()

    def total_weight(self) -> int:
        """The sum of all weights."""
        return int(self._read("TOTAL_WEIGHT"))

    def _read(self, name: str, *arguments: object) -> Any:  # noqa: ANN401 - any ABI value
        return self._chain.read("ContributorFund", self.address, name, *arguments)
