"""The commands `zkinfer works offer`, `buy`, `pay`, `settle` and `withdraw`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    expand_options,
    open_chain,
    parse_address,
    parse_coin,
    parse_word,
)
from zkinfer.cli.console import exit_on_error
from zkinfer.cli.options import AsJson, parse_period
from zkinfer.cli.works.options import Work, WorksAddress, clients, finish, parse_uses, parse_work, work_id


@expand_options
def offer_command(
    work: Work,
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    terms: Annotated[
        Path, typer.Option(help="The text of the licence, whose digest buyers agree to.", show_default=False)
    ],
    uses: Annotated[
        int,
        typer.Option(
            parser=parse_uses,
            metavar="USES",
            help="commercial, derivatives, training, inference, attribution; with commas.",
            show_default=False,
        ),
    ],
    price: Annotated[int, typer.Option(parser=parse_coin, metavar="AMOUNT", help="Its price.", show_default="0")] = 0,
    share: Annotated[float, typer.Option(min=0, max=50, help="Of what derivatives earn, in percent.")] = 0.0,
    valid: Annotated[
        timedelta | None, typer.Option(parser=parse_period, metavar="PERIOD", help="How long a licence is valid.")
    ] = None,
    uri: Annotated[str, typer.Option(help="Where the text is.")] = "",
    as_json: AsJson = False,
) -> None:
    """Offer licences of your work to everybody. Re-running is idempotent.

    Example: zkinfer works offer 0x12... --terms licence.txt --uses commercial --price 0.01ether --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.contracts.market import MarketOffer
        from zkinfer.works.content import open_content

        chain = open_chain(connection, payment)
        _, market = clients(chain, works)
        duration = 0 if valid is None else int(valid.total_seconds())
        digest = "0x" + open_content(terms).sha256
        found = market.offer(MarketOffer(work, price, duration, round(share * 100), uses, digest, uri))
        finish(chain, {"offer": found, "terms": digest}, as_json=as_json, amounts={"price": price})


@expand_options
def buy_command(
    offer: Annotated[str, typer.Argument(parser=parse_word, metavar="OFFER", help="The offer.", show_default=False)],
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    holder: Annotated[
        str | None, typer.Option(parser=parse_address, metavar="ADDRESS", help="Who may use it. Default: you.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(metavar="DOMAIN", help="The domain that it is for, such as acme.example; claimed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Buy a licence at its price. Each call buys another one.

    Example: zkinfer works buy 0x56... --subject acme.example --keystore brand.json
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.contracts.market import NO_SUBJECT, subject_of

        chain = open_chain(connection, payment)
        _, market = clients(chain, works)
        named = NO_SUBJECT if subject is None else subject_of(subject.removeprefix("dns:"))
        licence = market.buy(offer, holder or chain.address, named)
        facts: dict[str, Any] = {"licence": licence, "holder": holder or chain.address}
        if licence is not None:
            facts["until"] = market.licence(licence).until
        finish(chain, facts, as_json=as_json)


@expand_options
def pay_command(
    work: Work,
    amount: Annotated[int, typer.Argument(parser=parse_coin, metavar="AMOUNT", help="How much.", show_default=False)],
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Pay a work: its parents get their shares, and its owner the rest.

    Example: zkinfer works pay 0x12... 0.05ether --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        _, market = clients(chain, works)
        market.pay(work, amount)
        finish(chain, {"work": work_id(work)}, as_json=as_json, amounts={"paid": amount})


@expand_options
def settle_command(
    work: Annotated[
        list[int],
        typer.Argument(parser=parse_work, metavar="WORK...", help="Works, children first.", show_default=False),
    ],
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Share what works have earned with their parents, and credit the rest to their owners. Anybody may.

    Example: zkinfer works settle 0x34... 0x12... --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        _, market = clients(chain, works)
        market.settle(work)
        pending = {f"pending {work_id(one)}": market.pending(one) for one in work}
        finish(chain, {}, as_json=as_json, amounts=pending)


@expand_options
def withdraw_command(
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    to: Annotated[
        str | None, typer.Option(parser=parse_address, metavar="ADDRESS", help="The receiver. Default: you.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw everything that your works have earned for you.

    Example: zkinfer works withdraw --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        _, market = clients(chain, works)
        amount = market.credit(chain.address)
        market.withdraw(to or chain.address)
        finish(chain, {"to": to or chain.address}, as_json=as_json, amounts={"withdrawn": amount})
