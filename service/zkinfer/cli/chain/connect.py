"""From command-line options to a chain, the account that pays, and a checked deployment."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from zkinfer.circuits.errors import InputError, why
from zkinfer.cli.console import plain, require_extra, say
from zkinfer.cli.options import read_passphrase

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.chain.deployment import Deployed
    from zkinfer.cli.chain.options import Connection, Payment
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.signers import Signer


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


DEFAULT_RPC = "http://127.0.0.1:8545"


def open_chain(to: Connection, paid: Payment | None = None) -> Chain:
    """Connect to the chain, with an account if the command sends transactions.

    Raises:
        ChainError: the node or the signer cannot be used.
        InputError: the extra `chain` is not installed, or the file of the URL cannot be read.
        typer.BadParameter: the options contradict each other.
    """
    with require_extra("chain"):
        from zkinfer.chain import deployment
        from zkinfer.contracts.transactions import Limits
    url = rpc_url(to)
    if paid is None:
        return deployment.open_chain(url)
    limits = Limits(
        max_fee=paid.max_fee,
        max_tip=paid.max_tip,
        max_cost=paid.max_cost,
        timeout=paid.timeout,
        resubmit_after=paid.resubmit_after,
        confirmations=paid.confirmations or deployment.default_confirmations(url),
    )
    return deployment.open_chain(
        url, signer=lambda chain_id: _signer(paid, chain_id), limits=limits, dry_run=paid.dry_run
    )


def rpc_url(to: Connection) -> str:
    """The node's URL, read from a file if one is named; raises InputError if the file cannot be read."""
    if to.rpc_file is None:
        return to.rpc or DEFAULT_RPC
    try:
        return to.rpc_file.read_bytes().decode("utf-8", "replace").strip()
    except OSError as err:
        raise InputError(f"{to.rpc_file} cannot be read: {why(err)}.", "Check --rpc-file.") from err


def book_path(to: Connection, chain_id: int) -> Path:
    """The address book given with --deployment, else the one for this chain in ZKINFER_HOME."""
    from zkinfer.circuits.home import Home

    return to.deployment or Home.from_environment().deployments / f"{chain_id}.json"


def open_deployment(chain: Chain, to: Connection) -> Deployed:
    """The deployment that the address book names; raises as `zkinfer.chain.deployment.open_deployment`."""
    from zkinfer.chain import deployment

    return deployment.open_deployment(chain, book_path(to, chain.id))


def _signer(paid: Payment, chain_id: int) -> Signer:
    from zkinfer.contracts.signers import RemoteSigner, load_keystore, unsafe_dev_account

    ways = {"--keystore": paid.keystore, "--signer": paid.signer, "--unsafe-dev-account": paid.unsafe_dev_account}
    if len(given := [name for name, value in ways.items() if value is not None]) != 1:
        said = " and ".join(given) + " exclude each other" if given else "no account is given to pay with"
        raise typer.BadParameter(f"{said}: give --keystore FILE, or --signer URL with --account")
    if paid.keystore is not None:
        return load_keystore(paid.keystore, read_passphrase(paid.passphrase_file, confirm=False))
    if paid.unsafe_dev_account is not None:
        return unsafe_dev_account(paid.unsafe_dev_account, chain_id)
    if paid.signer is None or paid.account is None:
        raise typer.BadParameter("--signer needs --account, the address that signs")
    return RemoteSigner(paid.signer, paid.account)
