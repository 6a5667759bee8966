"""The commands `zkinfer chain deploy`, `verify-deployment` and `stop`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.models import confirm
from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    book_path,
    expand_options,
    open_chain,
    open_deployment,
    parse_address,
    parse_selector,
    parse_word,
    show_dry_run,
    show_sent,
    transactions_report,
    verifier_facts,
)
from zkinfer.cli.console import exit_on_error, plain, print_facts, print_json, print_result, progress_display, say
from zkinfer.cli.options import AsJson, parse_period

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.chain.deployment import Deployed
    from zkinfer.contracts.address_book import AddressBook
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.deploy import Governance
    from zkinfer.contracts.governance import GovernanceState
    from zkinfer.contracts.registry import EmergencyStop, RouteState

_NO_SALT = "0x" + "00" * 32


@expand_options
def deploy_command(
    connection: Connection,
    payment: Payment,
    guardian: Annotated[
        str | None,
        typer.Option(parser=parse_address, metavar="ADDRESS", help="Account that may stop each verifier permanently."),
    ] = None,
    proposer: Annotated[
        list[str] | None,
        typer.Option(
            parser=parse_address,
            metavar="ADDRESS",
            help="Account that may change routes to verifiers, after the delay; repeatable.",
        ),
    ] = None,
    delay: Annotated[
        timedelta | None,
        typer.Option(parser=parse_period, metavar="PERIOD", help="Delay of a route change. Default: 2d."),
    ] = None,
    unsafe_governance: Annotated[
        bool,
        typer.Option("--unsafe-governance", help="Allow a delay of zero, or a guardian who is also a proposer."),
    ] = False,
    test: Annotated[
        bool,
        typer.Option("--test", help="Accept models under insecure-dev, whose proofs anyone can forge."),
    ] = False,
    salt: Annotated[
        str,
        typer.Option(parser=parse_word, metavar="WORD", help="Any 32 bytes; another salt gives another deployment."),
    ] = _NO_SALT,
    as_json: AsJson = False,
) -> None:
    """Deploy the contracts and write their addresses into the address book.

    Every deployment has a verifier for each engine, behind a stop of its own. Deployment is idempotent: addresses are
    derived from code and governance, and only missing contracts are created. An address book keeps its governance.

    Example: zkinfer chain deploy --keystore me.json --guardian 0x... --proposer 0x...
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        from zkinfer.contracts.address_book import is_of_deployment, write_book
        from zkinfer.contracts.deploy import deploy

        path = book_path(connection, chain.id)
        book = _requested_book(chain, path, guardian, proposer, delay, test=test, salt=salt)
        if not unsafe_governance:
            _require_safe_governance(chain, book.governance)
        is_of_deployment(path, book)  # refuses to overwrite the address book of another deployment
        with progress_display(quiet=as_json) as display:
            parts = len(book.plan.parts)
            done: list[str] = []

            def on_part(name: str, _address: str, missing: bool) -> None:
                done.append(name)
                display.progress("deploy" if missing else "compare", len(done) / parts)

            made = deploy(chain, book.plan, on_part)
        if chain.sends:
            write_book(book, path)
        verifiers = _route_states(chain, book)
        _show_deployed(chain, book, path, made, verifiers)
        if as_json:
            report = {"ok": True, "chainId": chain.id, "created": made, "addresses": book.addresses}
            report["verifiers"] = verifiers
            print_json({**report, "addressBook": str(path), **transactions_report(chain)})


def _requested_book(
    chain: Chain,
    path: Path,
    guardian: str | None,
    proposers: list[str] | None,
    delay: timedelta | None,
    *,
    test: bool,
    salt: str,
) -> AddressBook:
    """The address book of the requested deployment; on a production chain, its governance must be given."""
    from zkinfer.contracts.address_book import AddressBook, read_book
    from zkinfer.contracts.deploy import Governance
    from zkinfer.contracts.signers import DEV_CHAINS

    if path.exists() and not (guardian or proposers or test or salt != _NO_SALT):
        book = read_book(path)
        chain.require_id(book.chain_id)
        _require_same_delay(path, book, delay)
        return book
    if not (guardian and proposers) and chain.id not in DEV_CHAINS:
        raise typer.BadParameter("this chain needs --guardian ADDRESS and --proposer ADDRESS, two different accounts")
    own, delay = chain.address, timedelta(days=2) if delay is None else delay
    governance = Governance(guardian or own, tuple(proposers or [own]), int(delay.total_seconds()), test)
    return AddressBook(chain.id, governance, bytes.fromhex(salt[2:]))


def _require_same_delay(path: Path, book: AddressBook, delay: timedelta | None) -> None:
    from zkinfer.contracts.errors import AddressBookError

    planned = timedelta(seconds=book.governance.delay)
    if delay not in (None, planned):
        raise AddressBookError(
            f"The deployment of {path} was made with a delay of {planned}, not of {delay}.",
            "Only its timelock can change that (updateDelay). Another deployment needs another --deployment FILE.",
        )


def _require_safe_governance(chain: Chain, governance: Governance) -> None:
    """On a production chain, require a delay and a guardian who is not a proposer; raises typer.BadParameter."""
    from zkinfer.contracts.signers import DEV_CHAINS

    if chain.id in DEV_CHAINS:
        return
    if governance.delay == 0:
        raise typer.BadParameter(
            "without a delay, route changes take effect without notice; use --unsafe-governance to allow that"
        )
    if governance.guardian in governance.proposers:
        raise typer.BadParameter("the guardian must not be a proposer; use --unsafe-governance to allow that")


