"""zkinfer chain request, open, refund, withdraw."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.connect import Deployed, open_chain, open_deployment, registered_as
from zkinfer.cli.chain.options import Connection, Payment, System, expanded, parse_address, parse_coin
from zkinfer.cli.chain.views import sending, show_dry_run, show_sent
from zkinfer.cli.console import answer, failing_politely, plain, say
from zkinfer.cli.options import AsJson, CircuitFolder, parse_period

if TYPE_CHECKING:
    from zkinfer.chain import PlacedRequest

RequestFile = Annotated[
    Path, typer.Argument(metavar="REQUEST.json", help="A file that `zkinfer chain request` made.", show_default=False)
]
_NOTHING = "0x" + "00" * 20


@expanded
def request_command(
    circuit: CircuitFolder,
    out: Annotated[Path, typer.Option(help="The request to write; must not exist.", show_default=False)],
    to: Connection,
    paid: Payment,
    input_: Annotated[
        Path | None, typer.Option("--input", help="Ask about this input: .npz, .json or .csv, by input name.")
    ] = None,
    any_input: Annotated[bool, typer.Option("--any-input", help="Let the prover choose the input.")] = False,
    publisher: Annotated[
        str | None,
        typer.Option(parser=parse_address, metavar="ADDRESS", help="Who registered the circuit. Default: you."),
    ] = None,
    selector: System = "shared",
    consumer: Annotated[
        str | None,
        typer.Option(parser=parse_address, metavar="ADDRESS", help="The contract that will act. Default: you."),
    ] = None,
    expires_in: Annotated[
        timedelta | None,
        typer.Option(parser=parse_period, metavar="PERIOD", help="How long an answer is taken: 12h, 30d. Default: 1d."),
    ] = None,
    prover: Annotated[
        str, typer.Option(parser=parse_address, metavar="ADDRESS", help="Who is paid the prover's fee.")
    ] = _NOTHING,
    prover_fee: Annotated[
        int, typer.Option(parser=parse_coin, metavar="AMOUNT", help="What the prover is paid for a valid proof.")
    ] = 0,
    owner_fee: Annotated[
        int | None,
        typer.Option(parser=parse_coin, metavar="AMOUNT", help="What the owner is paid. Default: the listing's fee."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a model on a chain, and put the fees into escrow; the file that results says what is to be proven.

    The file is written before anything is sent: should the sending fail, `zkinfer chain open` goes on with it.

    Example: zkinfer chain request digits.circuit --input image.json --out request.json --keystore me.json
    """
    if any_input == (input_ is not None):
        raise typer.BadParameter("ask about one input with --input FILE, or about any with --any-input")
    if prover_fee and prover == _NOTHING:
        raise typer.BadParameter("name who is paid the prover's fee: --prover ADDRESS")
    with failing_politely(as_json=as_json):
        deployed = open_deployment(open_chain(to, paid), to)
        from zkinfer.circuits.storage import refuse_existing, write_atomically

        refuse_existing(out)
        placed = _placed(
            deployed,
            circuit,
            input_,
            listing_asked(deployed, circuit, selector, publisher or deployed.chain.address),
            consumer,
            expires_in or timedelta(days=1),
            prover=prover,
            prover_fee=prover_fee,
            owner_fee=owner_fee,
        )
        data = placed.to_bytes()
        if deployed.chain.sends:
            write_atomically(out, data)
        _open(deployed, placed, out, as_json=as_json)


def _placed(
    deployed: Deployed,
    circuit: Path,
    input_: Path | None,
    listing: str,
    consumer: str | None,
    lasts: timedelta,
    *,
    prover: str,
    prover_fee: int,
    owner_fee: int | None,
) -> PlacedRequest:
    """The request, in the name of the paying account; raises as `request_for`."""
    from zkinfer.chain import PlacedRequest, request_for
    from zkinfer.circuits.circuit import Circuit
    from zkinfer.circuits.tensor_files import read_inputs

    chain, opened = deployed.chain, Circuit.open(circuit)
    request = request_for(
        opened,
        None if input_ is None else read_inputs(input_, opened.manifest.program.inputs),
        listing=listing,
        consumer=consumer or chain.address,
        requester=chain.address,
        expiry=max(chain.time(), int(time.time())) + int(lasts.total_seconds()),
        prover=prover,
        prover_fee=prover_fee,
        owner_fee=deployed.registry.fee(listing) if owner_fee is None else owner_fee,
    )
    return PlacedRequest(request, chain.id, deployed.ledger.address)


