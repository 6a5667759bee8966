"""zkinfer chain post."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.access import open_chain, open_deployment
from zkinfer.cli.chain.asking import placed_at
from zkinfer.cli.chain.options import Connection, Payment, expanded
from zkinfer.cli.chain.views import sending, show_dry_run, show_sent
from zkinfer.cli.console import answer, failing_politely, plain, say
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zkinfer.chain import Answer, PlacedRequest
    from zkinfer.cli.chain.access import Deployed
    from zkinfer.verifier import Attestation


@expanded
def post_command(
    attestation: Annotated[
        list[Path],
        typer.Argument(metavar="ATT.json...", help="Files that `zkinfer prove --request` made.", show_default=False),
    ],
    request: Annotated[
        list[Path], typer.Option(help="The request that each answers, in any order; repeatable.", show_default=False)
    ],
    to: Connection,
    paid: Payment,
    as_json: AsJson = False,
) -> None:
    """Record proven answers on a chain, as many in one transaction as fit; to post again changes nothing.

    What can be compared without a chain is compared first, then the transaction is tried, then it is sent.

    Example: zkinfer chain post answer.json --request request.json --keystore me.json
    """
    with failing_politely(as_json=as_json):
        chain = open_chain(to, paid)
        deployed = open_deployment(chain, to)
        placed = {one.id: one for one in (placed_at(deployed, path) for path in request)}
        answers = {found.id: found_answer for found, found_answer in _matched(deployed, attestation, placed)}
        before = {one: deployed.ledger.entry(one).state for one in answers}
        _post(deployed, [one for name, one in answers.items() if before[name] != "recorded"])
        if chain.sends:
            _show(deployed, before)
        else:
            show_dry_run(chain)
        if as_json:
            answer({"ok": True, "records": _report(deployed, before), **sending(chain)})


def _matched(
    deployed: Deployed, paths: Sequence[Path], placed: dict[str, PlacedRequest]
) -> list[tuple[PlacedRequest, Answer]]:
    """Each attestation with the request that it names; raises InputError or RefusedError where they do not fit."""
    from zkinfer.chain import require_answer
    from zkinfer.circuits.errors import InputError
    from zkinfer.verifier import Attestation

    found, left = [], dict(placed)
    for path in paths:
        attested = Attestation.read(path)
        asked = left.pop(attested.predicate.context.request_id, None)
        if asked is None:
            raise InputError(
                f"{path} answers the request {attested.predicate.context.request_id}, which is not given.",
                "Give its file with --request, once.",
            )
        _require_model(deployed, attested, asked)
        found.append((asked, require_answer(attested, asked.request, asked.chain_id, asked.ledger)))
    if left:
        raise InputError(f"No attestation answers the request {next(iter(left))}.", "Give one for each --request.")
    return found


def _require_model(deployed: Deployed, attested: Attestation, asked: PlacedRequest) -> None:
    from zkinfer.verifier import CircuitMismatchError

    registered = deployed.registry.model_id(asked.request.listing)
    claimed = attested.predicate.circuit.identity.model_id
    if registered != claimed:
        raise CircuitMismatchError(
            f"The request is to the model {registered}; the attestation is of {claimed}.", "Prove with that circuit."
        )


def _post(deployed: Deployed, answers: Sequence[Answer]) -> None:
    posted = [(one.request, one.proof, one.instances) for one in answers]
    for batch in deployed.ledger.in_batches(posted) if len(posted) > 1 else [posted]:
        if len(batch) == 1:
            deployed.ledger.record(*batch[0])
        elif batch:
            deployed.ledger.record_batch(batch)


def _show(deployed: Deployed, before: Mapping[str, str]) -> None:
    for request, state in before.items():
        entry = deployed.ledger.entry(request)
        said = f"{entry.state} before" if state == entry.state else entry.state
        found = f"outputs {entry.output_digest}" if entry.state == "recorded" else "but the model was revoked"
        say(f"[green]✓[/] {plain(request)} {plain(said)}, {plain(found)}")
    show_sent(deployed.chain)


def _report(deployed: Deployed, before: Mapping[str, str]) -> list[dict[str, Any]]:
    entries = {request: deployed.ledger.entry(request) for request in before}
    return [
        {
            "request": request,
            "state": entry.state,
            "recordedAt": entry.recorded_at,
            "outputDigest": entry.output_digest,
            "recordedBefore": before[request] == "recorded",
        }
        for request, entry in entries.items()
    ]
