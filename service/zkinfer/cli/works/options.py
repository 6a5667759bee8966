"""What the commands of works share: works and their contracts, uses, and the end of a command."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from zkinfer.cli.chain.options import parse_address, show_dry_run, show_sent, transactions_report
from zkinfer.cli.console import print_facts, print_json, require_extra

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.market import Market
    from zkinfer.contracts.works import Registration, Works


def parse_work(text: object) -> int:
    """The number of a work, decimal or 0x...; raises typer.BadParameter for anything else."""
    if isinstance(text, int):
        return text
    try:
        number = int(str(text).strip(), 0)
    except ValueError as err:
        raise typer.BadParameter(f"{str(text)[:80]!r} is no work: give its number, decimal or 0x...") from err
    if not 0 <= number < 1 << 256:
        raise typer.BadParameter("a work's number has 256 bits")
    return number


def work_id(work: int) -> str:
    """A work's number as certificates and other commands take it: always 64 hex digits."""
    return f"0x{work:064x}"


def parse_uses(text: object) -> int:
    """The bits of `commercial,derivatives`; raises typer.BadParameter for an unknown use."""
    if isinstance(text, int):
        return text
    from zkinfer.works.terms import Use

    known = {str(one.name).lower(): one for one in Use}
    found = 0
    for word in str(text).split(","):
        if word.strip().lower() not in known:
            raise typer.BadParameter(f"{word[:40]!r} is no use: give some of {', '.join(known)}")
        found |= known[word.strip().lower()]
    return int(found)


Work = Annotated[int, typer.Argument(parser=parse_work, metavar="WORK", help="The work.", show_default=False)]
WorksAddress = Annotated[
    str,
    typer.Option(
        "--works",
        envvar="ZKINFER_WORKS",
        parser=parse_address,
        metavar="ADDRESS",
        help="The contract of the works, see `works deploy`.",
        show_default=False,
    ),
]
CertificateFile = Annotated[Path, typer.Argument(metavar="work.json", help="The certificate.", show_default=False)]


def require_works() -> None:
    """Raise the error that names the extra, if its libraries are missing."""
    with require_extra("works"):
        import zkinfer.works.credentials  # noqa: F401


def read_registration(path: Path) -> Registration:
    """What a certificate says about a work, for the contract; raises CertificateError if its signature is invalid."""
    from zkinfer.contracts.works import ZERO_WORD, Registration
    from zkinfer.works.certificate import Certificate

    certificate = Certificate.read(path)
    certificate.verified()
    predicate = certificate.predicate
    return Registration(
        content="0x" + certificate.sha256,
        kind=str(predicate.kind),
        origin=str(predicate.origin),
        manifest=ZERO_WORD if predicate.manifest is None else "0x" + predicate.manifest,
        attestation="0x" + certificate.digest.value.hex(),
        pixels=predicate.content.pixels or ZERO_WORD,
    )


def clients(chain: Chain, works: str) -> tuple[Works, Market]:
    """The clients of the works and of their market, whose code was compared: a false one could sell false licences.

    Raises DeploymentError or CodeMismatchError if the address is not that of works of this version.
    """
    from zkinfer.contracts.market import Market
    from zkinfer.contracts.work_parts import require_works_at
    from zkinfer.contracts.works import Works

    require_works_at(chain, works)
    found = Works(chain, works)
    return found, Market(chain, found.market)


def finish(chain: Chain, facts: Mapping[str, Any], *, as_json: bool, amounts: Mapping[str, int] | None = None) -> None:
    """Show what was done and what it cost, or would cost.

    Amounts in wei are shown in ether, and times in Unix seconds as dates; JSON has both exact.
    """
    print_facts({**with_dates(facts), **in_ethers(amounts or {})})
    (show_sent if chain.sends else show_dry_run)(chain)
    if as_json:
        exact = {name: str(amount) for name, amount in (amounts or {}).items()}
        print_json({"ok": True, **facts, **exact, **transactions_report(chain)})


def in_ethers(amounts: Mapping[str, int]) -> dict[str, str]:
    """Amounts in wei as people read them."""
    from zkinfer.contracts.transactions import in_ether

    return {name: in_ether(amount) for name, amount in amounts.items()}


_TIMES: Final = frozenset({"since", "until", "deadline", "expiry"})


def with_dates(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as people read them: those that are times in Unix seconds as dates in UTC, the market's last as no end."""
    return {name: _date(value) if name in _TIMES else value for name, value in facts.items()}


def _date(seconds: int) -> str:
    from zkinfer.contracts.market import FOREVER

    if seconds == 0:  # of what a dry run has not done
        return "not yet"
    if seconds == FOREVER:
        return "without end"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
