"""The commands `zkinfer chain register`, `verify-listing`, `fee`, `deprecate` and `revoke`."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    VerifierName,
    expand_options,
    open_chain,
    open_deployment,
    parse_coin,
    parse_word,
    selector_bytes,
    show_dry_run,
    show_sent,
    transactions_report,
)
from zkinfer.cli.compile import show_labels
from zkinfer.cli.console import exit_on_error, plain, print_detailed, print_facts, print_json, print_result, say
from zkinfer.cli.options import AcceptDevSetup, AcceptEngine, AsJson, CircuitFolder

if TYPE_CHECKING:
    from zkinfer.chain.deployment import Deployed
    from zkinfer.chain.listings import Check
    from zkinfer.circuits.manifest import Circuit

ListingName = Annotated[
    str,
    typer.Argument(
        parser=parse_word, metavar="LISTING", help="The listing, as printed by `register`.", show_default=False
    ),
]
_NO_SUCCESSOR = "0x" + "00" * 32


@expand_options
def verify_listing_command(
    listing: ListingName,
    model: Annotated[Path, typer.Option(help="Your own copy of the ONNX file.", show_default=False)],
    circuit: Annotated[
        Path, typer.Option(help="The circuit that the listing claims to be for; a folder.", show_default=False)
    ],
    connection: Connection,
    unsafe_accept_dev_setup: AcceptDevSetup = False,
    accept_engine: AcceptEngine = None,
    as_json: AsJson = False,
) -> None:
    """Check that a listing is for your model, before your contract relies on it.

    A contract cannot check that a verifying key belongs to a model, so anyone can register a bogus key. This command
    rebuilds the key from your ONNX file and the circuit's recipe and compares it with the chain.

    Example: zkinfer chain verify-listing 0x... --model digits.onnx --circuit digits.circuit --deployment 1.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection), connection)
        from zkinfer.chain.listings import verify_listing
        from zkinfer.circuits.home import Home
        from zkinfer.circuits.manifest import Circuit

        passed: list[Check] = []
        opened = Circuit.open(circuit)
        mark = "[yellow]~[/]" if opened.manifest.recipe.setup.is_insecure_dev else "[green]✓[/]"

        def on_check(check: Check) -> None:
            passed.append(check)
            print_detailed(f"{mark} {plain(check.what)}", str(check.found))

        found = verify_listing(
            deployed.chain,
            deployed.book,
            listing,
            opened,
            model,
            Home.from_environment(),
            unsafe_accept_dev_setup=unsafe_accept_dev_setup,
            accept_engines=accept_engine or (),
            observer=on_check,
        )
        print_facts({"publisher": found.publisher, "owner": found.owner, "fee": found.fee})
        show_labels(_labels(opened))
        print_result(f"{_listing_verdict(opened)} on chain {deployed.chain.id}: {listing}")
        if as_json:
            checks = [{"what": one.what, "found": _json_form(one.found)} for one in passed]
            said = {"checks": checks, "said": asdict(found), "labels": _labels(opened)}
            print_json({"ok": True, "listing": listing, **said})


def _labels(circuit: Circuit) -> tuple[str, ...]:
    from zkinfer.circuits.engines import labels_of

    return labels_of(circuit.manifest.recipe.engine)


def _listing_verdict(circuit: Circuit) -> str:
    if circuit.manifest.recipe.setup.is_insecure_dev:
        return "[bold red]listing of this model, but its answers are forgeable by anyone[/] (insecure-dev)"
    return "[bold green]listing of this model[/]"


def _json_form(found: object) -> object:
    """The JSON form of what a check found; layouts are dataclasses."""
    return asdict(found) if is_dataclass(found) and not isinstance(found, type) else found


