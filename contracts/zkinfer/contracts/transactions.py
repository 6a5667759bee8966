"""Send one transaction after the other from one account, and wait for each until it has its confirmations.

A chain may reorganise, and may never include a transaction. So until the confirmations are there, all transactions that
were signed with one nonce are watched: at most one of them is ever included. If none is included in time, it is sent
again with higher fees; one that was included and has disappeared is sent again unchanged.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from zkinfer.contracts.errors import FeeLimitError, RpcError, TransactionFailedError
from zkinfer.contracts.keccak import keccak256
from zkinfer.contracts.rpc import asking
from zkinfer.contracts.web3_imports import TransactionNotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from web3 import Web3
    from web3.types import TxReceipt

    from zkinfer.contracts.signers import Signer


GWEI: Final = 10**9
ETHER: Final = 10**18
# Nodes take a transaction in place of another of the same nonce if both its fees are higher by a tenth at least.
_RAISE: Final = (9, 8)


@dataclass(frozen=True, slots=True)
class Limits:
    """What transactions may cost and how long to wait for them.

    Args:
        max_fee: wei for a unit of gas, tip included.
        max_tip: wei of tip for a unit of gas.
        max_cost: wei that all transactions of a `Chain` may cost together, what they carry included; None for any.
        timeout: seconds to wait for a transaction until it has its confirmations.
        resubmit_after: seconds without a block that takes it, after which it is sent again with higher fees.
        confirmations: blocks to wait for, its own included.
    """

    max_fee: int = 200 * GWEI
    max_tip: int = 2 * GWEI
    max_cost: int | None = None
    timeout: float = 300.0
    resubmit_after: float = 45.0
    confirmations: int = 1


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei for a unit of gas: the most that is paid, and what of it the block's maker gets."""

    most: int
    tip: int

    @property
    def fields(self) -> dict[str, int]:
        """As a transaction names them."""
        return {"maxFeePerGas": self.most, "maxPriorityFeePerGas": self.tip}


def offered(base: int, tip: int, limits: Limits) -> Fees:
    """Fees that last for several full blocks, within the limits.

    Args:
        base: the latest block's base fee.
        tip: what the node suggests.
        limits: what may be paid.

    Raises FeeLimitError where the base fee alone is above the limit.
    """
    if base > limits.max_fee:
        raise FeeLimitError(
            f"Gas costs {base / GWEI:.3g} gwei, above the limit of {limits.max_fee / GWEI:.3g}.",
            "Wait, or raise the limit.",
        )
    tip = min(tip, limits.max_tip, limits.max_fee - base)
    return Fees(min(2 * base + tip, limits.max_fee), tip)


def raised(fees: Fees, now: Fees, limits: Limits) -> Fees | None:
    """Fees with which a node takes the same transaction again, at least those offered now; None beyond the limits."""
    higher = Fees(max(_raise(fees.most), now.most), max(_raise(fees.tip), now.tip))
    within = higher.most <= limits.max_fee and higher.tip <= limits.max_tip
    return higher if within else None


