"""The group `zkinfer works till`: the account of a work, which owns listings and receives royalties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    expand_options,
    open_chain,
    open_deployment,
    parse_address,
    parse_coin,
    parse_word,
)
from zkinfer.cli.console import exit_on_error
from zkinfer.cli.options import AsJson
from zkinfer.cli.works.options import Work, WorksAddress, clients, finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.chain.deployment import Deployed
    from zkinfer.contracts.tills import Till

app = typer.Typer(no_args_is_help=True, help="A work's till: it owns listings of models, and receives royalties.")
Listing = Annotated[
    str, typer.Option(parser=parse_word, metavar="ID", help="The listing of a model.", show_default=False)
]


@app.command("open")
@expand_options
def open_command(
    work: Work, works: WorksAddress, connection: Connection, payment: Payment, as_json: AsJson = False
) -> None:
    """Create a work's till, whose address was known before. Re-running is idempotent.

    Example: zkinfer works till open 0x12... --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        contract, _ = clients(chain, works)
        contract.open_till(work)
        finish(chain, {"till": contract.till_of(work)}, as_json=as_json)


@app.command("sweep")
@expand_options
def sweep_command(
    work: Work, works: WorksAddress, connection: Connection, payment: Payment, as_json: AsJson = False
) -> None:
    """Pay the coin in a till to its work, such as royalties of marketplaces. Anybody may."""
    _act(work, works, connection, payment, lambda till, _: till.sweep(), as_json=as_json)


@app.command("collect")
@expand_options
def collect_command(
    work: Work, works: WorksAddress, connection: Connection, payment: Payment, as_json: AsJson = False
) -> None:
    """Withdraw a till's fees from the ledger, and pay them to its work. Anybody may."""
    _act(work, works, connection, payment, lambda till, at: till.collect(at.ledger.address), as_json=as_json)


@app.command("accept")
@expand_options
def accept_command(
    work: Work, listing: Listing, works: WorksAddress, connection: Connection, payment: Payment, as_json: AsJson = False
) -> None:
    """Let a work's till own your model's listing: its fees are the work's income from then on.

    Sends two transactions: the listing's owner offers it to the till, and the work's owner, who must be the same
    account, accepts it. Re-running is idempotent.

    Example: zkinfer works till accept 0x12... --listing 0x78... --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, payment), connection)
        contract, _ = clients(deployed.chain, works)
        till = contract.till_of(work)
        contract.open_till(work)
        registry = deployed.registry
        if registry.owner_of(listing) != till:
            registry.offer_ownership(listing, till)
            _till(deployed, till).accept(registry.address, listing)
        finish(deployed.chain, {"till": till, "listing": listing}, as_json=as_json)


@app.command("fee")
@expand_options
def fee_command(
    work: Work,
    listing: Listing,
    amount: Annotated[
        int, typer.Argument(parser=parse_coin, metavar="AMOUNT", help="The new fee.", show_default=False)
    ],
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Change the fee of a listing that a till owns, as the work's owner."""
    _act(
        work,
        works,
        connection,
        payment,
        lambda till, at: till.set_fee(at.registry.address, listing, amount),
        as_json=as_json,
    )


@app.command("deprecate")
@expand_options
def deprecate_command(
    work: Work,
    listing: Listing,
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    successor: Annotated[
        str, typer.Option(parser=parse_word, metavar="ID", help="The listing to use instead.", show_default="none")
    ] = "0x" + "00" * 32,
    as_json: AsJson = False,
) -> None:
    """Take no more requests for a listing that a till owns, as the work's owner. Recorded answers stay sound."""
    _act(
        work,
        works,
        connection,
        payment,
        lambda till, at: till.deprecate(at.registry.address, listing, successor),
        as_json=as_json,
    )


@app.command("revoke")
@expand_options
def revoke_command(
    work: Work, listing: Listing, works: WorksAddress, connection: Connection, payment: Payment, as_json: AsJson = False
) -> None:
    """Revoke a listing that a till owns, as the work's owner, for ever."""
    _act(work, works, connection, payment, lambda till, at: till.revoke(at.registry.address, listing), as_json=as_json)


@app.command("release")
@expand_options
def release_command(
    work: Work,
    listing: Listing,
    to: Annotated[str, typer.Option(parser=parse_address, metavar="ADDRESS", help="The next owner.")],
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Offer a listing that a till owns to another account: the work and its parents earn from it no more."""
    _act(
        work,
        works,
        connection,
        payment,
        lambda till, at: till.offer_ownership(at.registry.address, listing, to),
        as_json=as_json,
    )


def _act(
    work: int,
    works: str,
    connection: Connection,
    payment: Payment,
    action: Callable[[Till, Deployed], Any],
    *,
    as_json: bool,
) -> None:
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, payment), connection)
        contract, market = clients(deployed.chain, works)
        address = contract.till_of(work)
        action(_till(deployed, address), deployed)
        amounts = {"received": market.received(work)}
        finish(deployed.chain, {"till": address}, as_json=as_json, amounts=amounts)


def _till(deployed: Deployed, address: str) -> Till:
    from zkinfer.contracts.tills import Till

    return Till(deployed.chain, address)
