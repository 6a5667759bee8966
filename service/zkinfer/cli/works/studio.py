"""The group `zkinfer works studio`: pictures that are ordered from a model, painted with a proof, and registered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    expand_options,
    open_chain,
    open_deployment,
    parse_address,
    parse_word,
)
from zkinfer.cli.chain.request import ProverAccount, ProverFee, read_own_request
from zkinfer.cli.console import exit_on_error, plain, print_facts, print_json, print_result, say_note
from zkinfer.cli.options import AsJson, AttestationFile, CircuitFolder
from zkinfer.cli.works.options import WorksAddress, clients, finish, parse_work, work_id

if TYPE_CHECKING:
    from zkinfer.chain.deployment import Deployed
    from zkinfer.contracts.studio import Studio

app = typer.Typer(
    no_args_is_help=True, help="A studio: pictures are ordered from a model, painted with a proof, and registered."
)
StudioAddress = Annotated[
    str,
    typer.Option(
        "--studio",
        parser=parse_address,
        metavar="ADDRESS",
        help="The studio, see `works studio deploy`.",
        show_default=False,
    ),
]
_ZERO_ADDRESS = "0x" + "00" * 20


@app.command("deploy")
@expand_options
def deploy_command(
    model: Annotated[
        int,
        typer.Option(parser=parse_work, metavar="WORK", help="The work that the model is.", show_default=False),
    ],
    listing: Annotated[
        str,
        typer.Option(
            parser=parse_word, metavar="ID", help="Its listing, which the work's till owns.", show_default=False
        ),
    ],
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Deploy a studio of one model, where anybody orders pictures. It has no administrator. Idempotent.

    Example: zkinfer works studio deploy --model 0x12... --listing 0x78... --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, payment), connection)
        from zkinfer.circuits.errors import InputError
        from zkinfer.contracts.deploy import create
        from zkinfer.contracts.work_parts import studio_of

        contract, _ = clients(deployed.chain, works)
        if deployed.registry.owner_of(listing) != contract.till_of(model):
            raise InputError(
                f"The till of the work {work_id(model)} does not own the listing {listing}.",
                "Give it to the till: zkinfer works till accept WORK --listing ID",
            )
        address = create(deployed.chain, studio_of(works, listing, model))
        facts = {"studio": address, "model": work_id(model), "listing": listing}
        finish(deployed.chain, facts, as_json=as_json)


@app.command("commission")
@expand_options
def commission_command(
    circuit: CircuitFolder,
    input_: Annotated[
        Path, typer.Option("--input", help="What to paint: .npz, .json or .csv, by input name.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option(help="The request file to write, for the prover; must not exist.", show_default=False)
    ],
    studio: StudioAddress,
    connection: Connection,
    payment: Payment,
    offer: Annotated[
        list[str] | None,
        typer.Option(
            parser=parse_word, metavar="ID", help="Accept this offer of the model or of a prompt. Repeatable."
        ),
    ] = None,
    licence: Annotated[
        list[int] | None, typer.Option(help="Or use your licence of the model or of a prompt. Repeatable.")
    ] = None,
    prover: ProverAccount = _ZERO_ADDRESS,
    prover_fee: ProverFee = 0,
    allow_studio: Annotated[
        bool,
        typer.Option(
            "--allow-studio",
            help="Let the studio register pictures in your name, unless it may already. It cannot move tokens.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Order a picture: pays the licences of model and prompt now, and the fees when it is delivered. Repeats each time.

    Give the request file and the input to the prover: `zkinfer prove --request`, then `works studio deliver`. It takes
    an hour at most. Without an answer, `zkinfer chain refund` gives the fees back; the licences stay yours.

    Example: zkinfer works studio commission painter.circuit --input wish.json --offer 0x56... --offer 0x78... --out
    order.json --keystore me.json
    """
    if prover_fee and prover == _ZERO_ADDRESS:
        raise typer.BadParameter("a prover's fee needs --prover ADDRESS")
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.manifest import Circuit
        from zkinfer.circuits.storage import refuse_existing, write_atomically
        from zkinfer.circuits.tensor_files import read_inputs
        from zkinfer.works.orders import open_studio, order_of, placed, rights_of

        refuse_existing(out)
        deployed = open_deployment(open_chain(connection, payment), connection)
        found, opened = open_studio(deployed, studio), Circuit.open(circuit)
        manifest = opened.manifest
        inputs = read_inputs(input_, manifest.program.inputs, say_note, manifest.features)
        rights = rights_of(found, offer or (), licence or ())
        order = order_of(deployed, found, opened, inputs, rights, prover=prover, prover_fee=prover_fee)
        price = found.price_of(order)
        made = found.commission(order) if _allow(deployed, found, wanted=allow_studio) else None
        facts: dict[str, Any] = {"studio": studio, "creator": deployed.chain.address}
        if made is not None:
            write_atomically(out, placed(deployed, made).to_bytes())
            facts |= {"request": made.id, "file": str(out), "licences": list(made.licences)}
            facts["expiry"] = made.request.expiry
            print_result(f"[green]✓[/] ordered; give {plain(out)} and the input to the prover")
        finish(deployed.chain, facts, as_json=as_json, amounts={"price": price})


