"""The command `zkinfer chain status`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.connect import open_chain, open_deployment
from zkinfer.cli.chain.options import Connection, expand_options, parse_address, parse_word
from zkinfer.cli.chain.request import read_own_request
from zkinfer.cli.console import exit_on_error, print_facts, print_json, spelled_out
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from zkinfer.chain.deployment import Deployed

_LABELS = {"runs": "shared verifier runs", "test": "test deployment"}


@expand_options
def status_command(
    connection: Connection,
    listing: Annotated[str | None, typer.Option(parser=parse_word, metavar="WORD", help="Show this listing.")] = None,
    request: Annotated[
        Path | None, typer.Option(help="Show this request, a file made by `zkinfer chain request`.")
    ] = None,
    credit_of: Annotated[
        str | None,
        typer.Option(parser=parse_address, metavar="ADDRESS", help="Show the amount that this account can withdraw."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a deployment and the state of its verifiers; optionally a listing, a request and a credit.

    Example: zkinfer chain status --request request.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection)
        deployed = open_deployment(chain, connection)
        report = _deployment(deployed)
        report |= {} if listing is None else _listing(deployed, listing)
        report |= {} if request is None else _request(deployed, request)
        report |= {} if credit_of is None else {"credit": str(deployed.ledger.credit(credit_of))}
        verifiers = ", ".join(f"{selector} {state}" for selector, state in report["verifiers"].items())
        shown = spelled_out({**report, "verifiers": verifiers})
        print_facts({_LABELS.get(name, name): value for name, value in shown.items()})
        if as_json:
            print_json({"ok": True, **report})


def _deployment(deployed: Deployed) -> dict[str, Any]:
    from zkinfer.contracts.deploy import SHARED_SELECTOR
    from zkinfer.contracts.errors import DeploymentError

    try:
        deployed.require_live(SHARED_SELECTOR)
        state = "code and route as planned"
    except DeploymentError as err:
        state = err.cause
    return {
        "chainId": deployed.chain.id,
        "blockTime": f"{datetime.fromtimestamp(deployed.chain.time(), UTC):%Y-%m-%d %H:%M:%SZ}",
        "deployment": state,
        "runs": deployed.stop.live(),
        "verifiers": deployed.route_states(),
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
        "verifierRuns": deployed.registry.verifier_is_live(listing),
        "modelId": found.model_id,
        "publisher": found.publisher,
        "owner": found.owner,
        "keyDigest": found.key_digest,
        "setup": _ceremony_of(found.setup),
        "selector": found.selector,
        "layout": {
            "visibility": found.layout.visibility,
            "inputWidth": found.layout.input_width,
            "inputs": found.layout.inputs,
            "outputs": found.layout.outputs,
        },
        "fee": str(found.fee),
        "uri": found.uri,
    }


def _ceremony_of(digest: str) -> str:
    from zkinfer.circuits.digest import sha256
    from zkinfer.circuits.srs import CEREMONIES

    names = {"0x" + sha256(one.tau_g2).hex: one.name for one in CEREMONIES}
    return names.get(digest, digest)


def _request(deployed: Deployed, path: Path) -> dict[str, Any]:
    placed = read_own_request(deployed, path)
    entry = deployed.ledger.entry(placed.id)
    found: dict[str, Any] = {"request": placed.id, "state": entry.state, "expiry": placed.request.expiry}
    if deployed.registry.status(placed.request.listing) != "unknown":
        found["verifierRuns"] = deployed.registry.verifier_is_live(placed.request.listing)
    if entry.state == "recorded":
        found |= {"recordedAt": entry.recorded_at, "outputDigest": entry.output_digest}
    return found
