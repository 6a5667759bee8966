"""Verify that a listing is of the circuit that its publisher provides.

A registry can check only the layout and the setup: a crafted key passes. So before relying on a listing, rebuild the
key from the ONNX file and the circuit's recipe, and compare. The checks, in order:

(1) the listing exists and is active
(2) the circuit has an accepted engine and setup, and its recipe rebuilds it from this ONNX file
(3) the listing has its model id, and the digest of the rebuilt key
(4) the key stored on the chain is the rebuilt one
(5) the layout is the circuit's
(6) the setup is the circuit's
(7) its proofs go to the deployment's verifier of the circuit's engine, which must be live

Nothing in the circuit's folder is trusted, except its published recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.chain.errors import ListingError
from zkinfer.chain.requests import layout_on_chain
from zkinfer.circuits.build import rebuild
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.frontend import model_digest
from zkinfer.contracts.deploy import STOPS
from zkinfer.contracts.registry import EmergencyStop, Registry, route_of
from zkinfer.verifier import Trusted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from zkinfer.circuits.build import Rebuilt
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.home import Home
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.contracts.address_book import AddressBook
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.identifiers import Listing


_HINT: Final = "Do not rely on this listing, unless its publisher provides the circuit that it is of."


@dataclass(frozen=True, slots=True)
class Check:
    """A value on the chain, and its expected value."""

    what: str
    found: object
    wanted: object

    def require(self) -> None:
        """Raise ListingError if they differ."""
        if self.found != self.wanted:
            raise ListingError(f"On the chain, {self.what} is {self.found}; it must be {self.wanted}.", _HINT)


def rebuild_circuit(
    circuit: Circuit,
    model: Path,
    home: Home,
    *,
    unsafe_accept_dev_setup: bool = False,
    accept_engines: Collection[str] = (),
) -> Rebuilt:
    """Check (2): rebuild the circuit from the caller's ONNX file. The first time this takes as long as key generation.

    Raises:
        ListingError: it is under insecure-dev, or of an experimental engine that is not named, or of another ONNX
            file, or the rebuilt circuit differs.
        UntrustedEngineError, UntrustedSetupError: see there.
        ZkinferError: it could not be rebuilt.
    """
    recipe, identity = circuit.manifest.recipe, circuit.manifest.identity
    if recipe.setup.is_insecure_dev and not unsafe_accept_dev_setup:
        raise ListingError(
            f"{circuit.folder} is under insecure-dev, a setup for tests: anyone can forge its proofs.",
            "Rely on a circuit under a real ceremony; for a trial, give --unsafe-accept-dev-setup.",
        )
    trusted = Trusted.of([model], home.setups, home.rebuilt)
    engine, kind = trusted.engine(recipe.engine), recipe.engine.partition("/")[0]
    if engine.experimental and kind not in accept_engines:
        raise ListingError(
            f"{circuit.folder} is of {recipe.engine}, an experimental engine.",
            f"If you accept its proofs, say so: --accept-engine {kind}.",
        )
    digest = str(model_digest(model))
    if digest != identity.model:
        raise ListingError(
            f"{model} is not the ONNX file of {circuit.folder}: it is {digest}; the circuit names {identity.model}.",
            "Give the ONNX file from which the circuit was compiled; its publisher has it.",
        )
    setup = trusted.setup(recipe.setup, circuit.manifest.program.setup_size)
    rebuilt = rebuild(model, recipe, engine=engine, setup=setup, cache=trusted.cache)
    if rebuilt.identity != identity:
        raise ListingError(
            f"{model} under the recipe of {circuit.folder} gives the model {rebuilt.identity.model_id}; "
            f"the circuit says {identity.model_id}.",
            "The circuit was altered: get it from its publisher again.",
        )
    return rebuilt


def verify_listing(
    chain: Chain,
    book: AddressBook,
    listing: str,
    circuit: Circuit,
    model: Path,
    home: Home,
    *,
    unsafe_accept_dev_setup: bool = False,
    accept_engines: Collection[str] = (),
    observer: Callable[[Check], None] = lambda _: None,
) -> Listing:
    """Return the registry's entry of a listing if all checks pass, in the module's order.

    Args:
        chain: where it is registered.
        book: the deployment, whose code the caller has compared with the chain.
        listing: the listing.
        circuit: the circuit that it is claimed to be of.
        model: the caller's copy of the ONNX file.
        home: has the setups, and caches rebuilt circuits.
        unsafe_accept_dev_setup: accept a circuit whose proofs anyone can forge.
        accept_engines: names of experimental engines whose proofs are accepted.
        observer: called with each check that passed.

    Raises:
        ListingError: the first check that failed.
        ZkinferError: as `rebuild_circuit`.
        ChainError: the node failed.
    """
    registry = Registry(chain, book.addresses["ModelRegistry"])

    def require(check: Check) -> None:
        check.require()
        observer(check)

    require(Check("the status", registry.status(listing), "active"))  # (1)
    found = registry.listing(listing)
    rebuilt = rebuild_circuit(  # (2)
        circuit, model, home, unsafe_accept_dev_setup=unsafe_accept_dev_setup, accept_engines=accept_engines
    )
    engine = engine_named(circuit.manifest.recipe.engine)
    for check in _registry_checks(chain, found, rebuilt, circuit, engine):  # (3) to (6)
        require(check)
    for check in _verifier_checks(chain, book, found, engine):  # (7)
        require(check)
    return found


def _registry_checks(
    chain: Chain, found: Listing, rebuilt: Rebuilt, circuit: Circuit, engine: Engine
) -> Iterator[Check]:
    identity, program = rebuilt.identity, rebuilt.program
    key = engine.evm_key(rebuilt.folder)
    yield Check("the SHA-256 of the ONNX file", found.onnx_digest, _hex(identity.model))
    yield Check("the model id", found.model_id, identity.model_id)
    yield Check("the digest of the verifying key", found.key_digest, _hex(identity.verifying_key))
    same_key = chain.code(found.key) == b"\0" + key
    yield Check("whether the stored key is the rebuilt one", same_key, True)
    yield Check("the layout of statements", found.layout, layout_on_chain(program.layout))
    yield Check("the trusted setup", found.setup, _hex(circuit.manifest.recipe.setup.tau_g2))


def _verifier_checks(chain: Chain, book: AddressBook, found: Listing, engine: Engine) -> Iterator[Check]:
    selector = engine.evm_selector or b""
    yield Check("the proving system", found.selector, "0x" + selector.hex())
    stop = book.addresses[STOPS[selector]]
    route = route_of(chain, book.addresses["VerifierRouter"], selector)
    yield Check("the verifier of its proofs", route.verifier, stop)
    yield Check("whether the verifier is live", EmergencyStop(chain, stop).live(), True)


def _hex(digest: str) -> str:
    return "0x" + digest.partition(":")[2]