def _route_states(chain: Chain, book: AddressBook) -> dict[str, RouteState]:
    """The state of each verifier of a deployment, by selector; empty before the deployment exists."""
    from zkinfer.chain.deployment import Deployed

    return Deployed(chain, book).route_states() if chain.code(book.addresses["VerifierRouter"]) else {}


def _show_deployed(
    chain: Chain, book: AddressBook, path: Path, made: list[str], verifiers: dict[str, RouteState]
) -> None:
    if not chain.sends:
        print_facts({name: address for name, address in book.addresses.items() if name in made})
        show_dry_run(chain)
        return
    print_facts({**book.addresses, **verifier_facts(verifiers)})
    what = f"{len(made)} contracts created" if made else "already deployed, nothing was sent"
    print_result(f"[green]✓[/] chain {chain.id}: {what}; {plain(path)}")
    show_sent(chain)
    if book.governance.test:
        say("[bold red]test deployment:[/] it accepts models whose proofs anyone can forge.")


@expand_options
def verify_command(
    connection: Connection,
    accept_governance: Annotated[
        bool,
        typer.Option(
            "--accept-governance",
            help="Record the current governance in the address book as the expected one.",
        ),
    ] = False,
    selector: Annotated[
        str | None,
        typer.Option(
            parser=parse_selector,
            metavar="SELECTOR",
            help="Require only this verifier to be live: an engine's name, or a selector. Default: all of them.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a deployment with the chain: code, routes, governance, and whether its verifiers are live.

    The holders of the timelock's roles are read from event logs, so the node must keep old logs.

    Example: zkinfer chain verify-deployment --rpc https://... --deployment 1.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection)
        from zkinfer.contracts.address_book import accept_powers
        from zkinfer.contracts.governance import read_governance, verify_governance

        deployed, path = open_deployment(chain, connection), book_path(connection, chain.id)
        book = deployed.book
        deployed.require_live(*([bytes.fromhex(selector[2:])] if selector else []))
        if accept_governance:
            found = read_governance(chain, book.plan)
            accept_powers(book, path, found.powers)
        else:
            found = verify_governance(chain, book.plan, book.accepted)
        _show_verified(deployed, found, path if accept_governance else None)
        if as_json:
            report = {"ok": True, "chainId": chain.id, "addresses": book.addresses, "test": book.governance.test}
            print_json(
                {**report, "verifiers": deployed.route_states(), **asdict(found.powers), "offeredTo": found.offers}
            )


def _show_verified(deployed: Deployed, found: GovernanceState, accepted: Path | None) -> None:
    chain, book = deployed.chain, deployed.book
    powers, delay = found.powers, timedelta(seconds=found.powers.delay)
    lists = {name: ", ".join(accounts) for name, accounts in asdict(powers).items() if isinstance(accounts, tuple)}
    guardians = {"guardian, ezkl": powers.ezkl_guardian, "guardian, Ashlar": powers.ashlar_guardian}
    facts = {**guardians, "router's owner": powers.router_owner, "delay": delay, **lists}
    facts |= verifier_facts(deployed.route_states())
    print_facts({**book.addresses, **facts, "test deployment": "yes" if book.governance.test else "no"})
    for name, account in found.offers.items():
        print_result(f"[bold yellow]pending:[/] {account} can accept the role {name.replace('_', ' ')}")
    if accepted is None:
        print_result(f"[bold green]governance as {'accepted' if book.accepted else 'planned'}[/] on chain {chain.id}")
    else:
        print_result(f"[green]✓[/] the governance on chain {chain.id} is recorded in {plain(accepted)}")


@expand_options
def stop_command(
    verifier: Annotated[
        str,
        typer.Argument(
            parser=parse_selector,
            metavar="VERIFIER",
            help="The verifier to stop: an engine's name, or a selector (0x...).",
            show_default=False,
        ),
    ],
    connection: Connection,
    payment: Payment,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop a verifier of a deployment permanently, as its guardian.

    No answer that needs it can be recorded afterwards, and open fees can be refunded immediately. Models go on under
    the verifier of another engine. A replacement verifier needs a new route.

    Example: zkinfer chain stop ezkl --keystore guardian.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        deployed = open_deployment(chain, connection)
        stop = _stop_of(deployed, verifier)
        if (live := stop.live()) and chain.sends and not yes:
            confirm(f"stop {verifier}", "no answer that needs this verifier can be recorded afterwards.")
        stop.stop()
        if live and not chain.sends:
            show_dry_run(chain)
        else:
            print_result(
                f"[bold red]stopped[/] on chain {chain.id}, permanently" + ("" if live else "; it was already stopped")
            )
            show_sent(chain)
        if as_json:
            print_json(
                {
                    "ok": True,
                    "chainId": chain.id,
                    "stop": stop.address,
                    "stoppedBefore": not live,
                    **transactions_report(chain),
                }
            )


def _stop_of(deployed: Deployed, selector: str) -> EmergencyStop:
    """The emergency stop of a routed verifier, also if the route was removed; raises DeploymentError."""
    from zkinfer.contracts.errors import DeploymentError
    from zkinfer.contracts.registry import EmergencyStop, route_of

    route = route_of(deployed.chain, deployed.router, bytes.fromhex(selector[2:]))
    if route.state == "unused":
        raise DeploymentError(f"There is no verifier {selector} on chain {deployed.chain.id}.", "Check the selector.")
    return EmergencyStop(deployed.chain, route.verifier)
