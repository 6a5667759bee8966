"""The command `zkinfer works status`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.options import (
    Connection,
    expand_options,
    open_chain,
    open_deployment,
    parse_address,
    rpc_url,
)
from zkinfer.cli.console import REFUSED, exit_on_error, plain, print_facts, print_json, print_result
from zkinfer.cli.options import AsJson
from zkinfer.cli.works.options import Work, WorksAddress, clients, in_ethers, parse_uses, with_dates, work_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.market import Market
    from zkinfer.contracts.works import WorkRecord, Works
    from zkinfer.works.evidence import Level


@expand_options
def status_command(
    work: Work,
    works: WorksAddress,
    connection: Connection,
    licence: Annotated[
        int | None, typer.Option(help="Ask whether this licence covers a use. Default: whether any does.")
    ] = None,
    holder: Annotated[
        str | None, typer.Option(parser=parse_address, metavar="ADDRESS", help="Who wants to use it.")
    ] = None,
    subject: Annotated[str | None, typer.Option(metavar="DOMAIN", help="Or the domain that wants to use it.")] = None,
    uses: Annotated[
        int, typer.Option(parser=parse_uses, metavar="USES", help="The uses, with commas.", show_default="commercial")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Show a work: who registered it, what it rests on, its lineage, its income, and whether a use is licensed.

    With --holder or --subject it exits with 1 unless a licence covers the use now. Without --licence it reads all that
    were sold of the work from the node's logs.

    Example: zkinfer works status 0x12... --subject acme.example --uses commercial
    """
    given = (holder is not None) + (subject is not None)
    if given > 1 or (licence is not None and not given):
        raise typer.BadParameter("give one of --holder and --subject; --licence needs one")
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection)
        contract, market = clients(chain, works)
        facts, amounts = _facts(contract, work, connection), _amounts(contract, market, work)
        shown = {name: value for name, value in with_dates(facts).items() if name != "parents"}
        print_facts(shown | in_ethers(amounts))
        for one in facts["parents"]:
            print_facts({"parent": f"{one['work']} gets {one['share'] / 100:g} % of its income"})
        authorised = None
        if holder is not None or subject is not None:
            asked = _Use(work, holder, subject, uses)
            covering = asked.licence_among(
                market, _sold(chain, contract, market, asked) if licence is None else [licence]
            )
            authorised = covering is not None
            _print_answer(licence if covering is None else covering, asked, covers=authorised)
            facts["licence"] = covering
        if as_json:
            exact = {name: str(amount) for name, amount in amounts.items()}
            print_json({"ok": authorised is not False, **facts, **exact, "authorised": authorised})
    if authorised is False:
        raise typer.Exit(REFUSED)


def _facts(contract: Works, work: int, connection: Connection) -> dict[str, Any]:
    record = contract.work(work)
    level, remark = _level(contract, record, connection)
    facts = {
        "work": work_id(work),
        "kind": record.kind,
        "origin": f"{record.origin}, {level}",
        "creator": record.creator,
        "owner": contract.owner_of(work),
        "since": record.since,
        "standing": record.standing.name.lower(),
        "content": record.content,
        "certificate": record.attestation,
        "record": record.record if record.is_proven else "none",
        "till": contract.till_of(work),
        "parents": [{"work": work_id(parent), "share": share} for parent, share in contract.parents(work)],
    }
    if not remark:
        return facts
    return facts | {"condition" if level == "proven" else "unproven": remark}


def _level(contract: Works, record: WorkRecord, connection: Connection) -> tuple[Level, str]:
    """What the origin rests on now, and under which condition; or why that is not a proof if there was one.

    The contract stores a signature's digest, which it cannot check: only a record of the ledger is proven there. Its
    ledger is whatever its deployer named, so it counts if it is that of a deployment that is known here.
    """
    from zkinfer.chain.blocks import Blocks
    from zkinfer.contracts.errors import AddressBookError
    from zkinfer.contracts.rpc import connect
    from zkinfer.works.errors import CertificateError
    from zkinfer.works.evidence import Level
    from zkinfer.works.records import conditions, sound_listing

    if not record.is_proven:
        return Level.CLAIMED, ""
    try:
        deployed = open_deployment(open_chain(connection), connection)
        if deployed.ledger.address != contract.ledger:
            return Level.CLAIMED, "The works name another ledger than this deployment's. Check --deployment."
        sound_listing(deployed, Blocks(connect(rpc_url(connection))), record.record)
    except (AddressBookError, CertificateError) as err:
        return Level.CLAIMED, str(err)
    return Level.PROVEN, conditions(deployed)


def _amounts(contract: Works, market: Market, work: int) -> dict[str, int]:
    credit = market.credit(contract.owner_of(work))
    return {"received": market.received(work), "pending": market.pending(work), "ownerCredit": credit}


@dataclass(frozen=True, slots=True)
class _Use:
    """What somebody wants to do with a work: either an account, or a domain."""

    work: int
    holder: str | None
    subject: str | None
    uses: int

    @property
    def who(self) -> str:
        """The account, or the domain, which is the buyer's claim."""
        return self.holder or f"{self.subject} (the buyer's claim)"

    @property
    def subject_word(self) -> str | None:
        """The domain as licences name it."""
        from zkinfer.contracts.market import subject_of

        return None if self.subject is None else subject_of(self.subject.removeprefix("dns:"))

    def licence_among(self, market: Market, numbers: Iterable[int]) -> int | None:
        """The first licence that covers it now, as the market says; None if none does."""
        for number in numbers:
            found = market.licence(number)
            if self.subject_word not in (None, found.subject):
                continue
            if market.covers(number, self.work, self.holder or found.holder, self.uses):
                return number
        return None


def _sold(chain: Chain, contract: Works, market: Market, asked: _Use) -> Iterator[int]:
    """The licences of a work that name who asks, newest first, from the logs."""
    from zkinfer.contracts.work_events import sold_licences

    for one in sold_licences(chain, contract.address, market.address, asked.work):
        if asked.holder == one.holder or asked.subject_word == one.subject:
            yield one.number


def _print_answer(licence: int | None, asked: _Use, *, covers: bool) -> None:
    if licence is None:
        print_result(f"[bold red]✗[/] no licence covers {plain(asked.who)}")
        return
    mark = "[green]✓[/] covers" if covers else "[bold red]✗[/] does not cover"
    print_result(f"licence {licence} {mark} {plain(asked.who)}")
