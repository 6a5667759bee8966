"""One account on one chain: calls, transactions, and what a contract said when it refused.

This needs the extra `chain`. Nothing here keeps a private key longer than the account object that the caller made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from web3.exceptions import ContractLogicError, TimeExhausted, Web3Exception

from zkinfer.contracts.errors import RevertedError, RpcError, TransactionFailedError
from zkinfer.contracts.hashing import keccak256
from zkinfer.contracts.loading import CONTRACTS, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eth_account.signers.local import LocalAccount
    from web3 import Web3
    from web3.types import TxReceipt

    from zkinfer.contracts.loading import ContractName

_GWEI: Final = 10**9
_GAS_MARGIN: Final = (5, 4)
_BYTES: Final = ("bytes", "string")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a transaction may cost and how long to wait for it: wei for each unit of gas, seconds, blocks."""

    max_fee: int = 200 * _GWEI
    max_tip: int = 2 * _GWEI
    timeout: float = 180.0
    confirmations: int = 1


class Chain:
    """A web3 connection, and the account that pays.

    Args:
        web3: the connection.
        account: signs and pays; None for reading only.
        limits: what transactions may cost.
    """

    def __init__(self, web3: Web3, account: LocalAccount | None = None, limits: Limits | None = None) -> None:
        self._web3 = web3
        self._account = account
        self._limits = limits or Limits()

    @property
    def id(self) -> int:
        """The chain id that the node answers with."""
        return int(self._web3.eth.chain_id)

    @property
    def address(self) -> str:
        """The paying account, in lower case; raises TransactionFailedError where there is none."""
        return str(self._signer().address).lower()

    def code(self, address: str) -> bytes:
        """The code that lies at an address."""
        return bytes(self._web3.eth.get_code(_address(address)))

    def balance(self, address: str) -> int:
        """The balance of an account, in wei."""
        return int(self._web3.eth.get_balance(_address(address)))

    def storage(self, address: str, slot: int) -> int:
        """A word of a contract's storage."""
        return int.from_bytes(self._web3.eth.get_storage_at(_address(address), slot), "big")

    def time(self) -> int:
        """The time of the latest block, in Unix seconds."""
        return int(self._web3.eth.get_block("latest")["timestamp"])

    def read(self, contract: ContractName, address: str, name: str, *arguments: object) -> Any:  # noqa: ANN401 - any ABI value
        """Call a view function; one result is given as it is, several as a tuple.

        Raises:
            RevertedError: the contract refused.
            RpcError: the node failed, or its answer is not what the function returns.
        """
        entry = function_named(contract, name)
        answer = self._simulate({"to": _address(address), "data": call_data(entry, arguments)})
        types = [type_of(one) for one in entry["outputs"]]
        try:
            values = decode(types, answer)
        except DecodingError as err:
            raise RpcError(f"{contract} at {address} gave no answer to {name}.", "Is it another contract?") from err
        return values[0] if len(values) == 1 else values

    def write(
        self,
        contract: ContractName,
        address: str,
        name: str,
        *arguments: object,
        value: int = 0,
        gas: int | None = None,
    ) -> TxReceipt:
        """Send a transaction that calls a function, and wait for it; see `send`."""
        return self.send(address, call_data(function_named(contract, name), arguments), value=value, gas=gas)

    def send(self, to: str, data: bytes = b"", *, value: int = 0, gas: int | None = None) -> TxReceipt:
        """Send a transaction and wait until it has the confirmations that are wanted.

        Without `gas` the node estimates it, so that a transaction which would revert is not sent.

        Raises:
            RevertedError: the contract refused, before sending or in the block.
            TransactionFailedError: there is no account, fees are above the limits, or time ran out.
            RpcError: the node failed.
        """
        signer = self._signer()
        transaction: dict[str, Any] = {"to": _address(to), "data": data, "value": value}
        transaction |= {"from": signer.address, "chainId": self.id, **self._fees()}
        try:
            transaction["nonce"] = self._web3.eth.get_transaction_count(signer.address, "pending")
            transaction["gas"] = gas if gas is not None else self._estimate(transaction)
            signed = signer.sign_transaction({key: one for key, one in transaction.items() if key != "from"})
            receipt = self._web3.eth.wait_for_transaction_receipt(
                self._web3.eth.send_raw_transaction(signed.raw_transaction), timeout=self._limits.timeout
            )
        except ContractLogicError as err:
            raise RevertedError(reason_of(err.data)) from err
        except TimeExhausted as err:
            raise TransactionFailedError(f"No block took the transaction within {self._limits.timeout:.0f} s.") from err
        except Web3Exception as err:
            raise RpcError(f"The node refused: {str(err)[:300]}.") from err
        if receipt["status"] != 1:
            self._simulate({key: transaction[key] for key in ("from", "to", "data", "value")})
            raise RevertedError("The transaction reverted; the same call now would not.")
        return receipt

    def publish(self, raw: bytes) -> TxReceipt:
        """Send a transaction that somebody else signed, and wait for it; raises RpcError where the node refuses."""
        try:
            sent = self._web3.eth.send_raw_transaction(raw)
            return self._web3.eth.wait_for_transaction_receipt(sent, timeout=self._limits.timeout)
        except Web3Exception as err:
            raise RpcError(f"The node refused: {str(err)[:300]}.") from err

    def _signer(self) -> LocalAccount:
        if self._account is None:
            raise TransactionFailedError("There is no account to pay with.", "Give a key.")
        return self._account

    def _fees(self) -> dict[str, int]:
        base = int(self._web3.eth.get_block("latest").get("baseFeePerGas", 0))
        if base > self._limits.max_fee:
            raise TransactionFailedError(
                f"Gas costs {base / _GWEI:.3g} gwei, above the limit of {self._limits.max_fee / _GWEI:.3g}.",
                "Wait, or raise the limit.",
            )
        tip = min(self._limits.max_tip, self._limits.max_fee - base)
        return {"maxFeePerGas": min(2 * base + tip, self._limits.max_fee), "maxPriorityFeePerGas": tip}

    def _estimate(self, transaction: dict[str, Any]) -> int:
        times, by = _GAS_MARGIN
        return int(self._web3.eth.estimate_gas(transaction)) * times // by  # type: ignore[arg-type]

    def _simulate(self, transaction: dict[str, Any]) -> bytes:
        try:
            return bytes(self._web3.eth.call(transaction))  # type: ignore[arg-type]
        except ContractLogicError as err:
            raise RevertedError(reason_of(err.data)) from err
        except Web3Exception as err:
            raise RpcError(f"The node refused: {str(err)[:300]}.") from err


