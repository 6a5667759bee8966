"""zkinfer chain post."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.connect import open_chain, open_deployment
from zkinfer.cli.chain.options import Connection, Payment, expanded
from zkinfer.cli.chain.request import placed_at
from zkinfer.cli.chain.views import sending, show_dry_run, show_sent
from zkinfer.cli.console import answer, failing_politely, plain, say
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zkinfer.chain import Answer, PlacedRequest
    from zkinfer.cli.chain.connect import Deployed
    from zkinfer.contracts.errors import RevertedError
    from zkinfer.verifier import Attestation

_OUTCOMES = {"recorded": "outputs {}", "paid": "but the model was revoked"}


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

    What can be compared without a chain is compared first, then the transaction is tried, then it is sent. Answers to
    requests that were refunded or have expired are left out and named at the end, as an error; the rest is recorded.

    Example: zkinfer chain post answer.json --request request.json --keystore me.json
    """
    with failing_politely(as_json=as_json):
        chain = open_chain(to, paid)
        deployed = open_deployment(chain, to)
        placed = {one.id: one for one in (placed_at(deployed, path) for path in request)}
        deployed.require_asked(one.request.listing for one in placed.values())
        answers = {found.id: found_answer for found, found_answer in _matched(deployed, attestation, placed)}
        before = {one: deployed.ledger.entry(one).state for one in answers}
        refused = _post(deployed, list(answers.values()))
        if chain.sends:
            _show(deployed, before)
        else:
            show_dry_run(chain)
        _require_all(deployed, answers, refused)
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


def _post(deployed: Deployed, answers: Sequence[Answer]) -> RevertedError | None:
    """Try every batch, whatever becomes of the others; the first refusal, if there was one."""
    from zkinfer.contracts.errors import RevertedError

    ledger, refused = deployed.ledger, None
    left = [(one.request, one.proof, one.instances) for one in answers if ledger.ended(one.request) is None]
    for batch in ledger.in_batches(left) if len(left) > 1 else [[one] for one in left]:
        try:
            if len(batch) == 1:
                ledger.record(*batch[0])
            else:
                ledger.record_batch(batch)
        except RevertedError as err:
            refused = refused or err
    return refused


def _require_all(deployed: Deployed, answers: Mapping[str, Answer], refused: RevertedError | None) -> None:
    """Raise what was refused, or TransactionFailedError that names the answers which nobody can record any more."""
    from zkinfer.contracts.errors import TransactionFailedError
    from zkinfer.contracts.ledger import TAKEN

    ended = {name: deployed.ledger.ended(one.request) for name, one in answers.items()}
    missed = [f"{name} ({how})" for name, how in ended.items() if how is not None and how not in TAKEN]
    if refused is not None:
        raise refused
    if missed:
        raise TransactionFailedError(
            f"No answer is taken any more to {', '.join(missed)}; of the others each was tried.",
            "Make a new request where an answer is still wanted.",
        )


def _show(deployed: Deployed, before: Mapping[str, str]) -> None:
    for request, state in before.items():
        entry = deployed.ledger.entry(request)
        if entry.state not in _OUTCOMES:
            say(f"[yellow]![/] {plain(request)} not recorded")
            continue
        said = f"{entry.state} before" if state == entry.state else entry.state
        found = _OUTCOMES[entry.state].format(entry.output_digest)
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
