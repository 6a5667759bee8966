"""Where the router sends proofs, and whether they can be accepted there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from zkinfer.contracts.artifacts import load
from zkinfer.contracts.deploy import RECOVERY, require_home, require_running
from zkinfer.contracts.errors import DeploymentError
from zkinfer.contracts.ezkl.dedicated import verify_dedicated
from zkinfer.contracts.keccak import keccak256, words
from zkinfer.contracts.registration import SELECTOR
from zkinfer.contracts.requests import ZERO_ADDRESS

if TYPE_CHECKING:
    from zkinfer.contracts.address_book import AddressBook
    from zkinfer.contracts.chain import Chain

RouteState = Literal["unused", "removed", "stopped", "live"]
_DEAD: Final = {
    "unused": "no verifier was ever routed",
    "removed": "the route was removed, for ever",
    "stopped": "the verifier was stopped, for ever",
}


@dataclass(frozen=True, slots=True)
class Route:
    """What the router knows of a selector; the zero address where it never was used."""

    state: RouteState
    verifier: str


def route_of(chain: Chain, router: str, selector: bytes) -> Route:
    """Where a selector leads. Read from the router's storage: its views do not tell of a route that was removed."""
    (slot,) = (one["slot"] for one in load("VerifierRouter").storage if one["name"] == "_routes")
    word = chain.storage(router, int.from_bytes(keccak256(words([selector.ljust(32, b"\0"), slot])), "big"))
    verifier = f"0x{word & ((1 << 160) - 1):040x}"
    if verifier == ZERO_ADDRESS:
        return Route("unused", verifier)
    if word >> 160:
        return Route("removed", verifier)
    return Route("live" if chain.read("VerifierRouter", router, "isLive", selector) else "stopped", verifier)


def require_live(chain: Chain, book: AddressBook, selector: bytes) -> None:
    """Return if proofs under a selector can be accepted; raise if not, or if the address book names another verifier.

    Of a verifier that the book does not name, only the timelock's word is taken. The caller has compared the
    deployment's code.

    Raises DeploymentError, which says why, or CodeMismatchError.
    """
    if selector == SELECTOR:
        require_running(chain, book.plan)
        return
    require_home(chain, book.plan)
    route = route_of(chain, book.addresses["VerifierRouter"], selector)
    if route.state != "live":
        raise DeploymentError(
            f"On chain {chain.id} proofs under 0x{selector.hex()} are not accepted: {_DEAD[route.state]}.",
            "Have the timelock add it: zkinfer chain route add" if route.state == "unused" else RECOVERY,
        )
    known = book.dedicated_at(selector)
    if known is None:
        return
    verify_dedicated(chain, known)
    if (planned := known.addresses["EmergencyStop"]) != route.verifier:
        raise DeploymentError(
            f"On chain {chain.id} 0x{selector.hex()} leads to {route.verifier} instead of {planned}.",
            "It is not the verifier that the address book names; do not rely on it.",
        )


def require_unused(chain: Chain, router: str, selector: bytes) -> None:
    """Return if a selector can be routed; raise DeploymentError where it is in use, or was removed."""
    route = route_of(chain, router, selector)
    if route.state == "unused":
        return
    told = "was removed" if route.state == "removed" else f"leads to {route.verifier}"
    raise DeploymentError(
        f"The selector 0x{selector.hex()} {told}; each is used once, and never again.",
        "Another verifier needs another selector.",
    )
