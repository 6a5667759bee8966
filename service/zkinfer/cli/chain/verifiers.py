"""zkinfer chain deploy-verifier and route: dedicated verifiers, and the routes to verifiers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.connect import book_path, open_chain, open_deployment, sending, show_dry_run, show_sent
from zkinfer.cli.chain.models import confirm
from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    SolcFile,
    expand_options,
    parse_address,
    parse_selector,
    parse_word,
)
from zkinfer.cli.console import console, exit_on_error, facts_table, plain, print_json, say
from zkinfer.cli.options import AsJson, CircuitFolder

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.chain.deployment import Deployed
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.contracts.address_book import AddressBook
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.ezkl.dedicated import DedicatedVerifier
    from zkinfer.contracts.ezkl.solc import Generated
    from zkinfer.contracts.governance import Operation, OperationState, Timelock


app = typer.Typer(no_args_is_help=True, help="Change the routes to verifiers through the timelock.")
SelectorName = Annotated[
    str,
    typer.Argument(parser=parse_selector, metavar="SELECTOR", help="The selector of the route.", show_default=False),
]
Show = Annotated[bool, typer.Option("--show", help="Send nothing: print the calls, for a multisig. Needs no account.")]


@app.command("add")
@expand_options
def add_command(
    selector: SelectorName,
    verifier: Annotated[
        str,
        typer.Argument(
            parser=parse_address,
            metavar="ADDRESS",
            help="The address of the verifier's emergency stop.",
            show_default=False,
        ),
    ],
    to: Connection,
    paid: Payment,
    show: Show = False,
    as_json: AsJson = False,
) -> None:
    """Route an unused selector to a verifier: schedules the change, and executes it once it is due.

    Example: zkinfer chain route add 0x01020304 0x... --keystore proposer.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(to, None if show else paid), to)
        from zkinfer.contracts.governance import route_added

        _require_verifier(deployed.chain, selector, verifier)
        named = bytes.fromhex(selector[2:])
        done = is_routed(deployed, named, verifier)
        report = advance(deployed, route_added(deployed.router, named, verifier), done=done, show=show)
        if as_json:
            print_json({"ok": True, **report, **sending(deployed.chain)})


@app.command("remove")
@expand_options
def remove_command(
    selector: SelectorName,
    to: Connection,
    paid: Payment,
    show: Show = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove the route of a selector permanently: schedules the change, and executes it once it is due.

    Example: zkinfer chain route remove 0x01020304 --keystore proposer.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(to, None if show else paid), to)
        from zkinfer.contracts.governance import route_removed

        named = bytes.fromhex(selector[2:])
        done = _is_removed(deployed, named)
        if deployed.chain.sends and not (show or yes or done):
            confirm(f"remove {selector}", "once executed, no answer that needs this route can be recorded.")
        report = advance(deployed, route_removed(deployed.router, named), done=done, show=show)
        if as_json:
            print_json({"ok": True, **report, **sending(deployed.chain)})


