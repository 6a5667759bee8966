"""zkinfer chain deploy-verifier: a verifier for one circuit alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.access import book_path, open_chain, open_deployment
from zkinfer.cli.chain.options import Connection, Payment, SolcFile, expanded
from zkinfer.cli.chain.routes import advance, is_routed
from zkinfer.cli.chain.views import sending
from zkinfer.cli.console import answer, console, facts_table, failing_politely, plain, say
from zkinfer.cli.options import AsJson, CircuitFolder

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.circuits.circuit import Circuit
    from zkinfer.cli.chain.access import Deployed
    from zkinfer.contracts.book import AddressBook
    from zkinfer.contracts.dedicated import DedicatedVerifier
    from zkinfer.contracts.solc import Generated


@expanded
def deploy_verifier_command(
    circuit: CircuitFolder,
    to: Connection,
    paid: Payment,
    solc: SolcFile = None,
    route: Annotated[
        bool,
        typer.Option(
            "--route",
            help="As a proposer, schedule its route too, and once that is due, execute it; as `route add` does.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a verifier for this circuit alone on a chain, behind a stop of its own; a proof then costs less gas to check.

    The engine generates its source, which is patched and compiled. It is written into the address book. Proofs go to it
    once the timelock has routed its selector: the calls are printed, and `route add` or --route sends them. Then
    `register --selector dedicated` makes a listing of it. Addresses follow from the code, so to repeat this changes
    nothing.

    Example: zkinfer chain deploy-verifier digits.circuit --solc node_modules/.bin/solcjs --keystore me.json
    """
    with failing_politely(as_json=as_json):
        chain = open_chain(to, paid)
        deployed = open_deployment(chain, to)
        from zkinfer.circuits.circuit import Circuit
        from zkinfer.contracts.book import keep_dedicated
        from zkinfer.contracts.dedicated import deploy_dedicated
        from zkinfer.contracts.timelock import route_added

        opened = Circuit.open(circuit)
        digest = _key_taken(deployed, opened)
        generated = _generated(opened, solc)
        wanted = _wanted(deployed.book, digest, generated)
        stop = wanted.addresses["EmergencyStop"]
        routed = is_routed(deployed, wanted.selector, stop)
        made = deploy_dedicated(chain, wanted, generated.creation)
        if chain.sends:
            keep_dedicated(book_path(to, chain.id), wanted)
        _show(deployed, wanted, made)
        report = advance(deployed, route_added(deployed.router, wanted.selector, stop), done=routed, show=not route)
        if not (routed or route):
            say(f"  route it: [bold]zkinfer chain route add 0x{wanted.selector.hex()} {stop}[/]")
        if as_json:
            said = {"selector": "0x" + wanted.selector.hex(), "created": made, "addresses": wanted.addresses}
            hashes = {"keyDigest": wanted.key_digest, "codeHash": wanted.code_hash, "guardian": wanted.guardian}
            answer({"ok": True, "chainId": chain.id, **said, **hashes, **report, **sending(chain)})


def _key_taken(deployed: Deployed, circuit: Circuit) -> str:
    """The digest of a circuit's key; raises CircuitError or DeploymentError where it could not be registered."""
    from zkinfer.chain import registration_of
    from zkinfer.contracts.errors import DeploymentError

    registration = registration_of(circuit)
    if circuit.manifest.recipe.setup.is_insecure_dev and not deployed.book.governance.test:
        raise DeploymentError(
            f"{circuit.folder} is under insecure-dev, which this deployment takes no listing of.",
            "Compile the model under a real ceremony; for a trial, deploy with --test.",
        )
    return registration.key_digest


def _generated(circuit: Circuit, solc: Path | None) -> Generated:
    from zkinfer.chain.dedicated import generated_verifier
    from zkinfer.circuits.home import Home
    from zkinfer.contracts.solc import Solc

    compiler = Solc.find(solc)
    say("[dim]generating the verifier, and compiling it[/]")
    return generated_verifier(circuit.folder, circuit.manifest, Home.from_environment(), compiler)


def _wanted(book: AddressBook, key_digest: str, generated: Generated) -> DedicatedVerifier:
    """The verifier under the guardian that the address book names, once it names one; raises AddressBookError."""
    from zkinfer.contracts.dedicated import DedicatedVerifier
    from zkinfer.contracts.registration import dedicated_selector

    known = book.dedicated_at(dedicated_selector(key_digest))
    wanted = DedicatedVerifier.of(generated, key_digest, known.guardian if known else book.guardian, book.salt)
    book.require_agreed(wanted)
    return wanted


def _show(deployed: Deployed, wanted: DedicatedVerifier, made: list[str]) -> None:
    shown = {"selector": "0x" + wanted.selector.hex(), **wanted.addresses, "guardian": wanted.guardian}
    console.print(facts_table({**shown, "code hash": wanted.code_hash}))
    if deployed.chain.sends:
        what = f"{len(made)} contracts created" if made else "all was there"
        say(f"[green]✓[/] verifier of {plain(wanted.key_digest[:10])} on chain {deployed.chain.id}: {what}")
