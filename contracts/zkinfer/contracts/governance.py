"""The timelock, and the current governance of a deployment.

A constructor's arguments determine only the initial governance. Later a guardian may have transferred its role, and the
timelock may have changed its own delay and roles, by rule and without a trace in the code. So the governance is read
from the chain, and compared with the plan, or with what the owner of an address book accepted later.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from zkinfer.contracts.abi import call_data, function_named
from zkinfer.contracts.deploy import verify_running
from zkinfer.contracts.errors import DeploymentError, RpcError, TransactionFailedError
from zkinfer.contracts.identifiers import ZERO_ADDRESS, keccak256

if TYPE_CHECKING:
    from web3.types import TxReceipt

    from zkinfer.contracts.artifacts import ContractName
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.deploy import Plan


OperationState = Literal["unset", "waiting", "ready", "done"]
_STATES: Final[tuple[OperationState, ...]] = ("unset", "waiting", "ready", "done")


@dataclass(frozen=True, slots=True)
class Operation:
    """A call for the timelock to make. No selector is routed twice, so operations differ without a salt."""

    target: str
    data: bytes

    @property
    def arguments(self) -> tuple[str, int, bytes, bytes, bytes]:
        """Target, value, data, predecessor and salt, as the timelock takes them."""
        return self.target, 0, self.data, bytes(32), bytes(32)


def route_addition(router: str, selector: bytes, verifier: str) -> Operation:
    """The operation that routes an unused selector to a verifier."""
    return Operation(router, call_data(function_named("VerifierRouter", "addVerifier"), (selector, verifier)))


def route_removal(router: str, selector: bytes) -> Operation:
    """The operation that removes the route of a selector for ever."""
    return Operation(router, call_data(function_named("VerifierRouter", "removeVerifier"), (selector,)))


class Timelock:
    """The timelock at an address."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    def delay(self) -> int:
        """The delay of operations, in seconds."""
        return int(self._chain.read("TimelockController", self.address, "getMinDelay"))

    def id_of(self, operation: Operation) -> bytes:
        """The id of an operation, the same at every timelock."""
        return bytes(self._chain.read("TimelockController", self.address, "hashOperation", *operation.arguments))

    def state(self, operation: Operation | bytes) -> OperationState:
        """The state of an operation, which may be given by its id."""
        operation_id = operation if isinstance(operation, bytes) else self.id_of(operation)
        number: int = self._chain.read("TimelockController", self.address, "getOperationState", operation_id)
        return _STATES[number]

    def due(self, operation: Operation) -> int:
        """The time from which a scheduled operation can be executed, in Unix seconds."""
        return int(self._chain.read("TimelockController", self.address, "getTimestamp", self.id_of(operation)))

    def calls(self, operation: Operation) -> dict[str, bytes]:
        """The calldata of schedule and execute, for accounts that send with other programs."""
        schedule, execute = (function_named("TimelockController", name) for name in ("schedule", "execute"))
        return {
            "schedule": call_data(schedule, (*operation.arguments, self.delay())),
            "execute": call_data(execute, operation.arguments),
        }

    def cancel_calldata(self, operation_id: bytes) -> bytes:
        """The calldata that cancels an operation, for accounts that send with other programs."""
        return call_data(function_named("TimelockController", "cancel"), (operation_id,))

    def cancel(self, operation_id: bytes) -> TxReceipt | None:
        """Cancel a scheduled operation, as a canceller; it can be scheduled again. Raises as `Chain.send`.

        Raises TransactionFailedError if it is not scheduled.
        """
        state = self.state(operation_id)
        if state not in ("waiting", "ready"):
            reason = "was executed already" if state == "done" else "was never scheduled, or is cancelled"
            raise TransactionFailedError(
                f"The operation 0x{operation_id.hex()} {reason}.",
                "`zkinfer chain route add` and `remove` print an operation.",
            )
        return self._chain.ensure(
            lambda: self.state(operation_id) == "unset",
            lambda: self._chain.send(self.address, self.cancel_calldata(operation_id)),
        )

    def schedule(self, operation: Operation) -> TxReceipt | None:
        """Schedule an operation, as a proposer; None if it is scheduled already, or done. Raises as `Chain.send`."""
        return self._chain.ensure(
            lambda: self.state(operation) != "unset",
            lambda: self._chain.send(self.address, self.calls(operation)["schedule"]),
        )

    def execute(self, operation: Operation) -> TxReceipt | None:
        """Execute an operation once it is due, as an executor; None if it is done. Raises as `Chain.send`."""
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


# The roles' names in OpenZeppelin's AccessControl; the administrator of all roles is zero.
_ROLES: Final = {
    "proposers": keccak256(b"PROPOSER_ROLE"),
    "executors": keccak256(b"EXECUTOR_ROLE"),
    "cancellers": keccak256(b"CANCELLER_ROLE"),
    "admins": bytes(32),
}
_GRANTED: Final = keccak256(b"RoleGranted(bytes32,address,address)")


