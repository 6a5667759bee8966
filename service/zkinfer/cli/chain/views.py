"""Output about transactions: sent ones, and quotes of a dry run."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from zkinfer.cli.console import plain, say

if TYPE_CHECKING:
    from zkinfer.contracts.chain import Chain


def show_dry_run(chain: Chain) -> None:
    """Show what the transactions would cost."""
    from zkinfer.contracts.transactions import GWEI, in_ether

    if not chain.quotes:
        say("[green]✓[/] nothing to send")
        return
    gas, cost = sum(quote.gas for quote in chain.quotes), sum(quote.cost for quote in chain.quotes)
    each = chain.quotes[-1].fees.most / GWEI
    say(
        f"[yellow]dry run:[/] {len(chain.quotes)} transaction{'s' * (len(chain.quotes) > 1)}, about {gas:,} gas, "
        f"at most {plain(in_ether(cost))} at {each:.3g} gwei; nothing was sent"
    )


def sending(chain: Chain) -> dict[str, Any]:
    """The JSON form of sent or quoted transactions; amounts in wei as text, so that readers do not round them."""
    if chain.sends:
        return {"dryRun": False, "transactions": [asdict(sent) | {"cost": str(sent.cost)} for sent in chain.sent]}
    quotes = [{"gas": quote.gas, "maxCost": str(quote.cost)} for quote in chain.quotes]
    return {"dryRun": True, "transactions": quotes}


def show_sent(chain: Chain) -> None:
    """Show what was paid."""
    from zkinfer.contracts.transactions import in_ether

    if not chain.sent:
        return
    gas, cost = sum(one.gas for one in chain.sent), sum(one.cost for one in chain.sent)
    say(f"  [dim]{len(chain.sent)} transaction{'s' * (len(chain.sent) > 1)}, {gas:,} gas, {plain(in_ether(cost))}[/]")
