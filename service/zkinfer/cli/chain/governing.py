"""zkinfer chain deploy, verify-deployment, stop."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.access import book_path, open_chain, open_deployment
from zkinfer.cli.chain.options import Connection, Payment, expanded, parse_address, parse_word
from zkinfer.cli.chain.views import sending, show_dry_run, show_sent
from zkinfer.cli.console import answer, console, facts_table, failing_politely, plain, progress_display, say
from zkinfer.cli.options import AsJson, parse_period

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.contracts.book import AddressBook
    from zkinfer.contracts.chain import Chain

_NO_SALT = "0x" + "00" * 32


@expanded
def deploy_command(
    to: Connection,
    paid: Payment,
    guardian: Annotated[
        str | None, typer.Option(parser=parse_address, metavar="ADDRESS", help="May stop the verifier, for ever.")
    ] = None,
    proposer: Annotated[
        list[str] | None,
        typer.Option(
            parser=parse_address, metavar="ADDRESS", help="May change routes to verifiers, after the delay; repeatable."
        ),
    ] = None,
    delay: Annotated[
        timedelta | None,
        typer.Option(parser=parse_period, metavar="PERIOD", help="How long such a change waits. Default: 2d."),
    ] = None,
    test: Annotated[
        bool,
        typer.Option("--test", help="Take models under insecure-dev, whose proofs anybody can forge."),
    ] = False,
    salt: Annotated[
        str, typer.Option(parser=parse_word, metavar="WORD", help="Any 32 bytes: another salt is another deployment.")
    ] = _NO_SALT,
    as_json: AsJson = False,
) -> None:
    """Put the contracts on a chain, and write their addresses into the address book.

    Addresses follow from the code and the governance, so to deploy again creates what is missing and changes nothing
    else. Where there is an address book already, its governance is taken unless another is given.

    Example: zkinfer chain deploy --keystore me.json --guardian 0x... --proposer 0x...
    """
    with failing_politely(as_json=as_json):
        chain = open_chain(to, paid)
        from zkinfer.contracts.book import holds, write_book
        from zkinfer.contracts.deploying import deploy

        path = book_path(to, chain.id)
        book = _wanted(chain, path, guardian, proposer, delay or timedelta(days=2), test=test, salt=salt)
        holds(path, book)  # or there would be two deployments, and a file for one
        with progress_display(quiet=as_json) as display:
            parts = len(book.plan.parts)
            done: list[str] = []

            def on_part(name: str, _address: str, missing: bool) -> None:
                done.append(name)
                display.progress("deploy" if missing else "compare", len(done) / parts)

            made = deploy(chain, book.plan, on_part)
        if chain.sends:
            write_book(book, path)
        _show_deployed(chain, book, path, made)
        if as_json:
            report = {"ok": True, "chainId": chain.id, "created": made, "addresses": book.addresses}
            answer({**report, "addressBook": str(path), **sending(chain)})


def _wanted(
    chain: Chain,
    path: Path,
    guardian: str | None,
    proposers: list[str] | None,
    delay: timedelta,
    *,
    test: bool,
    salt: str,
) -> AddressBook:
    """The deployment that is asked for; on a chain of real worth, its governance must be named."""
    from zkinfer.contracts.book import AddressBook, read_book
    from zkinfer.contracts.deploying import Governance
    from zkinfer.contracts.signers import DEV_CHAINS

    if path.exists() and not (guardian or proposers or test or salt != _NO_SALT):
        book = read_book(path)
        chain.require_id(book.chain_id)
        return book
    if not (guardian and proposers) and chain.id not in DEV_CHAINS:
        raise typer.BadParameter("name who governs: --guardian ADDRESS and --proposer ADDRESS, two that are kept apart")
    own = chain.address
    governance = Governance(guardian or own, tuple(proposers or [own]), int(delay.total_seconds()), test)
    return AddressBook(chain.id, governance, bytes.fromhex(salt[2:]))


def _show_deployed(chain: Chain, book: AddressBook, path: Path, made: list[str]) -> None:
    if not chain.sends:
        console.print(facts_table({name: address for name, address in book.addresses.items() if name in made}))
        show_dry_run(chain)
        return
    console.print(facts_table(book.addresses))
    what = f"{len(made)} contracts created" if made else "all was there, nothing was sent"
    say(f"[green]✓[/] chain {chain.id}: {what}; {plain(path)}")
    show_sent(chain)
    if book.governance.test:
        say("[bold red]test deployment:[/] it takes models whose proofs anybody can forge.")


@expanded
def verify_command(to: Connection, as_json: AsJson = False) -> None:
    """Compare a deployment with the chain: code, owners, delay, route, and that nothing was stopped.

    Example: zkinfer chain verify-deployment --rpc https://... --deployment 1.json
    """
    with failing_politely(as_json=as_json):
        chain = open_chain(to)
        from zkinfer.contracts.book import read_book
        from zkinfer.contracts.deploying import verify_deployment

        book = read_book(book_path(to, chain.id))
        chain.require_id(book.chain_id)
        verify_deployment(chain, book.plan)
        console.print(facts_table(_facts(book)))
        say(f"[bold green]as planned[/] on chain {chain.id}")
        if as_json:
            answer({"ok": True, "chainId": chain.id, **_report(book)})


def _facts(book: AddressBook) -> dict[str, object]:
    governance = book.governance
    delay = timedelta(seconds=governance.delay)
    governed = {"guardian": governance.guardian, "proposers": ", ".join(governance.proposers), "delay": delay}
    return {**book.addresses, **governed, "test deployment": "yes" if governance.test else "no"}


def _report(book: AddressBook) -> dict[str, Any]:
    governance = book.governance
    return {
        "addresses": book.addresses,
        "guardian": governance.guardian,
        "proposers": list(governance.proposers),
        "delay": governance.delay,
        "test": governance.test,
    }


@expanded
def stop_command(
    to: Connection,
    paid: Payment,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop the verifier of a deployment, for ever, as its guardian.

    Nothing is recorded any more, and open fees can be taken back at once. A sound verifier needs a new route.

    Example: zkinfer chain stop --keystore guardian.json
    """
    with failing_politely(as_json=as_json):
        chain = open_chain(to, paid)
        deployed = open_deployment(chain, to, whole=False)
        if (live := deployed.stop.live()) and chain.sends and not yes:
            _confirm(chain.id)
        deployed.stop.stop()
        if live and not chain.sends:
            show_dry_run(chain)
        else:
            say(f"[bold red]stopped[/] on chain {chain.id}, for ever" + ("" if live else "; it was before"))
            show_sent(chain)
        if as_json:
            answer({"ok": True, "chainId": chain.id, "stoppedBefore": not live, **sending(chain)})


def _confirm(chain_id: int) -> None:
    say("[bold red]This cannot be undone:[/] nothing that needs this verifier will be recorded any more.")
    wanted = f"stop {chain_id}"
    if typer.prompt(f"Type '{wanted}' to go on", err=True) != wanted:
        say("nothing was sent")
        raise typer.Exit(1)
