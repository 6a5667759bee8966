"""Who has power over a deployment, as the chain says now.

A constructor's arguments say who had it at first. Since then a guardian may have handed over, and the timelock may have
changed its own delay and roles: all by rule, and none of it visible in the code. So it is read, and compared with what
was planned, or with what the owner of an address book accepted since.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Final, Self

from zkinfer.contracts.deploy import verify_running
from zkinfer.contracts.errors import DeploymentError, RpcError
from zkinfer.contracts.keccak import keccak256
from zkinfer.contracts.requests import ZERO_ADDRESS

if TYPE_CHECKING:
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.deploy import Plan

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
