"""The commands `zkinfer chain route`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.models import confirm
from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    expand_options,
    open_chain,
    open_deployment,
    parse_address,
    parse_selector,
    parse_word,
    show_dry_run,
    show_sent,
    transactions_report,
)
from zkinfer.cli.console import exit_on_error, print_facts, print_json, print_result
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from zkinfer.chain.deployment import Deployed
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
    connection: Connection,
    payment: Payment,
    show: Show = False,
    as_json: AsJson = False,
) -> None:
    """Route an unused selector to a verifier: schedules the change, and executes it once it is due.

    Example: zkinfer chain route add 0x01020304 0x... --keystore proposer.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, None if show else payment), connection)
        from zkinfer.contracts.governance import route_addition
        from zkinfer.contracts.registry import is_routed, require_routable

        chain, router, key = deployed.chain, deployed.router, bytes.fromhex(selector[2:])
        require_routable(chain, key, verifier)
        done = is_routed(chain, router, key, verifier)
        report = _advance(deployed, route_addition(router, key, verifier), done=done, show=show)
        if as_json:
            print_json({"ok": True, **report, **transactions_report(deployed.chain)})


@app.command("remove")
@expand_options
def remove_command(
    selector: SelectorName,
    connection: Connection,
    payment: Payment,
    show: Show = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove the route of a selector permanently: schedules the change, and executes it once it is due.

    Example: zkinfer chain route remove 0x01020304 --keystore proposer.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, None if show else payment), connection)
        from zkinfer.contracts.governance import route_removal
        from zkinfer.contracts.registry import is_removed

        chain, router, key = deployed.chain, deployed.router, bytes.fromhex(selector[2:])
        done = is_removed(chain, router, key)
        if chain.sends and not (show or yes or done):
            confirm(f"remove {selector}", "once executed, no answer that needs this route can be recorded.")
        report = _advance(deployed, route_removal(router, key), done=done, show=show)
        if as_json:
            print_json({"ok": True, **report, **transactions_report(deployed.chain)})


@app.command("cancel")
@expand_options
def cancel_command(
    operation: Annotated[
        str,
        typer.Argument(
            parser=parse_word,
            metavar="OPERATION",
            help="The operation, as printed by `route add` or `route remove`.",
            show_default=False,
        ),
    ],
    connection: Connection,
    payment: Payment,
    show: Show = False,
    as_json: AsJson = False,
) -> None:
    """Cancel a scheduled change, including another proposer's; needs a proposer's account.

    The change can be scheduled again, and then waits for the delay again.

    Example: zkinfer chain route cancel 0x... --keystore proposer.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, None if show else payment), connection)
        chain, timelock, operation_id = deployed.chain, deployed.timelock, bytes.fromhex(operation[2:])
        calls = {"cancel": "0x" + timelock.cancel_calldata(operation_id).hex()}
        if not show:
            timelock.cancel(operation_id)
        if show or not chain.sends:
            print_facts({"timelock": timelock.address, **calls})
        if not chain.sends:
            show_dry_run(chain)
        elif not show:
            print_result(f"[green]✓[/] cancelled: {operation}")
        show_sent(chain)
        if as_json:
            report = {"timelock": timelock.address, "operation": operation, "state": timelock.state(operation_id)}
            print_json({"ok": True, **report, "calls": calls, **transactions_report(chain)})


def _advance(deployed: Deployed, operation: Operation, *, done: bool, show: bool) -> dict[str, Any]:
    """Advance an operation unless it is done or only shown; prints its state and returns the JSON form."""
    chain, timelock = deployed.chain, deployed.timelock
    calls = {name: "0x" + data.hex() for name, data in timelock.calls(operation).items()}
    operation_id = "0x" + timelock.id_of(operation).hex()
    if done:
        state: OperationState = "done"
    else:
        state = timelock.state(operation) if show else timelock.advance(operation)
    if show or not chain.sends:
        print_facts({"timelock": timelock.address, **calls})
    if not chain.sends:
        show_dry_run(chain)
    print_result(f"operation {operation_id}: {_state_text(timelock, operation, state)}")
    show_sent(chain)
    return {"timelock": timelock.address, "operation": operation_id, "state": state, "calls": calls}


def _state_text(timelock: Timelock, operation: Operation, state: OperationState) -> str:
    if state == "waiting":
        due = datetime.fromtimestamp(timelock.due(operation), UTC)
        return f"scheduled; can be executed from {due:%Y-%m-%d %H:%M:%SZ} on"
    return {"unset": "not scheduled yet", "ready": "due; can be executed", "done": "[green]✓[/] done"}[state]
