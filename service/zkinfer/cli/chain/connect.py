"""Open the chain, the paying account and the deployment that the options name; show transactions."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from zkinfer.circuits.errors import InputError, why
from zkinfer.cli.console import plain, print_result, require_extra
from zkinfer.cli.options import read_passphrase

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.chain.deployment import Deployed
    from zkinfer.cli.chain.options import Connection, Payment
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.signers import Signer


def show_dry_run(chain: Chain) -> None:
    """Show the predicted cost of the transactions."""
    from zkinfer.contracts.transactions import GWEI, in_ether

    if not chain.quotes:
        print_result("[green]✓[/] nothing to send")
        return
    gas, cost = sum(quote.gas for quote in chain.quotes), sum(quote.cost for quote in chain.quotes)
    price = chain.quotes[-1].fees.max_fee / GWEI
    print_result(
        f"[yellow]dry run:[/] {len(chain.quotes)} transaction{'s' * (len(chain.quotes) > 1)}, about {gas:,} gas, "
        f"at most {plain(in_ether(cost))} at {price:.3g} gwei; nothing was sent"
    )


def transactions_report(chain: Chain) -> dict[str, Any]:
    """The JSON form of sent or quoted transactions; amounts in wei as text, so that JSON parsers do not round them."""
    if chain.sends:
        return {"dryRun": False, "transactions": [asdict(sent) | {"cost": str(sent.cost)} for sent in chain.sent]}
    quotes = [{"gas": quote.gas, "maxCost": str(quote.cost)} for quote in chain.quotes]
    return {"dryRun": True, "transactions": quotes}


def show_sent(chain: Chain) -> None:
    """Show the cost of the sent transactions."""
    from zkinfer.contracts.transactions import in_ether

    if not chain.sent:
        return
    gas, cost = sum(one.gas for one in chain.sent), sum(one.cost for one in chain.sent)
    print_result(
        f"  [dim]{len(chain.sent)} transaction{'s' * (len(chain.sent) > 1)}, {gas:,} gas, {plain(in_ether(cost))}[/]"
    )


DEFAULT_RPC = "http://127.0.0.1:8545"


def open_chain(connection: Connection, payment: Payment | None = None) -> Chain:
    """Connect to the chain, with an account if the command sends transactions.

    Raises:
        ChainError: the node or the signer cannot be used.
        InputError: the extra `chain` is not installed, or the file of the URL cannot be read.
        typer.BadParameter: the options contradict each other.
    """
    with require_extra("chain"):
        from zkinfer.chain import deployment
        from zkinfer.contracts.transactions import Limits
    url = rpc_url(connection)
    if payment is None:
        return deployment.open_chain(url)
    limits = Limits(
        max_fee=payment.max_fee,
        max_tip=payment.max_tip,
        max_cost=payment.max_cost,
        timeout=payment.timeout,
        resubmit_after=payment.resubmit_after,
        confirmations=payment.confirmations or deployment.default_confirmations(url),
    )
    return deployment.open_chain(
        url, signer=lambda chain_id: _signer(payment, chain_id), limits=limits, dry_run=payment.dry_run
    )


def rpc_url(connection: Connection) -> str:
    """The node's URL, read from a file if one is named; raises InputError if the file cannot be read."""
    if connection.rpc_file is None:
        return connection.rpc or DEFAULT_RPC
    try:
        return connection.rpc_file.read_bytes().decode("utf-8", "replace").strip()
    except OSError as err:
        raise InputError(f"{connection.rpc_file} cannot be read: {why(err)}.", "Check --rpc-file.") from err


def book_path(connection: Connection, chain_id: int) -> Path:
    """The address book given with --deployment, else the one for this chain in ZKINFER_HOME."""
    from zkinfer.circuits.home import Home

    return connection.deployment or Home.from_environment().deployments / f"{chain_id}.json"


def open_deployment(chain: Chain, connection: Connection) -> Deployed:
    """The deployment that the address book names; raises as `zkinfer.chain.deployment.open_deployment`."""
    from zkinfer.chain import deployment

    return deployment.open_deployment(chain, book_path(connection, chain.id))


def _signer(payment: Payment, chain_id: int) -> Signer:
    from zkinfer.contracts.signers import RemoteSigner, load_keystore, unsafe_dev_account

    accounts = {
        "--keystore": payment.keystore,
        "--signer": payment.signer,
        "--unsafe-dev-account": payment.unsafe_dev_account,
    }
    if len(given := [name for name, value in accounts.items() if value is not None]) != 1:
        problem = " and ".join(given) + " exclude each other" if given else "no paying account is given"
        raise typer.BadParameter(f"{problem}: give --keystore FILE, or --signer URL with --account")
    if payment.keystore is not None:
        return load_keystore(payment.keystore, read_passphrase(payment.passphrase_file, confirm=False))
    if payment.unsafe_dev_account is not None:
        return unsafe_dev_account(payment.unsafe_dev_account, chain_id)
    if payment.signer is None or payment.account is None:
        raise typer.BadParameter("--signer needs --account, the address that signs")
    return RemoteSigner(payment.signer, payment.account)
