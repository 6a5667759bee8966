"""Clients of the registry and the emergency stop of one deployment, and the state of routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from zkinfer.contracts.abi import hex_to_bytes
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.deploy import RECOVERY, STOPS, require_home, require_running
from zkinfer.contracts.errors import DeploymentError, TransactionFailedError
from zkinfer.contracts.identifiers import STATUSES, ZERO_ADDRESS, Listing, keccak256, listing_of, words

if TYPE_CHECKING:
    from web3.types import TxReceipt

    from zkinfer.contracts.address_book import AddressBook
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.identifiers import Registration, Status


RouteState = Literal["unused", "removed", "stopped", "live"]
_NOT_LIVE: Final = {
    "unused": "no verifier was ever routed",
    "removed": "the route was removed, for ever",
    "stopped": "the verifier was stopped, for ever",
}


@dataclass(frozen=True, slots=True)
class Route:
    """The router's entry of a selector; the verifier is the zero address if the selector was never used."""

    state: RouteState
    verifier: str


def route_of(chain: Chain, router: str, selector: bytes) -> Route:
    """The route of a selector, from the router's storage: its views revert for a removed route."""
    (slot,) = (one["slot"] for one in load("VerifierRouter").storage if one["name"] == "_routes")
    word = chain.storage(router, int.from_bytes(keccak256(words([selector.ljust(32, b"\0"), slot])), "big"))
    verifier = f"0x{word & ((1 << 160) - 1):040x}"
    if verifier == ZERO_ADDRESS:
        return Route("unused", verifier)
    if word >> 160:
        return Route("removed", verifier)
    return Route("live" if chain.read("VerifierRouter", router, "isLive", selector) else "stopped", verifier)


def require_live(chain: Chain, book: AddressBook, selector: bytes) -> None:
    """Return if proofs under a selector can be accepted; raise DeploymentError, which gives the reason, if not.

    A verifier that the deployment did not create is accepted because the timelock routed it. The caller has compared
    the deployment's code.
    """
    if selector in STOPS:
        require_running(chain, book.plan, [selector])
        return
    require_home(chain, book.plan)
    route = route_of(chain, book.addresses["VerifierRouter"], selector)
    if route.state != "live":
        raise DeploymentError(
            f"On chain {chain.id} proofs under 0x{selector.hex()} are not accepted: {_NOT_LIVE[route.state]}.",
            "Have the timelock add it: zkinfer chain route add" if route.state == "unused" else RECOVERY,
        )


def require_unused(chain: Chain, router: str, selector: bytes) -> None:
    """Return if a selector can be routed; raise DeploymentError if it is in use, or was removed."""
    route = route_of(chain, router, selector)
    if route.state == "unused":
        return
    reason = "was removed" if route.state == "removed" else f"leads to {route.verifier}"
    raise DeploymentError(
        f"The selector 0x{selector.hex()} {reason}; each is used once, and never again.",
        "Another verifier needs another selector.",
    )


def is_routed(chain: Chain, router: str, selector: bytes, verifier: str) -> bool:
    """Whether a selector is routed to this verifier; raises DeploymentError if it is routed elsewhere or removed."""
    route = route_of(chain, router, selector)
    if route.state in ("live", "stopped") and route.verifier == verifier:
        return True
    require_unused(chain, router, selector)
    return False


def is_removed(chain: Chain, router: str, selector: bytes) -> bool:
    """Whether the route of a selector was removed; raises DeploymentError if it never existed."""
    state = route_of(chain, router, selector).state
    if state == "unused":
        raise DeploymentError(f"There is no route of 0x{selector.hex()} to remove.", "Check the selector.")
    return state == "removed"


def require_routable(chain: Chain, selector: bytes, verifier: str) -> None:
    """Check in advance what the router checks only after the delay, and that the verifier is live.

    Raises DeploymentError.
    """
    if not chain.code(verifier):
        raise DeploymentError(f"There is no contract at {verifier}.", "Deploy the verifier and its stop first.")
    found = bytes(chain.read("EmergencyStop", verifier, "selector"))
    if found != selector:
        raise DeploymentError(
            f"The verifier at {verifier} has the selector 0x{found.hex()}, not 0x{selector.hex()}.",
            "Use its selector.",
        )
    if not chain.read("EmergencyStop", verifier, "live"):
        raise DeploymentError(f"The verifier at {verifier} was stopped permanently.", "Route to a live verifier.")


