"""The commands `zkinfer chain post` and `status`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    expand_options,
    open_chain,
    open_deployment,
    parse_address,
    parse_word,
    show_dry_run,
    show_sent,
    transactions_report,
    verifier_facts,
)
from zkinfer.cli.chain.request import read_own_request
from zkinfer.cli.console import exit_on_error, plain, print_facts, print_json, print_result, spelled_out
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from zkinfer.chain.deployment import Deployed
    from zkinfer.chain.post import Posting


_REMARKS = {"recorded": "outputs {}", "paid": "but the model was revoked"}


@expand_options
def post_command(
    attestation: Annotated[
        list[Path],
        typer.Argument(
            metavar="ATT.json...", help="Attestations made by `zkinfer prove --request`.", show_default=False
        ),
    ],
    request: Annotated[
        list[Path], typer.Option(help="The requests that they answer, in any order; repeatable.", show_default=False)
    ],
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Record proven answers on a chain, as many per transaction as fit. Posting is idempotent.

    Answers are compared with their requests first, then each transaction is simulated, then it is sent. Answers to
    refunded or expired requests are skipped, and reported as an error after the others were recorded.

    Example: zkinfer chain post answer.json --request request.json --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, payment), connection)
        from zkinfer.chain.post import match_answers, post_answers
        from zkinfer.verifier import Attestation

        placed = [read_own_request(deployed, path) for path in request]
        deployed.require_live_listings(one.request.listing for one in placed)
        answers = match_answers(deployed, (Attestation.read(path) for path in attestation), placed)
        posting = post_answers(deployed, answers)
        if deployed.chain.sends:
            _show(deployed, posting)
        else:
            show_dry_run(deployed.chain)
        posting.require_all()
        if as_json:
            records = [one.document for one in posting.outcomes]
            print_json({"ok": True, "records": records, **transactions_report(deployed.chain)})


def _show(deployed: Deployed, posting: Posting) -> None:
    for one in posting.outcomes:
        if not one.settled:
            print_result(f"[yellow]![/] {plain(one.request)} not recorded")
            continue
        state = f"{one.entry.state} before" if one.before == one.entry.state else one.entry.state
        remark = _REMARKS[one.entry.state].format(one.entry.output_digest)
        print_result(f"[green]✓[/] {plain(one.request)} {plain(state)}, {plain(remark)}")
    show_sent(deployed.chain)


_LABELS = {"test": "test deployment"}


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
        shown = spelled_out({name: value for name, value in report.items() if name not in ("verifiers", "guardians")})
        shown |= verifier_facts(report["verifiers"])
        shown |= {f"guardian of {selector}": account for selector, account in report["guardians"].items()}
        print_facts({_LABELS.get(name, name): value for name, value in shown.items()})
        if as_json:
            print_json({"ok": True, **report})


def _deployment(deployed: Deployed) -> dict[str, Any]:
    from zkinfer.contracts.errors import DeploymentError

    try:
        deployed.require_live()
        state = "code and routes as planned"
    except DeploymentError as err:
        state = err.cause
    return {
        "chainId": deployed.chain.id,
        "blockTime": f"{datetime.fromtimestamp(deployed.chain.time(), UTC):%Y-%m-%d %H:%M:%SZ}",
        "deployment": state,
        "verifiers": deployed.route_states(),
        "guardians": {selector: stop.guardian() for selector, stop in deployed.stops.items()},
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
