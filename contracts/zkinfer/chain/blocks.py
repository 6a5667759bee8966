"""One chain, read at a block of the caller's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eth_typing import BlockNumber

from zkinfer.chain.events import REQUESTED, request_in
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.ethereum import Web3
from zkinfer.contracts.nodes import asking

if TYPE_CHECKING:
    from zkinfer.contracts import Request


class Blocks:
    """The blocks of the chain that a connection leads to; everything raises RpcError where the node fails."""

    def __init__(self, web3: Web3) -> None:
        self._web3 = web3

    def latest(self) -> Chain:
        """The chain as it is now."""
        return Chain(self._web3)

    def at(self, block: int) -> Chain:
        """The chain as it was after a block."""
        web3 = Web3(self._web3.provider)
        web3.eth.default_block = BlockNumber(block)
        return Chain(web3)

    def settled(self, confirmations: int | None) -> int:
        """The last block that has this many confirmations, itself included; for None, the last final one of the chain.

        So the latest block has one, as where a transaction is waited for.
        """
        if confirmations is None:
            return self._final()
        with asking(self._web3):
            return max(0, int(self._web3.eth.block_number) - confirmations + 1)

    def request(self, ledger: str, request_id: str, until: int) -> Request | None:
        """The request of this id as the ledger told it, up to a block; None where the node has no log of it."""
        wanted: Any = {
            "address": Web3.to_checksum_address(ledger),
            "fromBlock": BlockNumber(0),
            "toBlock": BlockNumber(until),
            "topics": ["0x" + REQUESTED.hex(), request_id],
        }
        with asking(self._web3):
            logs = self._web3.eth.get_logs(wanted)
        return request_in(logs[0]) if logs else None

    def _final(self) -> int:
        try:
            with asking(self._web3):
                return int(self._web3.eth.get_block("finalized")["number"])
        except RpcError as err:
            raise RpcError(
                "The node names no final block of its chain.", "Say how many blocks are enough: --confirmations NUMBER."
            ) from err
