"""The commands `zkinfer chain request`, `open`, `refund` and `withdraw`."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    VerifierName,
    expand_options,
    open_chain,
    open_deployment,
    parse_address,
    parse_coin,
    selector_bytes,
    show_dry_run,
    show_sent,
    transactions_report,
)
from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, say, say_note
from zkinfer.cli.options import AsJson, CircuitFolder, parse_period

if TYPE_CHECKING:
    from zkinfer.chain import PlacedRequest
    from zkinfer.chain.deployment import Deployed
    from zkinfer.circuits.manifest import Circuit

RequestFile = Annotated[
    Path, typer.Argument(metavar="REQUEST.json", help="A request made by `zkinfer chain request`.", show_default=False)
]
NewRequest = Annotated[
    Path,
    typer.Option(
        help="The request file to write. If it exists, it must hold the same request, which is continued.",
        show_default=False,
    ),
]
InputFile = Annotated[
    Path | None,
    typer.Option("--input", help="Request the answer to this input: .npz, .json or .csv, by input name."),
]
AnyInput = Annotated[bool, typer.Option("--any-input", help="Let the prover choose the input.")]
Publisher = Annotated[
    str | None,
    typer.Option(
        parser=parse_address, metavar="ADDRESS", help="The account that registered the circuit. Default: yours."
    ),
]
Consumer = Annotated[
    str | None,
    typer.Option(
        parser=parse_address, metavar="ADDRESS", help="The contract that will use the answer. Default: your account."
    ),
]
ExpiresIn = Annotated[
    timedelta | None,
    typer.Option(parser=parse_period, metavar="PERIOD", help="Time until the request expires: 12h, 30d. Default: 1d."),
]
ProverAccount = Annotated[
    str, typer.Option(parser=parse_address, metavar="ADDRESS", help="The account that gets the prover's fee.")
]
ProverFee = Annotated[
    int, typer.Option(parser=parse_coin, metavar="AMOUNT", help="Fee of the prover for a valid proof.")
]
OwnerFee = Annotated[
    int | None,
    typer.Option(parser=parse_coin, metavar="AMOUNT", help="Fee of the model's owner. Default: the listing's fee."),
]
_ZERO_ADDRESS = "0x" + "00" * 20
_CLOCK_SLACK = 60  # seconds between the clocks of the chain, this machine and its files


@expand_options
def request_command(
    circuit: CircuitFolder,
    out: NewRequest,
    connection: Connection,
    payment: Payment,
    input_: InputFile = None,
    any_input: AnyInput = False,
    publisher: Publisher = None,
    selector: VerifierName = None,
    consumer: Consumer = None,
    expires_in: ExpiresIn = None,
    prover: ProverAccount = _ZERO_ADDRESS,
    prover_fee: ProverFee = 0,
    owner_fee: OwnerFee = None,
    as_json: AsJson = False,
) -> None:
    """Request an answer on a chain and put the fees into escrow; writes the request file for the prover.

    The file is written before the transaction is sent. If sending fails, run the command again: a file with the same
    request is continued, and one with another request is refused.

    Example: zkinfer chain request digits.circuit --input image-1.json --out request.json --keystore me.json
    """
    if any_input == (input_ is not None):
        raise typer.BadParameter("give either --input FILE or --any-input")
    if prover_fee and prover == _ZERO_ADDRESS:
        raise typer.BadParameter("a prover's fee needs --prover ADDRESS")
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, payment), connection)
        from zkinfer.circuits.manifest import Circuit
        from zkinfer.circuits.storage import write_atomically

        opened = Circuit.open(circuit)
        placed = _build_request(
            deployed,
            opened,
            input_,
            deployed.listing_of(opened, publisher or deployed.chain.address, selector_bytes(selector)),
            consumer,
            expires_in or timedelta(days=1),
            prover=prover,
            prover_fee=prover_fee,
            owner_fee=owner_fee,
        )
        if out.exists():
            placed = _same_request(deployed, out, placed)
        elif deployed.chain.sends:
            write_atomically(out, placed.to_bytes())
        else:
            placed.to_bytes()  # refuses what could not be written
        _open(deployed, placed, out, as_json=as_json)


def _same_request(deployed: Deployed, path: Path, placed: PlacedRequest) -> PlacedRequest:
    """The request in an existing file, if it differs from this one in nothing but the salt and the time of asking.

    Raises:
        InputError: the file holds another request, one that has expired, or none.
        WrongChainError: it is for another ledger.
    """
    from dataclasses import asdict

    from zkinfer.circuits.errors import InputError

    found = read_own_request(deployed, path)
    old, new = asdict(found.request), asdict(placed.request)
    differing = [name for name in old if name not in ("salt", "expiry") and old[name] != new[name]]
    asked_after, age = new["expiry"] - old["expiry"], time.time() - path.stat().st_mtime
    if not -_CLOCK_SLACK <= asked_after <= age + _CLOCK_SLACK:
        differing.append("expiry")
    if differing:
        name = differing[0]
        raise InputError(
            f"{path} holds another request: its {name.replace('_', ' ')} is {old[name]}, not {new[name]}.",
            "Give another --out, or continue that one: zkinfer chain open.",
        )
    if found.request.expiry <= deployed.chain.time():
        raise InputError(f"{path} holds this request, but it has expired.", "Give another --out for a new request.")
    return found


def _build_request(
    deployed: Deployed,
    circuit: Circuit,
    input_: Path | None,
    listing: str,
    consumer: str | None,
    lifetime: timedelta,
    *,
    prover: str,
    prover_fee: int,
    owner_fee: int | None,
) -> PlacedRequest:
    """A request from the paying account; raises as `request_for`."""
    from zkinfer.chain import PlacedRequest, request_for
    from zkinfer.circuits.tensor_files import read_inputs

    chain, manifest = deployed.chain, circuit.manifest
    request = request_for(
        circuit,
        None if input_ is None else read_inputs(input_, manifest.program.inputs, say_note, manifest.features),
        listing=listing,
        consumer=consumer or chain.address,
        requester=chain.address,
        expiry=max(chain.time(), int(time.time())) + int(lifetime.total_seconds()),
        prover=prover,
        prover_fee=prover_fee,
        owner_fee=deployed.registry.fee(listing) if owner_fee is None else owner_fee,
    )
    return PlacedRequest(request, chain.id, deployed.ledger.address)


@expand_options
def open_command(request: RequestFile, connection: Connection, payment: Payment, as_json: AsJson = False) -> None:
    """Open a request from its file and put its fees into escrow. Re-running is idempotent.

    Example: zkinfer chain open request.json --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, payment), connection)
        placed = read_own_request(deployed, request)
        deployed.require_live_listings([placed.request.listing])
        _open(deployed, placed, request, as_json=as_json)


