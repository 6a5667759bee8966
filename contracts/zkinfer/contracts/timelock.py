"""Changes of the router through the timelock: each is scheduled, waits in public, and is executed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from zkinfer.contracts.abi import call_data, function_named
from zkinfer.contracts.errors import TransactionFailedError

if TYPE_CHECKING:
    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain

OperationState = Literal["unset", "waiting", "ready", "done"]
_STATES: Final[tuple[OperationState, ...]] = ("unset", "waiting", "ready", "done")


@dataclass(frozen=True, slots=True)
class Operation:
    """One call that the timelock is to make. No selector is routed twice, so none needs a salt to be told apart."""

    target: str
    data: bytes

    @property
    def arguments(self) -> tuple[str, int, bytes, bytes, bytes]:
        """Target, value, data, predecessor and salt, as the timelock takes them."""
        return self.target, 0, self.data, bytes(32), bytes(32)


def route_added(router: str, selector: bytes, verifier: str) -> Operation:
    """The operation that routes a selector, which was never used, to a verifier."""
    return Operation(router, call_data(function_named("VerifierRouter", "addVerifier"), (selector, verifier)))


def route_removed(router: str, selector: bytes) -> Operation:
    """The operation that ends the route of a selector, for ever."""
    return Operation(router, call_data(function_named("VerifierRouter", "removeVerifier"), (selector,)))


class Timelock:
    """The timelock at an address."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    def delay(self) -> int:
        """The seconds that an operation waits."""
        return int(self._chain.read("TimelockController", self.address, "getMinDelay"))

    def id_of(self, operation: Operation) -> bytes:
        """The name of an operation, at every timelock."""
        return bytes(self._chain.read("TimelockController", self.address, "hashOperation", *operation.arguments))

    def state(self, operation: Operation | bytes) -> OperationState:
        """How far an operation is, or one that is named by its id."""
        named = operation if isinstance(operation, bytes) else self.id_of(operation)
        number: int = self._chain.read("TimelockController", self.address, "getOperationState", named)
        return _STATES[number]

    def due(self, operation: Operation) -> int:
        """From when on a scheduled operation can be executed, in Unix seconds."""
        return int(self._chain.read("TimelockController", self.address, "getTimestamp", self.id_of(operation)))

    def calls(self, operation: Operation) -> dict[str, bytes]:
        """The calldata of schedule and execute, for accounts that this program does not send for."""
        schedule, execute = (function_named("TimelockController", name) for name in ("schedule", "execute"))
        return {
            "schedule": call_data(schedule, (*operation.arguments, self.delay())),
            "execute": call_data(execute, operation.arguments),
        }

    def cancelling(self, named: bytes) -> bytes:
        """The calldata that cancels an operation, for accounts that this program does not send for."""
        return call_data(function_named("TimelockController", "cancel"), (named,))

    def cancel(self, named: bytes) -> TxReceipt | None:
        """Have a scheduled operation not be done, as a canceller; it can be scheduled anew. Raises as `Chain.send`.

        Raises TransactionFailedError where it does not wait.
        """
        state = self.state(named)
        if state not in ("waiting", "ready"):
            told = "was executed already" if state == "done" else "was never scheduled, or is cancelled"
            raise TransactionFailedError(
                f"The operation 0x{named.hex()} {told}.", "`zkinfer chain route add` and `remove` print an operation."
            )
        return self._chain.ensure(
            lambda: self.state(named) == "unset", lambda: self._chain.send(self.address, self.cancelling(named))
        )

    def schedule(self, operation: Operation) -> TxReceipt | None:
        """Have it wait, as a proposer; None where it waits already, or is done. Raises as `Chain.send`."""
        return self._chain.ensure(
            lambda: self.state(operation) != "unset",
            lambda: self._chain.send(self.address, self.calls(operation)["schedule"]),
        )

    def execute(self, operation: Operation) -> TxReceipt | None:
        """Have it done, once it is due, as an executor; None where it is done. Raises as `Chain.send`."""
        return self._chain.ensure(
            lambda: self.state(operation) == "done",
            lambda: self._chain.send(self.address, self.calls(operation)["execute"]),
        )
