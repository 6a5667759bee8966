"""One account on one chain: calls and transactions.

Needs the extra `chain`. Only the caller's signer has access to a private key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eth_utils.address import to_checksum_address

from zkinfer.contracts.abi import call_data, decode_result, function_named
from zkinfer.contracts.errors import RevertedError, RpcError, TransactionFailedError, WrongChainError
from zkinfer.contracts.rpc import TransactionNotFound, rpc_errors
from zkinfer.contracts.transactions import Limits, Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from web3 import Web3
    from web3.types import TxReceipt

    from zkinfer.contracts.artifacts import ContractName
    from zkinfer.contracts.signers import Signer
    from zkinfer.contracts.transactions import Quote, Sent


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One log of a contract: its topics and data, the number of its block, and the hash of its transaction."""

    topics: tuple[bytes, ...]
    data: bytes
    block: int
    transaction: str


class Chain:
    """A web3 connection, and the account that pays.

    Args:
        web3: the connection; see `zkinfer.contracts.rpc.connect`.
        signer: signs and pays; None for reading only. Accounts of eth_account are signers.
        limits: what transactions may cost, and how long to wait for them.
        rehearsal: send nothing; append a quote for each transaction to `quotes`.
    """

    def __init__(
        self, web3: Web3, signer: Signer | None = None, limits: Limits | None = None, *, rehearsal: bool = False
    ) -> None:
        self._web3 = web3
        self._signer = signer
        self._limits = limits or Limits()
        self._rehearsal = rehearsal
        self._id: int | None = None
        self._sending: Sender | None = None
        self.quotes: list[Quote] = []

    @property
    def id(self) -> int:
        """The chain id, as the node first answered it; transactions are signed for this chain."""
        if self._id is None:
            with rpc_errors(self._web3):
                self._id = int(self._web3.eth.chain_id)
        return self._id

    def require_id(self, wanted: int) -> None:
        """Raise WrongChainError if the node is on another chain."""
        if self.id != wanted:
            raise WrongChainError(f"The node is on chain {self.id} instead of chain {wanted}.", "Check --rpc.")

    @property
    def address(self) -> str:
        """The paying account, in lower case; raises TransactionFailedError if there is none."""
        return str(self._account().address).lower()

    @property
    def sends(self) -> bool:
        """Whether transactions are sent; False in a rehearsal."""
        return not self._rehearsal

    @property
    def sent(self) -> list[Sent]:
        """The transactions that were sent, in order."""
        return [] if self._sending is None else self._sending.sent

    def code(self, address: str) -> bytes:
        """The code at an address."""
        with rpc_errors(self._web3):
            return bytes(self._web3.eth.get_code(_address(address)))

    def balance(self, address: str) -> int:
        """The balance of an account, in wei."""
        with rpc_errors(self._web3):
            return int(self._web3.eth.get_balance(_address(address)))

    def storage(self, address: str, slot: int) -> int:
        """A word of a contract's storage."""
        with rpc_errors(self._web3):
            return int.from_bytes(self._web3.eth.get_storage_at(_address(address), slot), "big")

    def time(self) -> int:
        """The time of the latest block, in Unix seconds."""
        with rpc_errors(self._web3):
            return int(self._web3.eth.get_block("latest")["timestamp"])

    def logs(self, address: str, topics: list[bytes]) -> list[list[bytes]]:
        """The topics of a contract's logs that begin with these; raises RpcError if the node lacks old logs."""
        wanted: Any = {
            "address": _address(address),
            "fromBlock": 0,
            "toBlock": "latest",
            "topics": ["0x" + one.hex() for one in topics],
        }
        with rpc_errors(self._web3):
            return [[bytes(one) for one in log["topics"]] for log in self._web3.eth.get_logs(wanted)]

    def height(self) -> int:
        """The number of the latest block."""
        with rpc_errors(self._web3):
            return int(self._web3.eth.block_number)

    def entries(self, address: str, topics: list[Any], first: int, last: int) -> list[LogEntry]:
        """A contract's logs in a range of blocks, oldest first.

        Args:
            address: of the contract.
            topics: what they begin with: a word for each place, or a list of alternatives.
            first: the number of the first block.
            last: the number of the last block.

        Raises RpcError if the node lacks old logs, or refuses so many blocks.
        """
        wanted: Any = {"address": _address(address), "fromBlock": first, "toBlock": last, "topics": topics}
        with rpc_errors(self._web3):
            found = self._web3.eth.get_logs(wanted)
        return [
            LogEntry(
                topics=tuple(bytes(one) for one in log["topics"]),
                data=bytes(log["data"]),
                block=int(log["blockNumber"]),
                transaction="0x" + bytes(log["transactionHash"]).hex(),
            )
            for log in found
        ]

    def calldata(self, transaction: str) -> tuple[str, bytes]:
        """The address that a transaction called, in lower case, and its calldata; empty if it created a contract.

        Raises RpcError if the node does not know the transaction.
        """
        try:
            with rpc_errors(self._web3):
                found = self._web3.eth.get_transaction(transaction)  # type: ignore[arg-type] # its own type of text
        except TransactionNotFound as err:
            raise RpcError(f"The node does not know the transaction {transaction}.", "Ask an archive node.") from err
        return str(found.get("to") or "").lower(), bytes(found["input"])

    def read(self, contract: ContractName, address: str, name: str, *arguments: object) -> Any:  # noqa: ANN401 - any ABI value
        """Call a view function; several results are returned as a tuple.

        Raises:
            RevertedError: the contract refused.
            RpcError: the node failed, or its answer cannot be decoded.
        """
        entry = function_named(contract, name)
        answer = self._simulate({"to": _address(address), "data": call_data(entry, arguments)})
        try:
            return decode_result(entry, answer)
        except RpcError as err:
            raise RpcError(f"{contract} at {address} gave no answer to {name}.", err.cure) from err

    def write(
        self,
        contract: ContractName,
        address: str,
        name: str,
        *arguments: object,
        value: int = 0,
        gas: int | None = None,
    ) -> TxReceipt | None:
        """Send a transaction that calls a function, and wait for it; see `send`."""
        return self.send(address, call_data(function_named(contract, name), arguments), value=value, gas=gas)

    def send(self, to: str, data: bytes = b"", *, value: int = 0, gas: int | None = None) -> TxReceipt | None:
        """Send a transaction and wait until it has its confirmations; None in a rehearsal, which only quotes it.

        Without `gas` the node estimates it, so a transaction that would revert is not sent. Fees are raised within the
        limits until a block includes it.

        Raises:
            RevertedError: the contract refused, before sending or in the block.
            FeeLimitError: it would cost more than the limits or the balance allow.
            TransactionFailedError: there is no account, or the timeout expired.
            SignerError: the signer refused, or signed something else.
            RpcError: the node failed.
        """
        if self._rehearsal:
            self.quotes.append(self._sender().quote(_address(to), data, value, gas))
            return None
        receipt = self._sender().send(_address(to), data, value, gas)
        if receipt["status"] != 1:
            self._simulate({"from": self._account().address, "to": _address(to), "data": data, "value": value})
            raise RevertedError("The transaction reverted; the same call now would not.")
        return receipt

    def ensure(self, done: Callable[[], bool], send: Callable[[], TxReceipt | None]) -> TxReceipt | None:
        """Call `send` unless `done()` is true already, and return its receipt; None if nothing was sent.

        The state is read from the chain before and after: an earlier run or another account may have done the same,
        and a block may be reorganised away.

        Raises as `send`, and TransactionFailedError if `done()` is still false.
        """
        if done():
            return None
        if not self._rehearsal:
            self._sender().wait_until_idle()
            if done():
                return None
        try:
            receipt = send()
        except (RevertedError, TransactionFailedError):
            if done():
                return None
            raise
        if not self._rehearsal and not done():
            raise TransactionFailedError(
                "The transaction was included, but the chain does not show its effect.", "Try again."
            )
        return receipt

    def quote(self, to: str, data: bytes = b"", *, value: int = 0, gas: int | None = None) -> Quote:
        """What a transaction would cost now; raises as `send`."""
        return self._sender().quote(_address(to), data, value, gas)

    def publish(self, raw: bytes) -> TxReceipt:
        """Send a transaction that is already signed, and wait for it; raises RpcError if the node refuses."""
        with rpc_errors(self._web3):
            sent = self._web3.eth.send_raw_transaction(raw)
            return self._web3.eth.wait_for_transaction_receipt(sent, timeout=self._limits.timeout)

    def _account(self) -> Signer:
        if self._signer is None:
            raise TransactionFailedError("There is no account to pay with.", "Give a key.")
        return self._signer

    def _sender(self) -> Sender:
        if self._sending is None:
            self._sending = Sender(self._web3, self._account(), self._limits, self.id)
        return self._sending

    def _simulate(self, transaction: dict[str, Any]) -> bytes:
        with rpc_errors(self._web3):
            return bytes(self._web3.eth.call(transaction))  # type: ignore[arg-type]


def _address(text: str) -> Any:  # noqa: ANN401 - web3 has its own type of checksummed text
    return to_checksum_address(text)