@app.command("cancel")
@expand_options
def cancel_command(
    operation: Annotated[
        str,
        typer.Argument(
            parser=parse_word,
            metavar="OPERATION",
            help="The operation, as `route add` or `route remove` printed it.",
            show_default=False,
        ),
    ],
    to: Connection,
    paid: Payment,
    show: Show = False,
    as_json: AsJson = False,
) -> None:
    """Cancel a scheduled change of any proposer; needs an account that is a proposer.

    The change can be scheduled again, and then waits for the delay again.

    Example: zkinfer chain route cancel 0x... --keystore proposer.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(to, None if show else paid), to)
        chain, timelock, named = deployed.chain, _timelock(deployed), bytes.fromhex(operation[2:])
        calls = {"cancel": "0x" + timelock.cancelling(named).hex()}
        if not show:
            timelock.cancel(named)
        if show or not chain.sends:
            console.print(facts_table({"timelock": timelock.address, **calls}))
        if not chain.sends:
            show_dry_run(chain)
        elif not show:
            say(f"[green]✓[/] cancelled: {operation}")
        show_sent(chain)
        if as_json:
            report = {"timelock": timelock.address, "operation": operation, "state": timelock.state(named)}
            print_json({"ok": True, **report, "calls": calls, **sending(chain)})


def is_routed(deployed: Deployed, selector: bytes, verifier: str) -> bool:
    """Whether a selector is routed to this verifier; raises DeploymentError if it is routed elsewhere or removed."""
    from zkinfer.contracts.registry import require_unused, route_of

    route = route_of(deployed.chain, deployed.router, selector)
    if route.state in ("live", "stopped") and route.verifier == verifier:
        return True
    require_unused(deployed.chain, deployed.router, selector)
    return False


def _is_removed(deployed: Deployed, selector: bytes) -> bool:
    """Whether a route was removed; raises DeploymentError if it never existed."""
    from zkinfer.contracts.errors import DeploymentError
    from zkinfer.contracts.registry import route_of

    state = route_of(deployed.chain, deployed.router, selector).state
    if state == "unused":
        raise DeploymentError(f"There is no route of 0x{selector.hex()} to remove.", "Check the selector.")
    return state == "removed"


def _timelock(deployed: Deployed) -> Timelock:
    from zkinfer.contracts.governance import Timelock

    return Timelock(deployed.chain, deployed.book.addresses["TimelockController"])


def _require_verifier(chain: Chain, selector: str, verifier: str) -> None:
    """Check now what the router would check after the delay, and that the verifier is live."""
    from zkinfer.contracts.errors import DeploymentError

    if not chain.code(verifier):
        raise DeploymentError(f"There is no contract at {verifier}.", "Deploy the verifier and its stop first.")
    found = "0x" + bytes(chain.read("EmergencyStop", verifier, "selector")).hex()
    if found != selector:
        raise DeploymentError(
            f"The verifier at {verifier} has the selector {found}, not {selector}.", "Use its selector."
        )
    if not chain.read("EmergencyStop", verifier, "live"):
        raise DeploymentError(f"The verifier at {verifier} was stopped permanently.", "Route to a live verifier.")


def advance(deployed: Deployed, operation: Operation, *, done: bool, show: bool) -> dict[str, Any]:
    """Take the next step of an operation: schedule, wait or execute; returns the JSON form of its state."""
    chain, timelock = deployed.chain, _timelock(deployed)
    before = "done" if done else timelock.state(operation)
    calls = {name: "0x" + data.hex() for name, data in timelock.calls(operation).items()}
    if not show and before == "unset":
        timelock.schedule(operation)
    elif not show and before == "ready":
        timelock.execute(operation)
    named = "0x" + timelock.id_of(operation).hex()
    if show or not chain.sends:
        console.print(facts_table({"timelock": timelock.address, **calls}))
    if not chain.sends:
        show_dry_run(chain)
    state = "done" if done else timelock.state(operation)
    say(f"operation {named}: {_told(timelock, operation, state)}")
    show_sent(chain)
    return {"timelock": timelock.address, "operation": named, "state": state, "calls": calls}


def _told(timelock: Timelock, operation: Operation, state: OperationState) -> str:
    if state == "waiting":
        due = datetime.fromtimestamp(timelock.due(operation), UTC)
        return f"scheduled; can be executed from {due:%Y-%m-%d %H:%M:%SZ} on"
    return {"unset": "not scheduled yet", "ready": "due; can be executed", "done": "[green]✓[/] done"}[state]


@expand_options
def deploy_verifier_command(
    circuit: CircuitFolder,
    to: Connection,
    paid: Payment,
    solc: SolcFile = None,
    route: Annotated[
        bool,
        typer.Option(
            "--route",
            help="As a proposer, also schedule its route, and execute it once due, as `route add` does.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Deploy a dedicated verifier for one circuit, with its own emergency stop. Its proofs cost less gas to verify.

    The engine generates the source, which is patched and compiled, and the address book records the contracts. The
    verifier is used once the timelock has routed its selector: the calls are printed, and `route add` or --route sends
    them. Then `register --selector dedicated` registers the circuit under it. Re-running is idempotent.

    Example: zkinfer chain deploy-verifier digits.circuit --solc node_modules/.bin/solcjs --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(to, paid)
        deployed = open_deployment(chain, to)
        from zkinfer.circuits.manifest import Circuit
        from zkinfer.contracts.address_book import keep_dedicated
        from zkinfer.contracts.ezkl.dedicated import deploy_dedicated
        from zkinfer.contracts.governance import route_added

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
            print_json({"ok": True, "chainId": chain.id, **said, **hashes, **report, **sending(chain)})


def _key_taken(deployed: Deployed, circuit: Circuit) -> str:
    """The digest of a circuit's key; raises CircuitError or DeploymentError if it could not be registered."""
    from zkinfer.chain import registration_of
    from zkinfer.contracts.errors import DeploymentError

    registration = registration_of(circuit)
    if circuit.manifest.recipe.setup.is_insecure_dev and not deployed.book.governance.test:
        raise DeploymentError(
            f"{circuit.folder} is under insecure-dev, which this deployment does not accept.",
            "Compile the model under a real ceremony; for tests, deploy with --test.",
        )
    return registration.key_digest


def _generated(circuit: Circuit, solc: Path | None) -> Generated:
    from zkinfer.chain.listings import generated_verifier
    from zkinfer.circuits.home import Home
    from zkinfer.contracts.ezkl.solc import Solc

    compiler = Solc.find(solc)
    say("[dim]generating and compiling the verifier[/]")
    return generated_verifier(circuit.folder, circuit.manifest, Home.from_environment(), compiler)


def _wanted(book: AddressBook, key_digest: str, generated: Generated) -> DedicatedVerifier:
    """The verifier to deploy, with the guardian of the address book; raises AddressBookError."""
    from zkinfer.contracts.ezkl.dedicated import DedicatedVerifier
    from zkinfer.contracts.registration import dedicated_selector

    known = book.dedicated_at(dedicated_selector(key_digest))
    wanted = DedicatedVerifier.of(generated, key_digest, known.guardian if known else book.guardian, book.salt)
    book.require_agreed(wanted)
    return wanted


def _show(deployed: Deployed, wanted: DedicatedVerifier, made: list[str]) -> None:
    shown = {"selector": "0x" + wanted.selector.hex(), **wanted.addresses, "guardian": wanted.guardian}
    console.print(facts_table({**shown, "code hash": wanted.code_hash}))
    if deployed.chain.sends:
        what = f"{len(made)} contracts created" if made else "nothing was missing"
        say(f"[green]✓[/] verifier of {plain(wanted.key_digest[:10])} on chain {deployed.chain.id}: {what}")
