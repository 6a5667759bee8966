"""Open a deployment and check that the contracts on the chain are the ones that this version ships."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.chain.requests import registration_of
from zkinfer.circuits.errors import InputError
from zkinfer.contracts.address_book import read_book
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import STOPS, verify_code
from zkinfer.contracts.governance import Timelock
from zkinfer.contracts.identifiers import listing_of
from zkinfer.contracts.ledger import Ledger
from zkinfer.contracts.registry import EmergencyStop, Registry, require_live, route_of
from zkinfer.contracts.rpc import connect, is_loopback, parse_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from zkinfer.chain.requests import PlacedRequest
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.contracts.address_book import AddressBook
    from zkinfer.contracts.registry import RouteState
    from zkinfer.contracts.signers import Signer
    from zkinfer.contracts.transactions import Limits


@dataclass(frozen=True, slots=True)
class Deployed:
    """The contracts of one deployment, by name. `open_deployment` compares their code first.

    Args:
        chain: the connection, and the account that pays.
        book: the addresses and the expected governance.
    """

    chain: Chain
    book: AddressBook

    @property
    def registry(self) -> Registry:
        """Models and their listings."""
        return Registry(self.chain, self.book.addresses["ModelRegistry"])

    @property
    def ledger(self) -> Ledger:
        """Requests and answers."""
        return Ledger(self.chain, self.book.addresses["InferenceLedger"])

    @property
    def router(self) -> str:
        """The address of the router, which maps selectors to verifiers."""
        return self.book.addresses["VerifierRouter"]

    @property
    def stops(self) -> dict[str, EmergencyStop]:
        """The emergency stops of the deployment's own verifiers, by selector."""
        at = self.book.addresses
        return {"0x" + one.hex(): EmergencyStop(self.chain, at[name]) for one, name in STOPS.items()}

    @property
    def timelock(self) -> Timelock:
        """The timelock, which delays changes of routes."""
        return Timelock(self.chain, self.book.addresses["TimelockController"])

    def route_states(self) -> dict[str, RouteState]:
        """The state of the route to each verifier of the deployment, by selector."""
        return {"0x" + one.hex(): route_of(self.chain, self.router, one).state for one in STOPS}

    def require_live(self, *selectors: bytes) -> None:
        """Return if proofs under these selectors can be accepted; raises as `zkinfer.contracts.registry.require_live`.

        Without a selector, all verifiers of the deployment must be live.
        """
        for selector in selectors or STOPS:
            require_live(self.chain, self.book, selector)

    def require_live_listings(self, listings: Iterable[str]) -> None:
        """Return if the verifiers of these listings can accept proofs.

        Raises:
            RevertedError: the registry has no such listing.
            DeploymentError: as `require_live`.
        """
        for selector in {self.registry.listing(one).selector for one in set(listings)}:
            self.require_live(bytes.fromhex(selector[2:]))

    def require_own(self, placed: PlacedRequest) -> None:
        """Return if a request was made for this deployment's ledger.

        Raises:
            WrongChainError: it was made for another chain.
            InputError: it was made for another ledger.
        """
        self.chain.require_id(placed.chain_id)
        if placed.ledger != self.ledger.address:
            raise InputError(
                f"The request {placed.id} is for the ledger at {placed.ledger}; "
                f"this deployment's ledger is at {self.ledger.address}.",
                "Give the address book of that deployment with --deployment.",
            )

    def listing_of(self, circuit: Circuit, publisher: str, selector: bytes | None = None) -> str:
        """The listing of a circuit, whose verifier can accept proofs.

        Args:
            circuit: an opened circuit.
            publisher: the address that registered the circuit.
            selector: of the verifier; by default that of the circuit's engine.

        Raises:
            InputError: the publisher did not register the circuit under this verifier.
            CircuitError: as `registration_of`.
            DeploymentError: as `require_live`.
        """
        registration = registration_of(circuit, selector=selector)
        listing = listing_of(registration, publisher)
        if self.registry.status(listing) == "unknown":
            raise InputError(
                f"{publisher} did not register {circuit.folder} under the selector 0x{registration.selector.hex()}.",
                "Name its publisher with --publisher or its verifier with --selector, or register it: "
                "zkinfer chain register",
            )
        self.require_live_listings([listing])
        return listing


def open_chain(
    url: str,
    *,
    signer: Callable[[int], Signer] | None = None,
    limits: Limits | None = None,
    dry_run: bool = False,
) -> Chain:
    """Connect to a node, with an account that pays if there is a signer.

    Args:
        url: of the node; may hold a secret, which errors do not repeat.
        signer: makes the signer for a chain id; None for reading only.
        limits: fees, timeouts and confirmations; by default those of `Limits`.
        dry_run: quote transactions instead of sending them.

    Raises:
        RpcError: the URL is not acceptable, or the node cannot be reached.
        SignerError: the signer cannot be used on this chain.
    """
    web3 = connect(url)
    if signer is None:
        return Chain(web3)
    return Chain(web3, signer(Chain(web3).id), limits, rehearsal=dry_run)


def default_confirmations(url: str) -> int:
    """How many blocks to wait for: 1 on this machine, where chains are for development, 3 elsewhere."""
    return 1 if is_loopback(parse_url(url)) else 3


def open_deployment(chain: Chain, book: Path) -> Deployed:
    """Read an address book and compare the code of its contracts with the chain.

    Neither the governance nor the state of the verifiers is checked; see `zkinfer.contracts.governance` and
    `Deployed.require_live`.

    Args:
        chain: the connection.
        book: the address book that `zkinfer chain deploy` wrote.

    Raises:
        AddressBookError: the file is not an address book.
        WrongChainError: the node is on another chain than the address book.
        DeploymentError: a contract is missing.
        CodeMismatchError: a contract has other code.
    """
    found = read_book(book)
    chain.require_id(found.chain_id)
    verify_code(chain, found.plan)
    return Deployed(chain, found)
