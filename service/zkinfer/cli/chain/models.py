"""zkinfer chain register, status."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.connect import open_chain, open_deployment, registered_as
from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    SolcFile,
    System,
    expanded,
    parse_address,
    parse_coin,
    parse_word,
)
from zkinfer.cli.chain.views import sending, show_dry_run, show_sent
from zkinfer.cli.console import answer, console, facts_table, failing_politely, plain, say
from zkinfer.cli.options import AsJson, CircuitFolder

if TYPE_CHECKING:
    from zkinfer.chain.listings import Check
    from zkinfer.cli.chain.connect import Deployed
    from zkinfer.contracts.router import RouteState


ListingName = Annotated[
    str, typer.Argument(parser=parse_word, metavar="LISTING", help="What `register` printed.", show_default=False)
]
_NO_SUCCESSOR = "0x" + "00" * 32


@expanded
def verify_listing_command(
    listing: ListingName,
    model: Annotated[Path, typer.Option(help="Your own copy of the ONNX file.", show_default=False)],
    circuit: Annotated[
        Path, typer.Option(help="The circuit that the listing is said to be of; a folder.", show_default=False)
    ],
    to: Connection,
    unsafe_accept_dev_setup: Annotated[
        bool,
        typer.Option("--unsafe-accept-dev-setup", help="Accept insecure-dev, under which anybody can forge proofs."),
    ] = False,
    solc: SolcFile = None,
    as_json: AsJson = False,
) -> None:
    """Check that a listing is of your model, before a contract of yours relies on it.

    No contract can tell whether a key was made from a model: a key that was made up is registered like any other. So
    the key is made again from your ONNX file and the circuit's recipe, and compared with all that the chain holds.
    Where proofs go to a verifier for this circuit alone, its code is made again too, which takes solc.

    Example: zkinfer chain verify-listing 0x... --model digits.onnx --circuit digits.circuit --deployment 1.json
    """
    with failing_politely(as_json=as_json):
        deployed = open_deployment(open_chain(to), to)
        from zkinfer.chain.listings import verify_listing
        from zkinfer.circuits.circuit import Circuit
        from zkinfer.circuits.home import Home

        passed: list[Check] = []

        def on_check(check: Check) -> None:
            passed.append(check)
            say(f"[green]✓[/] {plain(check.what)}  [dim]{plain(check.found)}[/]")

        found = verify_listing(
            deployed.chain,
            deployed.book,
            listing,
            Circuit.open(circuit),
            model,
            Home.from_environment(),
            unsafe_accept_dev_setup=unsafe_accept_dev_setup,
            solc=solc,
            observer=on_check,
        )
        console.print(facts_table({"publisher": found.publisher, "owner": found.owner, "fee": found.fee}))
        say(f"[bold green]of this model[/] on chain {deployed.chain.id}: {listing}")
        if as_json:
            checks = [{"what": one.what, "found": one.found} for one in passed]
            answer({"ok": True, "listing": listing, "checks": checks, "said": asdict(found)})


@expanded
def deprecate_command(
    listing: ListingName,
    to: Connection,
    paid: Payment,
    successor: Annotated[
        str, typer.Option(parser=parse_word, metavar="LISTING", help="The listing to ask instead.", show_default=False)
    ] = _NO_SUCCESSOR,
    as_json: AsJson = False,
) -> None:
    """Let nobody ask a model any more, as the listing's owner; what was asked can still be recorded.

    Example: zkinfer chain deprecate 0x... --successor 0x... --keystore me.json
    """
    with failing_politely(as_json=as_json):
        deployed = open_deployment(open_chain(to, paid), to)
        deployed.registry.deprecate(listing, successor)
        _end(deployed, listing, "deprecated", as_json=as_json)


@expanded
def revoke_command(
    listing: ListingName,
    to: Connection,
    paid: Payment,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: revoke.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let nothing of a model be recorded, or acted on, any more, for ever, as the listing's owner.

    Open fees come back once their requests have expired, or at once where the verifier is stopped; until then a proof
    still earns its prover's fee.

    Example: zkinfer chain revoke 0x... --keystore me.json
    """
    with failing_politely(as_json=as_json):
        deployed = open_deployment(open_chain(to, paid), to)
        if deployed.chain.sends and not yes and deployed.registry.status(listing) in ("active", "deprecated"):
            confirm(f"revoke {listing[:10]}", "nothing will be recorded under this listing any more.")
        deployed.registry.revoke(listing)
        _end(deployed, listing, "revoked", as_json=as_json)


@expanded
def fee_command(
    listing: ListingName,
    amount: Annotated[int, typer.Argument(parser=parse_coin, metavar="AMOUNT", help="0.001ether, 5gwei, 0.")],
    to: Connection,
    paid: Payment,
    as_json: AsJson = False,
) -> None:
    """Change what an answer costs at least, for requests to come, as the listing's owner.

    Example: zkinfer chain fee 0x... 0.001ether --keystore me.json
    """
    with failing_politely(as_json=as_json):
        deployed = open_deployment(open_chain(to, paid), to)
        deployed.registry.set_fee(listing, amount)
        from zkinfer.contracts.transactions import in_ether

        _end(deployed, listing, f"costs {in_ether(amount)} an answer", as_json=as_json)


def confirm(wanted: str, what: str) -> None:
    """Have it typed; end the command, with nothing sent, where something else is."""
    say(f"[bold red]This cannot be undone:[/] {what}")
    if typer.prompt(f"Type '{wanted}' to go on", err=True) != wanted:
        say("nothing was sent")
        raise typer.Exit(1)


