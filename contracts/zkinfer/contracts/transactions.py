"""Send transactions from one account, one at a time, and wait for the confirmations of each.

A chain may reorganise, and may never include a transaction. So until it is confirmed, all transactions that were signed
with its nonce are watched: at most one of them is ever included. If none is included in time, it is sent again with
higher fees; one that was included and has disappeared is sent again unchanged.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from zkinfer.contracts.errors import FeeLimitError, RpcError, TransactionFailedError
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.rpc import TransactionNotFound, rpc_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from web3 import Web3
    from web3.types import TxReceipt

    from zkinfer.contracts.signers import Signer


GWEI: Final = 10**9
ETHER: Final = 10**18
# Nodes replace a transaction of the same nonce if both fees are at least a tenth higher.
_FEE_RAISE: Final = (9, 8)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the cost of transactions and of the time to wait for them.

    Args:
        max_fee: wei per unit of gas, including the tip.
        max_tip: wei of tip per unit of gas.
        max_cost: wei that all transactions of a `Chain` may cost together, including their values; None for no limit.
        timeout: seconds to wait until a transaction is confirmed.
        resubmit_after: seconds without inclusion in a block after which fees are raised.
        confirmations: blocks to wait for, including the transaction's own.
    """

    max_fee: int = 200 * GWEI
    max_tip: int = 2 * GWEI
    max_cost: int | None = None
    timeout: float = 300.0
    resubmit_after: float = 45.0
    confirmations: int = 1


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei per unit of gas: the maximum, and the part that the block's proposer gets."""

    max_fee: int
    tip: int

    @property
    def fields(self) -> dict[str, int]:
        """The fields of a transaction."""
        return {"maxFeePerGas": self.max_fee, "maxPriorityFeePerGas": self.tip}


def initial_fees(base: int, tip: int, limits: Limits) -> Fees:
    """Fees that stay sufficient for several full blocks, within the limits.

    Args:
        base: the latest block's base fee.
        tip: the node's suggestion.
        limits: the upper limits.

    Raises FeeLimitError if the base fee alone is above the limit.
    """
    if base > limits.max_fee:
        raise FeeLimitError(
            f"Gas costs {base / GWEI:.3g} gwei, above the limit of {limits.max_fee / GWEI:.3g}.",
            "Wait, or raise the limit.",
        )
    tip = min(tip, limits.max_tip, limits.max_fee - base)
    return Fees(min(2 * base + tip, limits.max_fee), tip)


def raised_fees(fees: Fees, now: Fees, limits: Limits) -> Fees | None:
    """Fees with which nodes replace the transaction, at least those of now; None if beyond the limits."""
    higher = Fees(max(_raise(fees.max_fee), now.max_fee), max(_raise(fees.tip), now.tip))
    within = higher.max_fee <= limits.max_fee and higher.tip <= limits.max_tip
    return higher if within else None