class Registry:
    """The registry at an address."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    def register(self, registration: Registration) -> str:
        """Register a model for the paying account, unless it is registered already; returns the listing.

        Raises:
            RevertedError: the registry rejects it, for example for a setup that is not trusted.
            AlreadyRegisteredError: it is listed differently: revoked, or with another fee.
        """
        listing = listing_of(registration, self._chain.address)
        declared = (
            hex_to_bytes(registration.onnx_digest),
            registration.selector,
            registration.layout.fields,
            registration.fee,
            registration.uri,
        )
        key = [registration.key[i : i + 32] for i in range(0, len(registration.key), 32)]
        self._chain.ensure(
            lambda: self.status(listing) != "unknown",
            lambda: self._write("register", declared, key),
        )
        if self.status(listing) != "unknown":  # it is unknown after a rehearsal
            self.listing(listing).require(registration)
        return listing

    def listing(self, listing: str) -> Listing:
        """Everything stored about a listing; raises RevertedError if there is none."""
        return Listing.of(self._chain.read("ModelRegistry", self.address, "modelOf", hex_to_bytes(listing)))

    def status(self, listing: str) -> Status:
        """How far a listing may be relied on; `unknown` if there is none."""
        number: int = self._chain.read("ModelRegistry", self.address, "statusOf", hex_to_bytes(listing))
        return STATUSES[number]

    def model_id(self, listing: str) -> str:
        """The model of a listing; raises RevertedError if there is none."""
        return "0x" + bytes(self._chain.read("ModelRegistry", self.address, "modelOf", hex_to_bytes(listing))[0]).hex()

    def fee(self, listing: str) -> int:
        """The least price of an answer, in wei; raises RevertedError if there is no such listing."""
        return int(self._chain.read("ModelRegistry", self.address, "programOf", hex_to_bytes(listing))[5])

    def owner_of(self, listing: str) -> str:
        """The account that owns a listing, and is paid its fees; raises RevertedError if there is none."""
        return str(self._chain.read("ModelRegistry", self.address, "ownerOf", hex_to_bytes(listing))).lower()

    def offer_ownership(self, listing: str, account: str) -> TxReceipt | None:
        """Name the next owner, who must accept, as the owner; None if it is named already."""
        return self._chain.ensure(
            lambda: self.listing(listing).pending_owner.lower() == account,
            lambda: self._write("offerOwnership", hex_to_bytes(listing), account),
        )

    def verifier_is_live(self, listing: str) -> bool:
        """Whether a listing's verifier can accept proofs: neither stopped nor its route removed.

        Raises RevertedError if there is no such listing.
        """
        program = self._chain.read("ModelRegistry", self.address, "programOf", hex_to_bytes(listing))
        return self.selector_is_live(bytes(program[1]))

    def selector_is_live(self, selector: bytes) -> bool:
        """Whether proofs under a selector can be accepted; False if it is unknown, removed or stopped."""
        router = self._chain.read("ModelRegistry", self.address, "ROUTER")
        return bool(self._chain.read("VerifierRouter", router, "isLive", selector))

    def deprecate(self, listing: str, successor: str = "0x" + "00" * 32) -> TxReceipt | None:
        """Take no more requests for a model, as its owner; None if it is deprecated already.

        Raises RevertedError if it is revoked, or the paying account is not its owner; TransactionFailedError if a
        successor is given and it is deprecated already: a successor is named once.
        """
        if int(successor, 16) and self.status(listing) == "deprecated":
            raise TransactionFailedError(
                f"The listing {listing} was deprecated before; a successor cannot be named any more.",
                "Tell its consumers by other means, or leave the successor out.",
            )
        return self._chain.ensure(
            lambda: self.status(listing) == "deprecated",
            lambda: self._write("deprecate", hex_to_bytes(listing), hex_to_bytes(successor)),
        )

    def revoke(self, listing: str) -> TxReceipt | None:
        """Stop a model's answers from being recorded or acted on, as its owner; None if it is revoked already."""
        return self._chain.ensure(
            lambda: self.status(listing) == "revoked", lambda: self._write("revoke", hex_to_bytes(listing))
        )

    def set_fee(self, listing: str, fee: int) -> TxReceipt | None:
        """Change the least price of an answer, in wei, as its owner; None if it is the same already."""
        return self._chain.ensure(
            lambda: self.fee(listing) == fee, lambda: self._write("setFee", hex_to_bytes(listing), fee)
        )

    def _write(self, name: str, *arguments: object) -> TxReceipt | None:
        return self._chain.write("ModelRegistry", self.address, name, *arguments)


class EmergencyStop:
    """The emergency stop at an address: once it is used, answers that need its verifier are not recorded."""

    def __init__(self, chain: Chain, address: str) -> None:
        self._chain = chain
        self.address = address

    def live(self) -> bool:
        """Whether the verifier can accept proofs."""
        return bool(self._chain.read("EmergencyStop", self.address, "live"))

    def guardian(self) -> str:
        """The account that may stop it."""
        return str(self._chain.read("EmergencyStop", self.address, "owner"))

    def stop(self) -> TxReceipt | None:
        """Stop for ever, as the guardian; None if it is stopped already."""
        return self._chain.ensure(
            lambda: not self.live(), lambda: self._chain.write("EmergencyStop", self.address, "stop")
        )