def _end(deployed: Deployed, listing: str, done: str, *, as_json: bool) -> None:
    chain = deployed.chain
    if not chain.sends:
        show_dry_run(chain)
    else:
        say(f"[green]✓[/] listing {listing} {done}" + ("" if chain.sent else ", as before"))
        show_sent(chain)
    if as_json:
        found = deployed.registry.listing(listing)
        report = {"ok": True, "listing": listing, "status": found.status, "fee": str(found.fee)}
        answer({**report, **sending(chain)})


@expanded
def register_command(
    circuit: CircuitFolder,
    to: Connection,
    paid: Payment,
    fee: Annotated[
        int, typer.Option(parser=parse_coin, metavar="AMOUNT", help="What an answer costs at least, for you.")
    ] = 0,
    uri: Annotated[str, typer.Option(help="Where to read more: the ONNX file, the manifest, terms.")] = "",
    selector: System = "shared",
    as_json: AsJson = False,
) -> None:
    """Register a circuit under your account; the listing that results is what consumers pin.

    To register again changes nothing; with another fee or URI than before it is refused. Under another selector it is
    another listing, whose proofs go to that verifier. A circuit under insecure-dev is taken by test deployments only.

    Example: zkinfer chain register digits.circuit --keystore me.json --fee 0.001ether
    """
    with failing_politely(as_json=as_json):
        chain = open_chain(to, paid)
        deployed = open_deployment(chain, to)
        registration = registered_as(circuit, selector, fee, uri)
        deployed.require_live(registration.selector)
        listing = deployed.registry.register(registration)
        if chain.sends:
            say(f"[green]✓[/] listing {listing}" + ("" if chain.sent else ", registered before"))
            show_sent(chain)
        else:
            say(f"listing {listing}")
            show_dry_run(chain)
        if as_json:
            report = {"ok": True, "listing": listing, "modelId": registration.model_id, "publisher": chain.address}
            answer({**report, "selector": "0x" + registration.selector.hex(), **sending(chain)})


@expanded
def status_command(
    to: Connection,
    listing: Annotated[str | None, typer.Option(parser=parse_word, metavar="WORD", help="Show this listing.")] = None,
    request: Annotated[Path | None, typer.Option(help="Show this request; a file of `zkinfer chain request`.")] = None,
    credit_of: Annotated[
        str | None, typer.Option(parser=parse_address, metavar="ADDRESS", help="Show what this account can withdraw.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a deployment and whether its verifiers run; and a listing, a request, a credit, where one is named.

    Example: zkinfer chain status --request request.json
    """
    with failing_politely(as_json=as_json):
        chain = open_chain(to)
        deployed = open_deployment(chain, to)
        report = _deployment(deployed)
        report |= {} if listing is None else _listing(deployed, listing)
        report |= {} if request is None else _request(deployed, request)
        report |= {} if credit_of is None else {"credit": str(deployed.ledger.credit(credit_of))}
        told = ", ".join(f"{selector} {state}" for selector, state in report["verifiers"].items())
        console.print(facts_table({**report, "verifiers": told}))
        if as_json:
            answer({"ok": True, **report})


def _deployment(deployed: Deployed) -> dict[str, Any]:
    from zkinfer.contracts.errors import DeploymentError
    from zkinfer.contracts.registration import SELECTOR

    try:
        deployed.require_live(SELECTOR)
        state = "code and route as planned"
    except DeploymentError as err:
        state = err.cause
    return {
        "chainId": deployed.chain.id,
        "blockTime": f"{datetime.fromtimestamp(deployed.chain.time(), UTC):%Y-%m-%d %H:%M:%SZ}",
        "deployment": state,
        "runs": deployed.stop.live(),
        "verifiers": route_states(deployed),
        "guardian": deployed.stop.guardian(),
        "test": deployed.book.governance.test,
        "ledger": deployed.ledger.address,
        "registry": deployed.registry.address,
    }


def _listing(deployed: Deployed, listing: str) -> dict[str, Any]:
    if deployed.registry.status(listing) == "unknown":
        return {"listing": listing, "status": "unknown"}
    found = deployed.registry.listing(listing)
    return {
        "listing": listing,
        "status": found.status,
        "verifierRuns": deployed.registry.runs(listing),
        "modelId": found.model_id,
        "publisher": found.publisher,
        "owner": found.owner,
        "keyDigest": found.key_digest,
        "setup": _setup_named(found.setup),
        "selector": found.selector,
        "visibility": found.visibility,
        "inputs": found.inputs,
        "outputs": found.outputs,
        "fee": str(found.fee),
        "uri": found.uri,
    }


def route_states(deployed: Deployed) -> dict[str, RouteState]:
    """How the routes are of the verifiers that the address book knows, by selector."""
    from zkinfer.contracts.registration import SELECTOR
    from zkinfer.contracts.router import route_of

    selectors = (SELECTOR, *(one.selector for one in deployed.book.dedicated))
    return {"0x" + one.hex(): route_of(deployed.chain, deployed.router, one).state for one in selectors}


def _setup_named(digest: str) -> str:
    from zkinfer.circuits.digest import sha256
    from zkinfer.circuits.srs import CEREMONIES

    names = {"0x" + sha256(one.tau_g2).hex: one.name for one in CEREMONIES}
    return names.get(digest, digest)


def _request(deployed: Deployed, path: Path) -> dict[str, Any]:
    from zkinfer.cli.chain.request import placed_at

    placed = placed_at(deployed, path)
    entry = deployed.ledger.entry(placed.id)
    found: dict[str, Any] = {"request": placed.id, "state": entry.state, "expiry": placed.request.expiry}
    if deployed.registry.status(placed.request.listing) != "unknown":
        found["verifierRuns"] = deployed.registry.runs(placed.request.listing)
    if entry.state == "recorded":
        found |= {"recordedAt": entry.recorded_at, "outputDigest": entry.output_digest}
    return found
