"""zkinfer chain route add, remove: what the timelock does to the router."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.access import open_chain, open_deployment
from zkinfer.cli.chain.listings import confirm
from zkinfer.cli.chain.options import Connection, Payment, expanded, parse_address, parse_selector
from zkinfer.cli.chain.views import sending, show_dry_run, show_sent
from zkinfer.cli.console import answer, console, facts_table, failing_politely, say
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from zkinfer.cli.chain.access import Deployed
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.timelock import Operation, Timelock

app = typer.Typer(no_args_is_help=True, help="Change which verifier proofs go to, by the timelock.")
SelectorName = Annotated[
    str, typer.Argument(parser=parse_selector, metavar="SELECTOR", help="Of the proving system.", show_default=False)
]
Show = Annotated[
    bool, typer.Option("--show", help="Send nothing and need no account: print the calls, for a multisig.")
]


@app.command("add")
@expanded
def add_command(
    selector: SelectorName,
    verifier: Annotated[
        str,
        typer.Argument(parser=parse_address, metavar="ADDRESS", help="The verifier's stop.", show_default=False),
    ],
    to: Connection,
    paid: Payment,
    show: Show = False,
    as_json: AsJson = False,
) -> None:
    """Route a selector, which was never used, to a verifier. Schedules it; once it is due, the same command executes.

    Example: zkinfer chain route add 0x01020304 0x... --keystore proposer.json
    """
    with failing_politely(as_json=as_json):
        deployed = open_deployment(open_chain(to, None if show else paid), to, running=False)
        from zkinfer.contracts.timelock import route_added

        _require_verifier(deployed.chain, selector, verifier)
        operation = route_added(deployed.book.addresses["VerifierRouter"], bytes.fromhex(selector[2:]), verifier)
        _advance(deployed, operation, show=show, as_json=as_json)


@app.command("remove")
@expanded
def remove_command(
    selector: SelectorName,
    to: Connection,
    paid: Payment,
    show: Show = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: remove.")] = False,
    as_json: AsJson = False,
) -> None:
    """End the route of a selector, for ever. Schedules it; once it is due, the same command executes.

    Example: zkinfer chain route remove 0x01020304 --keystore proposer.json
    """
    with failing_politely(as_json=as_json):
        deployed = open_deployment(open_chain(to, None if show else paid), to, running=False)
        from zkinfer.contracts.timelock import route_removed

        if deployed.chain.sends and not (show or yes):
            confirm(f"remove {selector}", "nothing that needs this route will be recorded any more, once it is done.")
        operation = route_removed(deployed.book.addresses["VerifierRouter"], bytes.fromhex(selector[2:]))
        _advance(deployed, operation, show=show, as_json=as_json)


def _require_verifier(chain: Chain, selector: str, verifier: str) -> None:
    """Refuse now what the router would refuse after the delay, or what would make a route that is dead."""
    from zkinfer.contracts.errors import DeploymentError

    if not chain.code(verifier):
        raise DeploymentError(f"There is no contract at {verifier}.", "Deploy the verifier and its stop first.")
    found = "0x" + bytes(chain.read("EmergencyStop", verifier, "selector")).hex()
    if found != selector:
        raise DeploymentError(f"The verifier at {verifier} is one of {found}, not of {selector}.", "Name its selector.")
    if not chain.read("EmergencyStop", verifier, "live"):
        raise DeploymentError(f"The verifier at {verifier} was stopped, for ever.", "Route to one that runs.")


def _advance(deployed: Deployed, operation: Operation, *, show: bool, as_json: bool) -> None:
    """Do what is next: schedule, wait, or execute."""
    from zkinfer.contracts.timelock import Timelock

    chain, timelock = deployed.chain, Timelock(deployed.chain, deployed.book.addresses["TimelockController"])
    before, calls = timelock.state(operation), timelock.calls(operation)
    if not show and before == "unset":
        timelock.schedule(operation)
    elif not show and before == "ready":
        timelock.execute(operation)
    named = {name: "0x" + data.hex() for name, data in calls.items()}
    if show or not chain.sends:
        console.print(facts_table({"timelock": timelock.address, **named}))
    if not chain.sends:
        show_dry_run(chain)
    say(_told(timelock, operation))
    show_sent(chain)
    if as_json:
        report = {"ok": True, "timelock": timelock.address, "operation": "0x" + timelock.id_of(operation).hex()}
        answer({**report, "state": timelock.state(operation), "calls": named, **sending(chain)})


def _told(timelock: Timelock, operation: Operation) -> str:
    state = timelock.state(operation)
    if state == "waiting":
        due = datetime.fromtimestamp(timelock.due(operation), UTC)
        return f"scheduled; can be executed from {due:%Y-%m-%d %H:%M:%SZ} on"
    return {"unset": "not scheduled yet", "ready": "due; can be executed", "done": "[green]✓[/] done"}[state]