@expand_options
def refund_command(request: RequestFile, connection: Connection, payment: Payment, as_json: AsJson = False) -> None:
    """Refund the fees of an expired, unanswered request to the account that it names. Anyone may call this.

    Example: zkinfer chain refund request.json --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        deployed = open_deployment(chain, connection)
        placed = read_own_request(deployed, request)
        deployed.ledger.refund(placed.request)
        _show_done(deployed, f"the fees of {placed.id} are credited to {placed.request.refund_to}")
        if as_json:
            print_json(
                {"ok": True, "request": placed.id, "refundTo": placed.request.refund_to, **transactions_report(chain)}
            )


@expand_options
def withdraw_command(
    connection: Connection,
    payment: Payment,
    receiver: Annotated[
        str | None,
        typer.Option("--to", parser=parse_address, metavar="ADDRESS", help="The receiving account. Default: yours."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw the amount that the ledger has credited to your account.

    Example: zkinfer chain withdraw --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        deployed = open_deployment(chain, connection)
        from zkinfer.contracts.transactions import in_ether

        credit, receiver = deployed.ledger.credit(chain.address), receiver or chain.address
        deployed.ledger.withdraw(receiver)
        _show_done(deployed, f"{in_ether(credit)} to {receiver}" if credit else "there was nothing to withdraw")
        if as_json:
            print_json({"ok": True, "amount": str(credit), "to": receiver, **transactions_report(chain)})


def read_own_request(deployed: Deployed, path: Path) -> PlacedRequest:
    """Read a request of this deployment's ledger; raises InputError or WrongChainError for any other."""
    from zkinfer.chain import read_request

    placed = read_request(path)
    deployed.require_own(placed)
    return placed


def _open(deployed: Deployed, placed: PlacedRequest, path: Path, *, as_json: bool) -> None:
    chain = deployed.chain
    deployed.ledger.request(placed.request)
    _show_done(deployed, f"request {placed.id}" + ("" if chain.sent else ", opened before"))
    if chain.sends:
        say(f"  {plain(path)}: prove it with [bold]zkinfer prove ... --request {plain(path)}[/]")
    if as_json:
        report = {"ok": True, "request": placed.id, "file": str(path), "fees": str(placed.request.fees)}
        print_json({**report, "expiry": placed.request.expiry, **transactions_report(chain)})


def _show_done(deployed: Deployed, done: str) -> None:
    if not deployed.chain.sends:
        show_dry_run(deployed.chain)
        return
    print_result(f"[green]✓[/] {plain(done)}")
    show_sent(deployed.chain)
