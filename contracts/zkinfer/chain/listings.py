"""Verify that a listing is of the circuit that its publisher shows.

A registry compares the layout and the setup, and cannot know more: a crafted key passes. So rebuild the key from the
ONNX file and the circuit's recipe before relying on a listing, and compare. The checks, in order:

(1) the listing exists and is active
(2) the circuit is one of an accepted engine and setup, and this ONNX file under its recipe gives it again
(3) the listing has its model id, and the digest of this very key
(4) the words of the key on the chain are these
(5) its layout is the circuit's
(6) it names the circuit's setup
(7) its proofs go to the deployment's shared verifier, or to one for this circuit alone, and that runs; for the latter,
    the code is generated from the rebuilt circuit and compiled again, and must be the code on the chain

Nothing in the circuit's folder is trusted, beyond its published recipe.
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
from zkinfer.contracts.ezkl.solc import Solc, code_hash
from zkinfer.contracts.registration import SELECTOR, dedicated_selector
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
    from zkinfer.contracts.registration import Listing
    from zkinfer.contracts.registry import Route


_SHARED: Final = "0x" + SELECTOR.hex()
_HINT: Final = "Do not rely on this listing, unless its publisher shows another circuit that it is of."


@dataclass(frozen=True, slots=True)
class Check:
    """Something that the listing says, and what it must say."""

    what: str
    found: object
    wanted: object

    def require(self) -> None:
        """Raise ListingError where they differ."""
        if self.found != self.wanted:
            raise ListingError(f"On the chain, {self.what} is {self.found}; it must be {self.wanted}.", _HINT)


def circuit_made_again(circuit: Circuit, model: Path, home: Home, *, unsafe_accept_dev_setup: bool = False) -> Rebuilt:
    """Check (2): the circuit, made again from one's own ONNX file. Takes as long as making keys, the first time.

    Raises:
        ListingError: it is under insecure-dev, or what was made is another circuit.
        UntrustedEngineError, UntrustedSetupError: see there.
        ZkinferError: it could not be made again.
    """
    recipe, identity = circuit.manifest.recipe, circuit.manifest.identity
    if recipe.setup.is_insecure_dev and not unsafe_accept_dev_setup:
        raise ListingError(
            f"{circuit.folder} is under insecure-dev, a setup for tests: anyone can forge its proofs.",
            "Rely on a circuit under a real ceremony; for a trial, give --unsafe-accept-dev-setup.",
        )
    trusted = Trusted.of([model], home.setups, home.rebuilt)
    engine, setup = trusted.engine(recipe.engine), trusted.setup(recipe.setup, circuit.manifest.program.setup_size)
    made = rebuild(model, recipe, engine=engine, setup=setup, cache=trusted.cache)
    if made.identity != identity:
        raise ListingError(
            f"{model} under the recipe of {circuit.folder} gives the model {made.identity.model_id}; "
            f"the circuit says {identity.model_id}.",
            "It is of another ONNX file, or was altered.",
        )
    return made


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
    """Return what the registry says of a listing if all checks pass, in the module's order.

    Args:
        chain: where it is registered.
        book: the deployment, whose code the caller has compared with the chain.
        listing: its name.
        circuit: the circuit that it is said to be of.
        model: one's own copy of the ONNX file.
        home: setups, and where rebuilt circuits are kept.
        unsafe_accept_dev_setup: accept a circuit whose proofs anyone can forge.
        solc: the compiler, for a verifier of one circuit; by default the one on PATH.
        observer: told of each check that passed.

    Raises:
        ListingError: the first check that failed.
        ZkinferError: as `circuit_made_again`.
        CompilerError: there is no compiler for the verifier of one circuit.
        CodeMismatchError: its proofs go to contracts that are not of this version.
        ChainError: the node failed.
    """
    registry = Registry(chain, book.addresses["ModelRegistry"])

    def settle(check: Check) -> None:
        check.require()
        observer(check)

    settle(Check("the status", registry.status(listing), "active"))  # (1)
    found = registry.listing(listing)
    compiler = None if found.selector == _SHARED else Solc.find(solc)  # to miss it later would cost minutes
    made = circuit_made_again(circuit, model, home, unsafe_accept_dev_setup=unsafe_accept_dev_setup)  # (2)
    for check in _said(chain, found, made, circuit):  # (3) to (6)
        settle(check)
    route = route_of(chain, book.addresses["VerifierRouter"], bytes.fromhex(found.selector[2:]))
    if compiler is None:
        verified = _shared(chain, book, found, route)
    else:
        generated = partial(generated_verifier, made.folder, circuit.manifest, home, compiler)
        verified = _dedicated(chain, found, route, generated)
    for check in verified:  # (7)
        settle(check)
    return found


def _said(chain: Chain, found: Listing, made: Rebuilt, circuit: Circuit) -> Iterator[Check]:
    identity, program = made.identity, made.program
    key = engine_named(circuit.manifest.recipe.engine).evm_key(made.folder)
    yield Check("the SHA-256 of the ONNX file", found.onnx_digest, _hex(identity.model))
    yield Check("the model id", found.model_id, identity.model_id)
    yield Check("the digest of the verifying key", found.key_digest, _hex(identity.verifying_key))
    words = chain.code(found.key) == b"\0" + key
    yield Check("whether the stored key is the rebuilt one", words, True)
    yield Check("the layout of statements", found.layout, layout_on_chain(program.layout))
    yield Check("the trusted setup", found.setup, _hex(circuit.manifest.recipe.setup.tau_g2))


def _shared(chain: Chain, book: AddressBook, found: Listing, route: Route) -> Iterator[Check]:
    stop = book.addresses["EmergencyStop"]
    yield Check("the proving system", found.selector, _SHARED)
    yield Check("the verifier of its proofs", route.verifier, stop)
    yield Check("whether the verifier runs", EmergencyStop(chain, stop).live(), True)


def _dedicated(chain: Chain, found: Listing, route: Route, generated: Callable[[], Generated]) -> Iterator[Check]:
    """From the route to the generated code: each contract is ours by its code, and names the next."""
    yield Check("the proving system", found.selector, "0x" + dedicated_selector(found.key_digest).hex())
    yield Check("the state of its route", route.state, "live")
    load("EmergencyStop").require_code(chain.code(route.verifier))
    adapter = chain.read("EmergencyStop", route.verifier, "VERIFIER")
    load("DedicatedHalo2Adapter").require_code(chain.code(adapter))
    keyed = "0x" + chain.read("DedicatedHalo2Adapter", adapter, "KEY_DIGEST").hex()
    yield Check("the key of its verifier", keyed, found.key_digest)
    code = chain.code(chain.read("DedicatedHalo2Adapter", adapter, "HALO2"))
    yield Check("the code of its verifier", code_hash(code), code_hash(generated().deployed))


def _hex(digest: str) -> str:
    return "0x" + digest.partition(":")[2]


def generated_verifier(folder: Path, manifest: Manifest, home: Home, solc: Solc) -> Generated:
    """The code of the verifier for the key in a folder; the same key gives the same code.

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
