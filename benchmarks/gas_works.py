"""The gas of works, their market, tills and funds: rows of docs/reference/gas.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
from benchmarks.gas_ashlar import used  # noqa: E402

from zkinfer.contracts.deploy import (  # noqa: E402
    Governance,
    create,
    deploy,
    plan,
)
from zkinfer.contracts.market import Market, MarketOffer, subject_of  # noqa: E402
from zkinfer.contracts.signers import unsafe_dev_account  # noqa: E402
from zkinfer.contracts.tills import ContributorFund, Till, leaf_of  # noqa: E402
from zkinfer.contracts.work_parts import fund_of, works_of  # noqa: E402
from zkinfer.contracts.works import Registration, Works  # noqa: E402
from zkinfer.works.agreement import sign_agreement  # noqa: E402
from zkinfer.works.merkle import Tree  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zkinfer.contracts.chain import Chain

CONTRIBUTORS, INCOME = 1024, 10**18
URI: Final = "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
LIMITS: Final = {
    "commit to a work": 48_000,
    "register, no parents, the account's first": 290_000,
    "register for a creator who signed": 306_000,
    "register, two parents licensed before": 427_000,
    "offer": 191_000,
    "buy": 160_000,
    "pay a work that was paid before": 51_000,
    "settle, two parents, first": 83_000,
    "settle, two parents, again": 63_800,
    "withdraw": 32_000,
    "open a till": 85_000,
    "sweep it": 64_000,
    "claim, with pull, first of all": 105_000,
    "claim, later": 67_000,
}
"""What each transaction may cost: the gas of a prototype and a tenth."""
INTRO: Final = f"""
## Works

Works with all digests and a URI of {len(URI)} bytes, their market and tills, and a fund of {CONTRIBUTORS:,}
contributors. The benchmark fails if a transaction costs more than its limit. What the calls cost before refunds, and a
work whose generation is proven, is in `contracts/snapshots/works.json`.

"""


def part(chain: Chain) -> str:
    """The table."""
    deployment = plan(Governance(chain.address, (chain.address,), delay=0, test=True))
    deploy(chain, deployment)
    works = Works(chain, create(chain, works_of(deployment.addresses["InferenceLedger"], "https://w.example/")))
    market = Market(chain, works.market)
    rows, derived = registration_rows(chain, works, market)
    rows |= income_rows(chain, works, market, derived)
    return table(rows | fund_rows(chain, works, market))


def registration_rows(chain: Chain, works: Works, market: Market) -> tuple[dict[str, int], int]:
    """Gas of registrations, offers and licences, and the work with two parents."""
    me, committed, second = chain.address, what(0), what(1)
    rows = {
        "commit to a work": used(works.commit(committed.commitment(me))),
        "register, no parents, the account's first": used(works.register(committed, me)),
        "register for a creator who signed": registered_for(chain, works, what(2)),
    }
    works.register(second, me)
    offers = [market.offer(terms(works.id_of(me, parent.content))) for parent in (committed, second)]
    rows["offer"] = chain.sent[-1].gas
    bought = [market.buy(offer, me, subject_of("acme.example")) for offer in offers]
    rows["buy"] = chain.sent[-1].gas  # of the second licence: the first also begins the numbers
    licences = tuple(one for one in bought if one is not None)
    derived = what(3, licences=licences)
    rows["register, two parents licensed before"] = used(works.register(derived, me))
    return rows, works.id_of(me, derived.content)


def registered_for(chain: Chain, works: Works, one: Registration) -> int:
    """Gas of a registration for a creator who signed."""
    signed = sign_agreement(one, chain.id, works.address, chain.time() + 3600, unsafe_dev_account(1, chain.id))
    return used(works.register_for(one, signed.creator, signed.deadline, signed.signature_bytes))


def income_rows(chain: Chain, works: Works, market: Market, derived: int) -> dict[str, int]:
    """Gas of payments to a work with two parents that were paid before, and of sharing them."""
    market.pay(derived, INCOME)
    rows = {
        "pay a work that was paid before": used(market.pay(derived, INCOME)),
        "settle, two parents, first": used(market.settle([derived])),
    }
    market.pay(derived, INCOME)
    rows["settle, two parents, again"] = used(market.settle([derived]))
    rows["withdraw"] = used(market.withdraw(chain.address))
    rows["open a till"] = used(works.open_till(derived))
    till = works.till_of(derived)
    chain.send(till, value=INCOME)
    return rows | {"sweep it": used(Till(chain, till).sweep())}


def fund_rows(chain: Chain, works: Works, market: Market) -> dict[str, int]:
    """Gas of claims of two contributors, who hold coin, after two pay-days."""
    paid = [unsafe_dev_account(number, chain.id).address.lower() for number in (1, 2)]
    accounts = paid + [f"0x{number:040x}" for number in range(1 << 16, (1 << 16) + CONTRIBUTORS - len(paid))]
    tree = Tree.of([leaf_of(one, 1) for one in accounts])
    data = what(4, kind="dataset")
    part = fund_of("0x" + tree.root.hex(), CONTRIBUTORS, data.content, URI, market.address)
    fund = ContributorFund(chain, create(chain, part))
    works.register(data, chain.address)
    dataset = works.id_of(chain.address, data.content)
    works.transfer(chain.address, fund.address, dataset)

    def claims_on_a_payday(order: list[str]) -> list[int]:
        market.pay(dataset, INCOME)
        market.settle([dataset])
        return [used(fund.claim(one, 1, tree.proof(leaf_of(one, 1)))) for one in order]

    first = claims_on_a_payday(paid)
    later = claims_on_a_payday(paid[::-1])
    return {"claim, with pull, first of all": first[0], "claim, later": later[1]}


def what(number: int, *, kind: str = "image", licences: tuple[int, ...] = ()) -> Registration:
    """A registration with all digests; the first has a commitment."""
    digests = [f"0x{number + 1:02x}" + f"{place:02x}" * 31 for place in range(1, 6)]
    return Registration(
        content=digests[0],
        kind=kind,
        origin="human",
        manifest=digests[1],
        attestation=digests[2],
        pixels=digests[3],
        salt="0x" + "00" * 32 if number else digests[4],
        resale_bps=500,
        licences=licences,
        uri=URI,
    )


def terms(work: int) -> MarketOffer:
    """An offer to derive from a work, for a year."""
    return MarketOffer(work, 10**15, 365 * 86_400, 1000, 1 | 2, "0x" + "7e" * 32, URI)


def table(rows: Mapping[str, int]) -> str:
    """Gas by transaction; ends the program if one exceeds its limit."""
    above = [title for title, gas in rows.items() if gas > LIMITS[title]]
    if above:
        sys.exit(f"above the limit: {', '.join(f'{title} {rows[title]:,}' for title in above)}")
    lines = [f"| {title} | {gas:,} | {LIMITS[title]:,} |" for title, gas in rows.items()]
    return INTRO + "\n".join(["| transaction | gas | limit |", "| --- | ---: | ---: |", *lines, ""])