@app.command("deliver")
@expand_options
def deliver_command(
    attestation: AttestationFile,
    request: Annotated[Path, typer.Option(help="The request that it answers, as of `commission`.", show_default=False)],
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Deliver a picture: record its proof, and register it for whoever ordered it, in one transaction. Idempotent.

    Anybody may; the prover named in the request is paid. Prove it first: zkinfer prove ... --request order.json

    Example: zkinfer works studio deliver painted.json --request order.json --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, payment), connection)
        from zkinfer.chain.post import match_answers
        from zkinfer.verifier import Attestation
        from zkinfer.works.orders import open_studio, why_unregistered

        asked = read_own_request(deployed, request)
        studio = open_studio(deployed, asked.request.requester)
        deployed.require_live_listings([asked.request.listing])
        (answer,) = match_answers(deployed, [Attestation.read(attestation)], [asked]).values()
        studio.deliver(*answer.posted)
        work = studio.work_of(asked.request, answer.outputs)
        facts: dict[str, Any] = {"work": work_id(work), "creator": asked.request.refund_to, "request": asked.id}
        if deployed.chain.sends:
            reason = why_unregistered(studio, work, asked.id)
            facts["registered"] = not reason
            print_result(f"[yellow]![/] {plain(reason)}" if reason else f"[green]✓[/] work {work_id(work)}")
        finish(deployed.chain, facts, as_json=as_json, amounts={"proverFee": asked.request.prover_fee})


@app.command("orders")
@expand_options
def orders_command(
    studio: StudioAddress,
    connection: Connection,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the request file of each open order, as ID.json.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the orders of a studio, newest first: what a prover has to do, or what became of yours.

    Example: zkinfer works studio orders --studio 0x9a... --save orders
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.storage import write_atomically
        from zkinfer.contracts.transactions import in_ether
        from zkinfer.works.orders import facts_of, open_studio, placed

        deployed = open_deployment(open_chain(connection), connection)
        orders = []
        for made in open_studio(deployed, studio).commissions():
            one = facts_of(deployed, made)
            if save is not None and one["state"] == "open":
                one["file"] = str(save / f"{made.id}.json")
                write_atomically(Path(one["file"]), placed(deployed, made).to_bytes())
            fee = in_ether(made.request.prover_fee)
            print_facts({one["state"]: f"{made.id} by {made.creator}, {fee} for the prover"})
            orders.append(one)
        if not orders:
            print_result("nothing was ordered")
        if as_json:
            print_json({"ok": True, "orders": orders})


def _allow(deployed: Deployed, studio: Studio, *, wanted: bool) -> bool:
    """Whether the order can be sent, after the studio was allowed to register if that is wanted; not in a rehearsal.

    Raises InputError if it may not, and that is not wanted.
    """
    from zkinfer.circuits.errors import InputError

    chain = deployed.chain
    if studio.works.is_registrar(chain.address, studio.address):
        return True
    if not wanted:
        raise InputError(
            f"The studio {studio.address} may not register pictures in your name.",
            "Add --allow-studio: it then may, and can move none of your tokens.",
        )
    studio.works.set_registrar(studio.address)
    if not chain.sends:
        say_note("the order is rehearsed once the studio may register; this is that step alone")
    return chain.sends