def _raise(amount: int) -> int:
    times, by = _RAISE
    return max(-(-amount * times // by), amount + 1)


def in_ether(amount: int) -> str:
    """An amount of wei for people: `0.0021 ether`."""
    return f"{amount / ETHER:.4g} ether"


_GAS_MARGIN: Final = (5, 4)
_LEAST_GAS: Final = 21_000
_POLL: Final = 0.5
_GRACE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Quote:
    """What a transaction would cost: gas, as the node estimates it with a margin, and the most in wei."""

    gas: int
    fees: Fees
    value: int

    @property
    def cost(self) -> int:
        """The most that it takes from the account, in wei."""
        return self.gas * self.fees.most + self.value


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that a block took: its hash, the block, and what it cost in wei, with what it carried."""

    transaction: str
    block: int
    gas: int
    cost: int

    @classmethod
    def of(cls, receipt: TxReceipt, fees: Fees, value: int) -> Sent:
        """What a receipt says; a reverted transaction carried nothing."""
        gas, price = int(receipt["gasUsed"]), int(receipt.get("effectiveGasPrice", fees.most))
        carried = value if receipt["status"] == 1 else 0
        return cls(
            "0x" + bytes(receipt["transactionHash"]).hex(), int(receipt["blockNumber"]), gas, gas * price + carried
        )


@dataclass(frozen=True, slots=True)
class _Version:
    """What was signed, and what it offers."""

    raw: bytes
    fees: Fees


@dataclass(slots=True)
class _PendingTransaction:
    """Everything signed with one nonce, and when it was last sent."""

    transaction: dict[str, Any]
    fees: Fees
    began: float
    moved: float
    versions: dict[bytes, _Version] = field(default_factory=dict)
    seen: bool = False
    nonce_used: float | None = None

    @property
    def nonce(self) -> int:
        return int(self.transaction["nonce"])

    def fees_of(self, receipt: TxReceipt) -> Fees:
        """What the version that was taken offered."""
        taken = self.versions.get(bytes(receipt["transactionHash"]))
        return self.fees if taken is None else taken.fees


class Sender:
    """Sends for one account.

    Args:
        web3: the connection.
        signer: signs and pays.
        limits: what transactions may cost, how long to wait.
        chain_id: what is signed; a node of another chain refuses it.
        clock, sleep: of the machine.
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

    def settle(self) -> int:
        """Wait until no transaction of the account is on its way, and return the next nonce.

        One may be left from a run that was interrupted, and may do what is about to be done.

        Raises TransactionFailedError where one stays.
        """
        began = self._clock()
        while True:
            taken, known = self._count("latest"), self._count("pending")
            if known <= taken:
                return taken
            if self._clock() - began > self._limits.timeout:
                raise TransactionFailedError(
                    f"{known - taken} transactions of {self._signer.address} wait already, from nonce {taken} on.",
                    "Wait until a block takes them, or replace them with a wallet.",
                )
            self._sleep(_POLL)

    def quote(self, to: str, data: bytes, value: int, gas: int | None) -> Quote:
        """What it would cost now.

        Raises:
            RevertedError: it would revert.
            FeeLimitError: it costs more than it may, or than the account has.
            RpcError: the node failed.
        """
        fees = self._fees()
        self._require_affordable(Quote(gas or _LEAST_GAS, fees, value))
        quote = Quote(gas or self._estimate(to, data, value), fees, value)
        self._require_affordable(quote)
        return quote

    def send(self, to: str, data: bytes, value: int, gas: int | None) -> TxReceipt:
        """Send, and wait for the confirmations; the receipt may be of a transaction that reverted.

        Raises as `quote` and `settle`, and TransactionFailedError where time ran out.
        """
        nonce = self.settle()
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
                pending.seen, pending.nonce_used = True, None
            elif pending.seen:
                self._send_again(pending)
            elif taken > pending.nonce:
                self._require_ours(pending)
            elif self._clock() - pending.moved >= self._limits.resubmit_after:
                self._raise_fees(pending)
            self._require_time(pending)
            self._sleep(_POLL)

    def _require_ours(self, pending: _PendingTransaction) -> None:
        """A node may show for a while that a nonce was used, and not yet by which transaction."""
        now = self._clock()
        pending.nonce_used = now if pending.nonce_used is None else pending.nonce_used
        if now - pending.nonce_used >= _GRACE:
            raise TransactionFailedError(
                f"Another transaction of {self._signer.address} took nonce {pending.nonce}.",
                "Let one program at a time send for an account.",
            )

    def _submit(self, pending: _PendingTransaction) -> None:
        """Sign and send. It is watched from before it is sent: an answer that is lost does not say that it was not.

        RpcError of the first one ends the sending; should it lie at the node after all, `settle` of the next waits.
        """
        signed = self._signer.sign_transaction({**pending.transaction, **pending.fees.fields})
        raw = bytes(signed.raw_transaction)
        name = keccak256(raw)
        pending.versions[name] = _Version(raw, pending.fees)
        with asking(self._web3):
            answered = bytes(self._web3.eth.send_raw_transaction(raw))
        if answered != name:
            raise RpcError(
                f"The node was sent the transaction 0x{name.hex()} and names another one.", "Use another node."
            )

    def _send_again(self, pending: _PendingTransaction) -> None:
        """Send it as it was. The node may still know the transaction, and says so by refusing it."""
        pending.seen, pending.moved = False, self._clock()
        try:
            with asking(self._web3):
                self._web3.eth.send_raw_transaction(list(pending.versions.values())[-1].raw)
        except RpcError:
            return

    def _raise_fees(self, pending: _PendingTransaction) -> None:
        """Offer more, if that is allowed; the node may have taken the last one this moment, and refuse."""
        pending.moved = self._clock()
        higher = raised(pending.fees, self._fees(), self._limits)
        gas, value = pending.transaction["gas"], pending.transaction["value"]
        if higher is None or not self._is_affordable(Quote(gas, higher, value)):
            self._send_again(pending)  # nodes forget what waits for long
            return
        pending.fees = higher
        try:
            self._submit(pending)
        except RpcError:
            return

    def _receipt(self, pending: _PendingTransaction) -> TxReceipt | None:
        for known in pending.versions:
            try:
                with asking(self._web3):
                    return self._web3.eth.get_transaction_receipt(known)  # type: ignore[arg-type]
            except TransactionNotFound:
                continue
        return None

    def _is_confirmed(self, receipt: TxReceipt) -> bool:
        with asking(self._web3):
            height = int(self._web3.eth.block_number)
        return height - int(receipt["blockNumber"]) + 1 >= self._limits.confirmations

    def _require_time(self, pending: _PendingTransaction) -> None:
        if self._clock() - pending.began <= self._limits.timeout:
            return
        waits = "has too few confirmations" if pending.seen else "was taken by no block"
        raise TransactionFailedError(
            f"The transaction of nonce {pending.nonce} {waits} after {self._limits.timeout:.0f} s.",
            "It may still come; to do the same again changes nothing that is done. Raise the limits if fees are high.",
        )

    def _count(self, block: str) -> int:
        with asking(self._web3):
            return int(self._web3.eth.get_transaction_count(self._signer.address, block))  # type: ignore[arg-type]

    def _fees(self) -> Fees:
        with asking(self._web3):
            base = int(self._web3.eth.get_block("latest").get("baseFeePerGas", 0))
            tip = int(self._web3.eth.max_priority_fee)
        return offered(base, tip, self._limits)

    def _estimate(self, to: str, data: bytes, value: int) -> int:
        times, by = _GAS_MARGIN
        with asking(self._web3):
            asked = {"from": self._signer.address, "to": to, "data": data, "value": value}
            return int(self._web3.eth.estimate_gas(asked)) * times // by  # type: ignore[arg-type]

    def _require_affordable(self, quote: Quote) -> None:
        if not self._is_within(quote):
            raise FeeLimitError(
                f"This would cost up to {in_ether(self._spent + quote.cost)}, what was spent before included.",
                "Raise the limit on the cost, or wait until gas is cheaper.",
            )
        if (has := self._balance()) < quote.cost:
            raise FeeLimitError(
                f"{self._signer.address} has {in_ether(has)}; the transaction may take {in_ether(quote.cost)}.",
                "Send coin to the account.",
            )

    def _is_affordable(self, quote: Quote) -> bool:
        return self._is_within(quote) and quote.cost <= self._balance()

    def _is_within(self, quote: Quote) -> bool:
        return self._limits.max_cost is None or self._spent + quote.cost <= self._limits.max_cost

    def _balance(self) -> int:
        with asking(self._web3):
            return int(self._web3.eth.get_balance(self._signer.address))
