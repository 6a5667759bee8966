"""Who has power over a deployment, as the chain says now.

A constructor's arguments say who had it at first. Since then a guardian may have handed over, and the timelock may have
changed its own delay and roles: all by rule, and none of it visible in the code. So it is read, and compared with what
was planned, or with what the owner of an address book accepted since.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Final, Literal, Self

from zkinfer.contracts.abi import call_data, function_named
from zkinfer.contracts.deploy import verify_running
from zkinfer.contracts.errors import DeploymentError, RpcError, TransactionFailedError
from zkinfer.contracts.keccak import keccak256
from zkinfer.contracts.registration import ZERO_ADDRESS

if TYPE_CHECKING:
    from web3.types import TxReceipt

    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.deploy import Plan


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

    def advance(self, operation: Operation) -> OperationState:
        """Schedule an operation, or execute it if it is due; returns its new state. Raises as `Chain.send`."""
        state = self.state(operation)
        if state == "unset":
            self.schedule(operation)
        elif state == "ready":
            self.execute(operation)
        return self.state(operation)


# What OpenZeppelin's AccessControl names them; the administrator of all roles is zero.
_ROLES: Final = {
    "proposers": keccak256(b"PROPOSER_ROLE"),
    "executors": keccak256(b"EXECUTOR_ROLE"),
    "cancellers": keccak256(b"CANCELLER_ROLE"),
    "admins": bytes(32),
}
_GRANTED: Final = keccak256(b"RoleGranted(bytes32,address,address)")


@dataclass(frozen=True, slots=True)
class Powers:
    """Who may do what; accounts in lower case, lists sorted.

    `executors` may hold the zero address: then anyone may execute what is due. `admins` may give roles at once, with
    no delay; the timelock itself is the only one in a sound deployment.
    """

    guardian: str
    router_owner: str
    delay: int
    proposers: tuple[str, ...]
    executors: tuple[str, ...]
    cancellers: tuple[str, ...]
    admins: tuple[str, ...]

    @classmethod
    def planned(cls, plan: Plan) -> Self:
        """What the constructors give."""
        timelock, governance = plan.addresses["TimelockController"], plan.governance
        several = tuple(sorted({one.lower() for one in governance.proposers}))
        return cls(governance.guardian.lower(), timelock, governance.delay, several, several, several, (timelock,))

    def difference(self, found: Powers) -> str:
        """What another has instead of this, in words; empty where nothing differs."""
        mine, other = asdict(self), asdict(found)
        told = [
            f"{_NAMES[name]} is {_told(other[name])} instead of {_told(mine[name])}"
            for name in mine
            if mine[name] != other[name]
        ]
        return "; ".join(told)


_NAMES: Final = {
    "guardian": "the guardian",
    "router_owner": "the router's owner",
    "delay": "the timelock's delay",
    "proposers": "who proposes at the timelock",
    "executors": "who executes at the timelock",
    "cancellers": "who cancels at the timelock",
    "admins": "who gives roles at the timelock",
}
POWERS: Final = tuple(one.name for one in fields(Powers))


@dataclass(frozen=True, slots=True)
class Governed:
    """The accounts with power now, and those it is offered to: pending owners need only accept."""

    powers: Powers
    pending_guardian: str
    pending_router_owner: str

    @property
    def offers(self) -> dict[str, str]:
        """To whom something is offered, by what it is."""
        both = {"guardian": self.pending_guardian, "router_owner": self.pending_router_owner}
        return {name: account for name, account in both.items() if account != ZERO_ADDRESS}


def governed(chain: Chain, plan: Plan) -> Governed:
    """Who has power over a deployment now.

    The holders of the timelock's roles are found by asking about every account that the logs ever gave one.

    Raises RpcError where the node fails, or does not show the logs of the deployment itself, silently or not.
    """
    at = plan.addresses
    stop, router, timelock = (at[name] for name in ("EmergencyStop", "VerifierRouter", "TimelockController"))
    planned = asdict(Powers.planned(plan))
    holders = {name: _holders(chain, timelock, planned[name], role) for name, role in _ROLES.items()}
    powers = Powers(
        guardian=chain.read("EmergencyStop", stop, "owner"),
        router_owner=chain.read("VerifierRouter", router, "owner"),
        delay=chain.read("TimelockController", timelock, "getMinDelay"),
        **holders,
    )
    return Governed(
        powers,
        chain.read("EmergencyStop", stop, "pendingOwner"),
        chain.read("VerifierRouter", router, "pendingOwner"),
    )


def verify_deployment(chain: Chain, wanted: Plan, accepted: Powers | None = None) -> Governed:
    """Return who governs if all lies on the chain as planned, runs, and is governed as planned; raise if not.

    Args:
        chain: where it lies.
        wanted: what was planned.
        accepted: who may have power now, where that is not what was planned.

    Raises:
        DeploymentError: the message names the part.
        RpcError: as `governed`.
    """
    verify_running(chain, wanted)
    return verify_governance(chain, wanted, accepted)


def verify_governance(chain: Chain, wanted: Plan, accepted: Powers | None = None) -> Governed:
    """The same, of who governs only; the caller has compared the code."""
    found = governed(chain, wanted)
    if told := (accepted or Powers.planned(wanted)).difference(found.powers):
        raise DeploymentError(
            f"On chain {chain.id} {told}.",
            "If you know of that change and agree: zkinfer chain verify-deployment --accept-governance",
        )
    return found


def _holders(chain: Chain, timelock: str, planned: tuple[str, ...], role: bytes) -> tuple[str, ...]:
    """Who holds a role, of all to whom logs say that it was given.

    The constructor logged those planned: a node that does not show these keeps no old logs, and may hide others.
    """
    logs = chain.logs(timelock, [_GRANTED, role])
    given = {"0x" + topics[2][-20:].hex() for topics in logs if len(topics) == 4}
    if missing := set(planned) - given:
        raise RpcError(
            f"The node shows no log of the role that {min(missing)} was given when the timelock was deployed.",
            "Ask one that keeps all logs.",
        )
    holds = [one for one in given if chain.read("TimelockController", timelock, "hasRole", role, one)]
    return tuple(sorted(holds))


def _told(value: object) -> str:
    return (", ".join(value) or "nobody") if isinstance(value, tuple) else str(value)