def _raise(amount: int) -> int:
    times, by = _FEE_RAISE
    return max(-(-amount * times // by), amount + 1)


def in_ether(amount: int) -> str:
    """An amount of wei for people, to four digits and without an exponent: `0.0021 ether`, `1,000,000 ether`."""
    return f"{Decimal(f'{amount / ETHER:.4g}'):,f} ether"


_GAS_MARGIN: Final = (5, 4)
_MIN_GAS: Final = 21_000
_POLL: Final = 0.5
_GRACE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Quote:
    """The gas of a transaction, as the node estimates it with a margin, its fees, and its value in wei."""

    gas: int
    fees: Fees
    value: int

    @property
    def cost(self) -> int:
        """The maximum that it takes from the account, in wei."""
        return self.gas * self.fees.max_fee + self.value


@dataclass(frozen=True, slots=True)
class Sent:
    """An included transaction: its hash, block, gas, and cost in wei, including its value."""

    transaction: str
    block: int
    gas: int
    cost: int

    @classmethod
    def of(cls, receipt: TxReceipt, fees: Fees, value: int) -> Sent:
        """The transaction of a receipt; a reverted one transferred no value."""
        gas, price = int(receipt["gasUsed"]), int(receipt.get("effectiveGasPrice", fees.max_fee))
        transferred = value if receipt["status"] == 1 else 0
        return cls(
            "0x" + bytes(receipt["transactionHash"]).hex(), int(receipt["blockNumber"]), gas, gas * price + transferred
        )


@dataclass(frozen=True, slots=True)
class _Version:
    """A signed transaction and its fees."""

    raw: bytes
    fees: Fees


@dataclass(slots=True)
class _PendingTransaction:
    """Everything signed with one nonce, and when it was last sent."""

    transaction: dict[str, Any]
    fees: Fees
    started_at: float
    last_sent_at: float
    versions: dict[bytes, _Version] = field(default_factory=dict)
    was_included: bool = False
    nonce_used: float | None = None

    @property
    def nonce(self) -> int:
        return int(self.transaction["nonce"])

    def fees_of(self, receipt: TxReceipt) -> Fees:
        """The fees of the version that was included."""
        included = self.versions.get(bytes(receipt["transactionHash"]))
        return self.fees if included is None else included.fees


class Sender:
    """Sends for one account.

    Args:
        web3: the connection.
        signer: signs and pays.
        limits: of cost and time.
        chain_id: part of what is signed; nodes of other chains reject it.
        clock, sleep: monotonic seconds, and a wait.
    """

    def __init__(
        self,
        web3: Web3,
        signer: Signer,
        limits: Limits,
        chain_id: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._web3 = web3
        self._signer = signer
        self._limits = limits
        self._chain_id = chain_id
        self._clock, self._sleep = clock, sleep
        self.sent: list[Sent] = []

    @property
    def _spent(self) -> int:
        return sum(one.cost for one in self.sent)

    def wait_until_idle(self) -> int:
        """Wait until the account has no pending transaction, and return the next nonce.

        An interrupted run may have left one, which may do the same as the next.

        Raises TransactionFailedError if one stays pending.
        """
        started_at = self._clock()
        while True:
            taken, known = self._count("latest"), self._count("pending")
            if known <= taken:
                return taken
            if self._clock() - started_at > self._limits.timeout:
                raise TransactionFailedError(
                    f"{known - taken} transactions of {self._signer.address} are pending, from nonce {taken} on.",
                    "Wait until they are included, or replace them with a wallet.",
                )
            self._sleep(_POLL)

    def quote(self, to: str, data: bytes, value: int, gas: int | None) -> Quote:
        """The cost of a transaction now.

        Raises:
            RevertedError: it would revert.
            FeeLimitError: it costs more than the limits or the balance allow.
            RpcError: the node failed.
        """
        fees = self._fees()
        self._require_affordable(Quote(gas or _MIN_GAS, fees, value))
        quote = Quote(gas or self._estimate(to, data, value), fees, value)
        self._require_affordable(quote)
        return quote

    def send(self, to: str, data: bytes, value: int, gas: int | None) -> TxReceipt:
        """Send, and wait for the confirmations; the receipt may be of a transaction that reverted.

        Raises as `quote` and `wait_until_idle`, and TransactionFailedError on timeout.
        """
        nonce = self.wait_until_idle()
        quote = self.quote(to, data, value, gas)
        transaction = {"type": 2, "chainId": self._chain_id, "nonce": nonce, "to": to, "value": value, "data": data}
        now = self._clock()
        pending = _PendingTransaction({**transaction, "gas": quote.gas}, quote.fees, now, now)
        self._submit(pending)
        receipt = self._wait_for_receipt(pending)
        self.sent.append(Sent.of(receipt, pending.fees_of(receipt), value))
        return receipt

    def _wait_for_receipt(self, pending: _PendingTransaction) -> TxReceipt:
        while True:
            taken = self._count("latest")
            receipt = self._receipt(pending)
            if receipt is not None and self._is_confirmed(receipt):
                return receipt
            if receipt is not None:
                pending.was_included, pending.nonce_used = True, None
            elif pending.was_included:
                self._send_again(pending)
            elif taken > pending.nonce:
                self._require_ours(pending)
            elif self._clock() - pending.last_sent_at >= self._limits.resubmit_after:
                self._raise_fees(pending)
            self._require_time(pending)
            self._sleep(_POLL)

    def _require_ours(self, pending: _PendingTransaction) -> None:
        """A node may know that a nonce was used some time before it has the receipt."""
        now = self._clock()
        pending.nonce_used = now if pending.nonce_used is None else pending.nonce_used
        if now - pending.nonce_used >= _GRACE:
            raise TransactionFailedError(
                f"Another transaction of {self._signer.address} used nonce {pending.nonce}.",
                "Use an account with one program at a time.",
            )

    def _submit(self, pending: _PendingTransaction) -> None:
        """Sign and send. It is watched before it is sent, since it may have arrived even if the answer is lost.

        RpcError for the first version ends the sending; if the node has it after all, the next `wait_until_idle` waits.
        """
        signed = self._signer.sign_transaction({**pending.transaction, **pending.fees.fields})
        raw = bytes(signed.raw_transaction)
        name = keccak256(raw)
        pending.versions[name] = _Version(raw, pending.fees)
        with rpc_errors(self._web3):
            answered = bytes(self._web3.eth.send_raw_transaction(raw))
        if answered != name:
            raise RpcError(
                f"The node answered with another hash than that of the sent transaction 0x{name.hex()}.",
                "Use another node.",
            )

    def _send_again(self, pending: _PendingTransaction) -> None:
        """Send it unchanged. A node that still has the transaction refuses it, which is no error."""
        pending.was_included, pending.last_sent_at = False, self._clock()
        try:
            with rpc_errors(self._web3):
                self._web3.eth.send_raw_transaction(list(pending.versions.values())[-1].raw)
        except RpcError:
            return

    def _raise_fees(self, pending: _PendingTransaction) -> None:
        """Send it with higher fees, within the limits; the node refuses if it has just included the last version."""
        pending.last_sent_at = self._clock()
        higher = raised_fees(pending.fees, self._fees(), self._limits)
        gas, value = pending.transaction["gas"], pending.transaction["value"]
        if higher is None or not self._is_affordable(Quote(gas, higher, value)):
            self._send_again(pending)  # nodes drop transactions that are pending for long
            return
        pending.fees = higher
        try:
            self._submit(pending)
        except RpcError:
            return

    def _receipt(self, pending: _PendingTransaction) -> TxReceipt | None:
        for known in pending.versions:
            try:
                with rpc_errors(self._web3):
                    return self._web3.eth.get_transaction_receipt(known)  # type: ignore[arg-type]
            except TransactionNotFound:
                continue
        return None

    def _is_confirmed(self, receipt: TxReceipt) -> bool:
        with rpc_errors(self._web3):
            height = int(self._web3.eth.block_number)
        return height - int(receipt["blockNumber"]) + 1 >= self._limits.confirmations

    def _require_time(self, pending: _PendingTransaction) -> None:
        if self._clock() - pending.started_at <= self._limits.timeout:
            return
        state = "has too few confirmations" if pending.was_included else "was not included in a block"
        raise TransactionFailedError(
            f"The transaction of nonce {pending.nonce} {state} after {self._limits.timeout:.0f} s.",
            "It may still be included; running the command again is safe. Raise the limits if fees are high.",
        )

    def _count(self, block: str) -> int:
        with rpc_errors(self._web3):
            return int(self._web3.eth.get_transaction_count(self._signer.address, block))  # type: ignore[arg-type]

    def _fees(self) -> Fees:
        with rpc_errors(self._web3):
            base = int(self._web3.eth.get_block("latest").get("baseFeePerGas", 0))
            tip = int(self._web3.eth.max_priority_fee)
        return initial_fees(base, tip, self._limits)

    def _estimate(self, to: str, data: bytes, value: int) -> int:
        times, by = _GAS_MARGIN
        with rpc_errors(self._web3):
            asked = {"from": self._signer.address, "to": to, "data": data, "value": value}
            return int(self._web3.eth.estimate_gas(asked)) * times // by  # type: ignore[arg-type]

    def _require_affordable(self, quote: Quote) -> None:
        if not self._is_within(quote):
            raise FeeLimitError(
                f"This would cost up to {in_ether(self._spent + quote.cost)}, including what was spent before.",
                "Raise the limit on the cost, or wait until gas is cheaper.",
            )
        if (has := self._balance()) < quote.cost:
            raise FeeLimitError(
                f"{self._signer.address} has {in_ether(has)}; the transaction may take {in_ether(quote.cost)}.",
                "Fund the account.",
            )

    def _is_affordable(self, quote: Quote) -> bool:
        return self._is_within(quote) and quote.cost <= self._balance()

    def _is_within(self, quote: Quote) -> bool:
        return self._limits.max_cost is None or self._spent + quote.cost <= self._limits.max_cost

    def _balance(self) -> int:
        with rpc_errors(self._web3):
            return int(self._web3.eth.get_balance(self._signer.address))
