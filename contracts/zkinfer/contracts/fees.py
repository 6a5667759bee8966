"""What a transaction may cost, as EIP-1559 has it: a most that is paid for a unit of gas, and a tip within it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zkinfer.contracts.errors import FeeLimitError

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