@expand_options
def deprecate_command(
    listing: ListingName,
    connection: Connection,
    payment: Payment,
    successor: Annotated[
        str, typer.Option(parser=parse_word, metavar="LISTING", help="The listing to use instead.", show_default=False)
    ] = _NO_SUCCESSOR,
    as_json: AsJson = False,
) -> None:
    """Close a listing to new requests, as its owner; answers to open requests can still be recorded.

    Example: zkinfer chain deprecate 0x... --successor 0x... --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, payment), connection)
        deployed.registry.deprecate(listing, successor)
        _show_change(deployed, listing, "deprecated", as_json=as_json)


@expand_options
def revoke_command(
    listing: ListingName,
    connection: Connection,
    payment: Payment,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Revoke a listing permanently, as its owner: no answer can be recorded or acted on afterwards.

    Open fees can be refunded once their requests have expired, or immediately if the verifier is stopped; until then a
    proof still earns its prover's fee.

    Example: zkinfer chain revoke 0x... --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, payment), connection)
        if deployed.chain.sends and not yes and deployed.registry.status(listing) in ("active", "deprecated"):
            confirm(f"revoke {listing[:10]}", "no answer can be recorded under this listing afterwards.")
        deployed.registry.revoke(listing)
        _show_change(deployed, listing, "revoked", as_json=as_json)


@expand_options
def fee_command(
    listing: ListingName,
    amount: Annotated[int, typer.Argument(parser=parse_coin, metavar="AMOUNT", help="0.001ether, 5gwei, 0.")],
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Change the minimum price of an answer for future requests, as the listing's owner.

    Example: zkinfer chain fee 0x... 0.001ether --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, payment), connection)
        deployed.registry.set_fee(listing, amount)
        from zkinfer.contracts.transactions import in_ether

        _show_change(deployed, listing, f"costs {in_ether(amount)} per answer", as_json=as_json)


def confirm(phrase: str, consequence: str) -> None:
    """Ask the user to type a phrase; ends the command with exit code 1 if the answer differs."""
    say(f"[bold red]This cannot be undone:[/] {consequence}")
    if typer.prompt(f"Type '{phrase}' to continue", err=True) != phrase:
        say("nothing was sent")
        raise typer.Exit(1)


def _show_change(deployed: Deployed, listing: str, done: str, *, as_json: bool) -> None:
    chain = deployed.chain
    if not chain.sends:
        show_dry_run(chain)
    else:
        print_result(f"[green]✓[/] listing {listing} {done}" + ("" if chain.sent else ", as before"))
        show_sent(chain)
    if as_json:
        found = deployed.registry.listing(listing)
        report = {"ok": True, "listing": listing, "status": found.status, "fee": str(found.fee)}
        print_json({**report, **transactions_report(chain)})


@expand_options
def register_command(
    circuit: CircuitFolder,
    connection: Connection,
    payment: Payment,
    fee: Annotated[
        int, typer.Option(parser=parse_coin, metavar="AMOUNT", help="Minimum price of an answer, paid to you.")
    ] = 0,
    uri: Annotated[str, typer.Option(help="Where to find the ONNX file, the manifest and terms.")] = "",
    selector: VerifierName = None,
    as_json: AsJson = False,
) -> None:
    """Register a circuit under your account; consumers pin the resulting listing.

    Registration is idempotent, but a changed fee or URI is rejected. Proofs go to the deployment's verifier of the
    circuit's engine; each selector gives its own listing. Only test deployments accept circuits under insecure-dev.

    Example: zkinfer chain register digits.circuit --keystore me.json --fee 0.001ether
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        deployed = open_deployment(chain, connection)
        from zkinfer.chain import registration_of
        from zkinfer.circuits.manifest import Circuit

        opened = Circuit.open(circuit)
        registration = registration_of(opened, fee, uri, selector_bytes(selector))
        deployed.require_live(registration.selector)
        listing = deployed.registry.register(registration)
        if chain.sends:
            print_result(f"[green]✓[/] listing {listing}" + ("" if chain.sent else ", registered before"))
            show_sent(chain)
        else:
            print_result(f"listing {listing}")
            show_dry_run(chain)
        show_labels(_labels(opened))
        if as_json:
            report = {"ok": True, "listing": listing, "modelId": registration.model_id, "publisher": chain.address}
            report |= {"selector": "0x" + registration.selector.hex(), "labels": _labels(opened)}
            print_json({**report, **transactions_report(chain)})
