"""zkinfer chain register, status."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.access import open_chain, open_deployment, registered_as
from zkinfer.cli.chain.options import Connection, Payment, System, expanded, parse_address, parse_coin, parse_word
from zkinfer.cli.chain.views import sending, show_dry_run, show_sent
from zkinfer.cli.console import answer, console, facts_table, failing_politely, say
from zkinfer.cli.options import AsJson, CircuitFolder

if TYPE_CHECKING:
    from zkinfer.cli.chain.access import Deployed
    from zkinfer.contracts.routing import RouteState


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
    from zkinfer.contracts.routing import route_of

    selectors = (SELECTOR, *(one.selector for one in deployed.book.dedicated))
    return {"0x" + one.hex(): route_of(deployed.chain, deployed.router, one).state for one in selectors}


def _setup_named(digest: str) -> str:
    from zkinfer.circuits.digest import sha256
    from zkinfer.circuits.setups import CEREMONIES

    names = {"0x" + sha256(one.tau_g2).hex: one.name for one in CEREMONIES}
    return names.get(digest, digest)


def _request(deployed: Deployed, path: Path) -> dict[str, Any]:
    from zkinfer.cli.chain.asking import placed_at

    placed = placed_at(deployed, path)
    entry = deployed.ledger.entry(placed.id)
    found: dict[str, Any] = {"request": placed.id, "state": entry.state, "expiry": placed.request.expiry}
    if deployed.registry.status(placed.request.listing) != "unknown":
        found["verifierRuns"] = deployed.registry.runs(placed.request.listing)
    if entry.state == "recorded":
        found |= {"recordedAt": entry.recorded_at, "outputDigest": entry.output_digest}
    return found
