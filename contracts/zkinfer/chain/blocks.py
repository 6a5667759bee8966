"""The blocks of a chain that a node knows, and the requests in its logs. Every method raises RpcError if it fails."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_typing import BlockNumber

from zkinfer.contracts import Request, load
from zkinfer.contracts.abi import signature_of, type_of
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.errors import RpcError
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.rpc import Web3, rpc_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Header(NamedTuple):
    """A block as it names itself: its number, and its hash in hexadecimal with `0x`."""

    number: int
    hash: str


def moment(seconds: int) -> datetime:
    """The time of a chain's clock; raises RpcError if no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as err:
        raise RpcError(f"The node states a time that no calendar has: {seconds:,} s.", "Ask another node.") from err


def _event(name: str) -> dict[str, Any]:
    return next(one for one in load("InferenceLedger").abi if one["type"] == "event" and one["name"] == name)


_REQUESTED: Final = _event("Requested")
REQUESTED: Final = keccak256(signature_of(_REQUESTED).encode())
"""The first topic of the event that contains a request; the second is the request's id."""


def request_in(log: Mapping[str, Any]) -> Request:
    """The request in a log of `Requested`. The caller must compare its hash: a node can make up a log.

    Raises RpcError if the log cannot be decoded.
    """
    types = [type_of(one) for one in _REQUESTED["inputs"] if not one["indexed"]]
    try:
        (fields,) = decode(types, bytes(log["data"]))
    except DecodingError as err:
        raise RpcError("The node's log of a request cannot be decoded.", "Is the ledger of another version?") from err
    values: Iterator[Any] = (f"0x{one.hex()}" if isinstance(one, bytes) else one for one in fields)
    return Request(*values)


class Blocks:
    """The blocks of a connection's chain."""

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

    def settled(self, confirmations: int | None) -> Header:
        """The last block with this many confirmations, itself included; for None, the chain's last finalized block.

        The latest block has one confirmation, as in `Limits`.
        """
        if confirmations is None:
            return self._final()
        with rpc_errors(self._web3):
            number = max(0, int(self._web3.eth.block_number) - confirmations + 1)
        return self.header(number)

    def header(self, number: int) -> Header:
        """The block with this number."""
        with rpc_errors(self._web3):
            return _header(self._web3.eth.get_block(number))

    def dated(self, number: int) -> tuple[Header, int]:
        """The block with this number, and its time in Unix seconds."""
        with rpc_errors(self._web3):
            block = self._web3.eth.get_block(number)
            return _header(block), int(block["timestamp"])

    def request(self, ledger: str, request_id: str, until: int) -> Request | None:
        """The request with this id, from the ledger's logs up to a block; None if the node has no log of it."""
        wanted: Any = {
            "address": Web3.to_checksum_address(ledger),
            "fromBlock": BlockNumber(0),
            "toBlock": BlockNumber(until),
            "topics": ["0x" + REQUESTED.hex(), request_id],
        }
        with rpc_errors(self._web3):
            logs = self._web3.eth.get_logs(wanted)
        return request_in(logs[0]) if logs else None

    def _final(self) -> Header:
        try:
            with rpc_errors(self._web3):
                return _header(self._web3.eth.get_block("finalized"))
        except RpcError as err:
            raise RpcError(
                "The node has no finalized block of its chain.",
                "Set the number of blocks to wait for: --confirmations NUMBER.",
            ) from err


def _header(block: Mapping[str, Any]) -> Header:
    return Header(int(block["number"]), "0x" + bytes(block["hash"]).hex())