def listing_asked(deployed: Deployed, circuit: Path, system: str, publisher: str) -> str:
    """A publisher's listing of a circuit, whose verifier runs; raises InputError where it is not registered."""
    from zkinfer.circuits.errors import InputError
    from zkinfer.contracts import listing_of

    registration = registered_as(circuit, system)
    listing = listing_of(registration, publisher)
    if deployed.registry.status(listing) == "unknown":
        raise InputError(
            f"{publisher} did not register {circuit} under the selector 0x{registration.selector.hex()}.",
            "Name who did with --publisher, or its verifier with --selector; or register it: zkinfer chain register",
        )
    deployed.require_asked([listing])
    return listing


@expanded
def open_command(request: RequestFile, to: Connection, paid: Payment, as_json: AsJson = False) -> None:
    """Open a request that lies in a file, and put its fees into escrow; to do it again changes nothing.

    Example: zkinfer chain open request.json --keystore me.json
    """
    with failing_politely(as_json=as_json):
        deployed = open_deployment(open_chain(to, paid), to)
        placed = placed_at(deployed, request)
        deployed.require_asked([placed.request.listing])
        _open(deployed, placed, request, as_json=as_json)


@expanded
def refund_command(request: RequestFile, to: Connection, paid: Payment, as_json: AsJson = False) -> None:
    """Credit the fees of a request without an answer to whom it names; anybody may, once it expired.

    Example: zkinfer chain refund request.json --keystore me.json
    """
    with failing_politely(as_json=as_json):
        chain = open_chain(to, paid)
        deployed = open_deployment(chain, to)
        placed = placed_at(deployed, request)
        deployed.ledger.refund(placed.request)
        _end(deployed, f"the fees of {placed.id} are credited to {placed.request.refund_to}")
        if as_json:
            answer({"ok": True, "request": placed.id, "refundTo": placed.request.refund_to, **sending(chain)})


@expanded
def withdraw_command(
    to: Connection,
    paid: Payment,
    receiver: Annotated[
        str | None, typer.Option("--to", parser=parse_address, metavar="ADDRESS", help="Who receives it. Default: you.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take out what the ledger has credited to your account.

    Example: zkinfer chain withdraw --keystore me.json
    """
    with failing_politely(as_json=as_json):
        chain = open_chain(to, paid)
        deployed = open_deployment(chain, to)
        from zkinfer.contracts.transactions import in_ether

        credit, taker = deployed.ledger.credit(chain.address), receiver or chain.address
        deployed.ledger.withdraw(taker)
        _end(deployed, f"{in_ether(credit)} to {taker}" if credit else "there was nothing to withdraw")
        if as_json:
            answer({"ok": True, "amount": str(credit), "to": taker, **sending(chain)})


def placed_at(deployed: Deployed, path: Path) -> PlacedRequest:
    """A request of this deployment's ledger; raises InputError for another's."""
    from zkinfer.chain import read_request
    from zkinfer.circuits.errors import InputError

    placed = read_request(path)
    deployed.chain.require_id(placed.chain_id)
    if placed.ledger != deployed.ledger.address:
        raise InputError(
            f"{path} is for the ledger at {placed.ledger}; this deployment's is at {deployed.ledger.address}.",
            "Give the address book of that deployment with --deployment.",
        )
    return placed


def _open(deployed: Deployed, placed: PlacedRequest, path: Path, *, as_json: bool) -> None:
    chain = deployed.chain
    deployed.ledger.request(placed.request)
    _end(deployed, f"request {placed.id}" + ("" if chain.sent else ", opened before"))
    if chain.sends:
        say(f"  {plain(path)}: prove it with [bold]zkinfer prove ... --request {plain(path)}[/]")
    if as_json:
        report = {"ok": True, "request": placed.id, "file": str(path), "fees": str(placed.request.fees)}
        answer({**report, "expiry": placed.request.expiry, **sending(chain)})


def _end(deployed: Deployed, done: str) -> None:
    if not deployed.chain.sends:
        show_dry_run(deployed.chain)
        return
    say(f"[green]✓[/] {plain(done)}")
    show_sent(deployed.chain)
