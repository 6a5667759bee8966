"""The command `zkinfer chain post`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.connect import open_chain, open_deployment, show_dry_run, show_sent, transactions_report
from zkinfer.cli.chain.options import Connection, Payment, expand_options
from zkinfer.cli.chain.request import read_own_request
from zkinfer.cli.console import exit_on_error, plain, print_json, print_result
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