@dataclass(frozen=True, slots=True)
class Powers:
    """The accounts that govern a deployment, in lower case; lists are sorted.

    If `executors` contains the zero address, anyone may execute an operation that is due. `admins` may grant roles
    without delay; in a sound deployment the timelock itself is the only one.
    """

    ezkl_guardian: str
    ashlar_guardian: str
    router_owner: str
    delay: int
    proposers: tuple[str, ...]
    executors: tuple[str, ...]
    cancellers: tuple[str, ...]
    admins: tuple[str, ...]

    @classmethod
    def planned(cls, plan: Plan) -> Self:
        """The initial powers, as the constructors set them."""
        timelock, governance = plan.addresses["TimelockController"], plan.governance
        several = tuple(sorted({one.lower() for one in governance.proposers}))
        guardian = governance.guardian.lower()
        return cls(guardian, guardian, timelock, governance.delay, several, several, several, (timelock,))

    def difference(self, found: Powers) -> str:
        """The differences of another from this one, in words; empty if there are none."""
        mine, other = asdict(self), asdict(found)
        differences = [
            f"{_NAMES[name]} is {_shown(other[name])} instead of {_shown(mine[name])}"
            for name in mine
            if mine[name] != other[name]
        ]
        return "; ".join(differences)


_NAMES: Final = {
    "ezkl_guardian": "the guardian of ezkl's verifier",
    "ashlar_guardian": "the guardian of Ashlar's verifier",
    "router_owner": "the router's owner",
    "delay": "the timelock's delay",
    "proposers": "the timelock's list of proposers",
    "executors": "the timelock's list of executors",
    "cancellers": "the timelock's list of cancellers",
    "admins": "the timelock's list of administrators",
}
POWERS: Final = tuple(one.name for one in fields(Powers))
# The contracts with an owner, who can offer it: their kind, and their names in a deployment.
_OWNED: Final[dict[str, tuple[ContractName, str]]] = {
    "ezkl_guardian": ("EmergencyStop", "EzklStop"),
    "ashlar_guardian": ("EmergencyStop", "AshlarStop"),
    "router_owner": ("VerifierRouter", "VerifierRouter"),
}


@dataclass(frozen=True, slots=True)
class GovernanceState:
    """The current powers, and the accounts to which roles are offered, by role: they need only accept."""

    powers: Powers
    offers: dict[str, str]


def read_governance(chain: Chain, plan: Plan) -> GovernanceState:
    """Read the current governance of a deployment.

    The holders of the timelock's roles are found by checking every account that was granted one in the logs.

    Raises RpcError if the node fails, or has no logs of the deployment itself.
    """
    at = plan.addresses
    timelock, owned = at["TimelockController"], {name: (kind, at[part]) for name, (kind, part) in _OWNED.items()}
    planned = asdict(Powers.planned(plan))
    held: dict[str, Any] = {name: chain.read(*contract, "owner") for name, contract in owned.items()}
    held |= {name: _holders(chain, timelock, planned[name], role) for name, role in _ROLES.items()}
    powers = Powers(delay=chain.read("TimelockController", timelock, "getMinDelay"), **held)
    pending = {name: str(chain.read(*contract, "pendingOwner")) for name, contract in owned.items()}
    return GovernanceState(powers, {name: one for name, one in pending.items() if one != ZERO_ADDRESS})


def verify_deployment(chain: Chain, wanted: Plan, accepted: Powers | None = None) -> GovernanceState:
    """Return the governance if the contracts are on the chain, live and governed as planned; raise if not.

    Args:
        chain: the deployment's chain.
        wanted: the plan.
        accepted: the accepted governance, if it differs from the plan.

    Raises:
        DeploymentError: the message names the part.
        RpcError: as `read_governance`.
    """
    verify_running(chain, wanted)
    return verify_governance(chain, wanted, accepted)


def verify_governance(chain: Chain, wanted: Plan, accepted: Powers | None = None) -> GovernanceState:
    """As `verify_deployment`, for the governance only; the caller has compared the code."""
    found = read_governance(chain, wanted)
    if difference := (accepted or Powers.planned(wanted)).difference(found.powers):
        raise DeploymentError(
            f"On chain {chain.id} {difference}.",
            "If you know of that change and agree: zkinfer chain verify-deployment --accept-governance",
        )
    return found


def _holders(chain: Chain, timelock: str, planned: tuple[str, ...], role: bytes) -> tuple[str, ...]:
    """The holders of a role, among all accounts to which it was granted in the logs.

    The constructor logged the planned ones: a node without these logs keeps no old logs, and may lack others.
    """
    logs = chain.logs(timelock, [_GRANTED, role])
    granted = {"0x" + topics[2][-20:].hex() for topics in logs if len(topics) == 4}
    if missing := set(planned) - granted:
        raise RpcError(
            f"The node has no log of the role that {min(missing)} was granted when the timelock was deployed.",
            "Use a node that keeps all logs.",
        )
    holds = [one for one in granted if chain.read("TimelockController", timelock, "hasRole", role, one)]
    return tuple(sorted(holds))


def _shown(value: object) -> str:
    return (", ".join(value) or "empty") if isinstance(value, tuple) else str(value)