def function_named(contract: ContractName, name: str) -> dict[str, Any]:
    """The ABI entry of a function; raises KeyError where there is none, or several."""
    found = [one for one in load(contract).abi if one["type"] == "function" and one["name"] == name]
    if len(found) != 1:
        raise KeyError(f"{contract} has {len(found)} functions named {name}")
    return found[0]


def type_of(entry: dict[str, Any]) -> str:
    """The canonical type of an argument, tuples written out."""
    kind = str(entry["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(type_of(one) for one in entry['components'])}){kind.removeprefix('tuple')}"


def signature_of(entry: dict[str, Any]) -> str:
    """Name and types of a function or an error."""
    return f"{entry['name']}({','.join(type_of(one) for one in entry['inputs'])})"


def call_data(entry: dict[str, Any], arguments: Sequence[Any]) -> bytes:
    """The calldata of a call, in the one canonical encoding."""
    return keccak256(signature_of(entry).encode())[:4] + encode([type_of(one) for one in entry["inputs"]], arguments)


def constructor_data(contract: ContractName, arguments: Sequence[Any]) -> bytes:
    """The creation code of a contract with the arguments of its constructor."""
    entries = [one for one in load(contract).abi if one["type"] == "constructor"]
    types = [type_of(one) for one in entries[0]["inputs"]] if entries else []
    return load(contract).creation + encode(types, arguments)


def reason_of(data: object) -> str:
    """What a revert says, by the errors of our contracts."""
    raw = _raw(data)
    entry = _errors().get(raw[:4])
    if entry is None:
        return f"The contract refused without a reason that is known: 0x{raw.hex()[:72]}."
    try:
        values = decode([type_of(one) for one in entry["inputs"]], raw[4:])
    except DecodingError:
        values = ()
    told = ", ".join(
        f"{one['name']} = {'0x' + value.hex() if isinstance(value, bytes) else value}"
        for one, value in zip(entry["inputs"], values, strict=False)
    )
    return f"The contract refused: {entry['name']}({told})."


@cache
def _errors() -> dict[bytes, dict[str, Any]]:
    entries = [one for name in CONTRACTS for one in load(name).abi if one["type"] == "error"]
    return {keccak256(signature_of(one).encode())[:4]: one for one in entries}


def _raw(data: object) -> bytes:
    if isinstance(data, bytes):
        return data
    return bytes.fromhex(data.removeprefix("0x")) if isinstance(data, str) else b""


def _address(text: str) -> Any:  # noqa: ANN401 - web3 wants its own type of checksummed text
    return to_checksum_address(text)
