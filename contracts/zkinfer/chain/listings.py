"""Verify that a listing is of the circuit that its publisher provides.

A registry can check only the layout and the setup: a crafted key passes. So before relying on a listing, rebuild the
key from the ONNX file and the circuit's recipe, and compare. The checks, in order:

(1) the listing exists and is active
(2) the circuit has an accepted engine and setup, and its recipe rebuilds it from this ONNX file
(3) the listing has its model id, and the digest of the rebuilt key
(4) the key stored on the chain is the rebuilt one
(5) the layout is the circuit's
(6) the setup is the circuit's
(7) its proofs go to the deployment's shared verifier, or to one of this circuit alone, which must be live; for the
    latter, the code is generated from the rebuilt circuit and compiled, and must be the code on the chain

Nothing in the circuit's folder is trusted, except its published recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from zkinfer.chain.errors import ListingError
from zkinfer.chain.requests import layout_on_chain
from zkinfer.circuits.build import rebuild
from zkinfer.circuits.engines import engine_named
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.deploy import SHARED_SELECTOR
from zkinfer.contracts.ezkl.dedicated import dedicated_selector
from zkinfer.contracts.ezkl.solc import Solc, code_hash
from zkinfer.contracts.registry import EmergencyStop, Registry, route_of
from zkinfer.verifier import Trusted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zkinfer.circuits.build import Rebuilt
    from zkinfer.circuits.home import Home
    from zkinfer.circuits.manifest import Circuit, Manifest
    from zkinfer.contracts.address_book import AddressBook
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.ezkl.solc import Generated
    from zkinfer.contracts.identifiers import Listing
    from zkinfer.contracts.registry import Route


_SHARED: Final = "0x" + SHARED_SELECTOR.hex()
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


def rebuild_circuit(circuit: Circuit, model: Path, home: Home, *, unsafe_accept_dev_setup: bool = False) -> Rebuilt:
    """Check (2): rebuild the circuit from the caller's ONNX file. The first time this takes as long as key generation.

    Raises:
        ListingError: it is under insecure-dev, or the rebuilt circuit differs.
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
    engine, setup = trusted.engine(recipe.engine), trusted.setup(recipe.setup, circuit.manifest.program.setup_size)
    rebuilt = rebuild(model, recipe, engine=engine, setup=setup, cache=trusted.cache)
    if rebuilt.identity != identity:
        raise ListingError(
            f"{model} under the recipe of {circuit.folder} gives the model {rebuilt.identity.model_id}; "
            f"the circuit says {identity.model_id}.",
            "The circuit is of another ONNX file, or was altered.",
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
    solc: Path | None = None,
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
        solc: the compiler, for a verifier of a single circuit; by default the one on PATH.
        observer: called with each check that passed.

    Raises:
        ListingError: the first check that failed.
        ZkinferError: as `rebuild_circuit`.
        CompilerError: there is no compiler for the verifier of a single circuit.
        CodeMismatchError: its proofs go to contracts that are not of this version.
        ChainError: the node failed.
    """
    registry = Registry(chain, book.addresses["ModelRegistry"])

    def require(check: Check) -> None:
        check.require()
        observer(check)

    require(Check("the status", registry.status(listing), "active"))  # (1)
    found = registry.listing(listing)
    compiler = None if found.selector == _SHARED else Solc.find(solc)  # fail before minutes of rebuilding
    rebuilt = rebuild_circuit(circuit, model, home, unsafe_accept_dev_setup=unsafe_accept_dev_setup)  # (2)
    for check in _registry_checks(chain, found, rebuilt, circuit):  # (3) to (6)
        require(check)
    route = route_of(chain, book.addresses["VerifierRouter"], bytes.fromhex(found.selector[2:]))
    if compiler is None:
        checks = _shared_checks(chain, book, found, route)
    else:
        generated = partial(generated_verifier, rebuilt.folder, circuit.manifest, home, compiler)
        checks = _dedicated_checks(chain, found, route, generated)
    for check in checks:  # (7)
        require(check)
    return found


def _registry_checks(chain: Chain, found: Listing, rebuilt: Rebuilt, circuit: Circuit) -> Iterator[Check]:
    identity, program = rebuilt.identity, rebuilt.program
    key = engine_named(circuit.manifest.recipe.engine).evm_key(rebuilt.folder)
    yield Check("the SHA-256 of the ONNX file", found.onnx_digest, _hex(identity.model))
    yield Check("the model id", found.model_id, identity.model_id)
    yield Check("the digest of the verifying key", found.key_digest, _hex(identity.verifying_key))
    same_key = chain.code(found.key) == b"\0" + key
    yield Check("whether the stored key is the rebuilt one", same_key, True)
    yield Check("the layout of statements", found.layout, layout_on_chain(program.layout))
    yield Check("the trusted setup", found.setup, _hex(circuit.manifest.recipe.setup.tau_g2))


def _shared_checks(chain: Chain, book: AddressBook, found: Listing, route: Route) -> Iterator[Check]:
    stop = book.addresses["EmergencyStop"]
    yield Check("the proving system", found.selector, _SHARED)
    yield Check("the verifier of its proofs", route.verifier, stop)
    yield Check("whether the verifier is live", EmergencyStop(chain, stop).live(), True)


def _dedicated_checks(
    chain: Chain, found: Listing, route: Route, generated: Callable[[], Generated]
) -> Iterator[Check]:
    """From the route to the generated code: the code of each contract is known, and it names the next."""
    yield Check("the proving system", found.selector, "0x" + dedicated_selector(found.key_digest).hex())
    yield Check("the state of its route", route.state, "live")
    load("EmergencyStop").require_code(chain.code(route.verifier))
    adapter = chain.read("EmergencyStop", route.verifier, "VERIFIER")
    load("DedicatedHalo2Adapter").require_code(chain.code(adapter))
    key_digest = "0x" + chain.read("DedicatedHalo2Adapter", adapter, "KEY_DIGEST").hex()
    yield Check("the key of its verifier", key_digest, found.key_digest)
    code = chain.code(chain.read("DedicatedHalo2Adapter", adapter, "HALO2"))
    yield Check("the code of its verifier", code_hash(code), code_hash(generated().deployed))


def _hex(digest: str) -> str:
    return "0x" + digest.partition(":")[2]


def generated_verifier(folder: Path, manifest: Manifest, home: Home, solc: Solc) -> Generated:
    """The code of the verifier for the key in a folder; it is the same for the same key.

    Args:
        folder: the engine's verifying files, of a circuit or rebuilt.
        manifest: names the setup and its size.
        home: has the setup.
        solc: the compiler.

    Raises:
        SetupError: the setup's file is missing.
        EngineError: the engine failed.
        PatchError, CompilerError: it wrote unknown source code, or the compiler rejects it.
    """
    setup = home.setups.find_or_generate(manifest.program.setup_size, manifest.recipe.setup.ceremony)
    return solc.dedicated(engine_named(manifest.recipe.engine).evm_verifier(folder, setup.path))
