"""From options to a chain, an account that pays, and a deployment that was looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from zkinfer.cli.console import needing
from zkinfer.cli.options import read_passphrase

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from zkinfer.cli.chain.options import Connection, Payment
    from zkinfer.contracts.address_book import AddressBook
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.ledger import Ledger
    from zkinfer.contracts.registration import Registration
    from zkinfer.contracts.registry import EmergencyStop, Registry
    from zkinfer.contracts.signers import Signer

DEFAULT_RPC = "http://127.0.0.1:8545"


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment whose contracts lie where the address book says."""

    chain: Chain
    book: AddressBook

    @property
    def registry(self) -> Registry:
        """Which model is which."""
        from zkinfer.contracts.registry import Registry

        return Registry(self.chain, self.book.addresses["ModelRegistry"])

    @property
    def ledger(self) -> Ledger:
        """Requests and answers."""
        from zkinfer.contracts.ledger import Ledger

        return Ledger(self.chain, self.book.addresses["InferenceLedger"])

    @property
    def router(self) -> str:
        """Which verifier is which; its address."""
        return self.book.addresses["VerifierRouter"]

    @property
    def stop(self) -> EmergencyStop:
        """The emergency stop of the verifier for all circuits."""
        from zkinfer.contracts.registry import EmergencyStop

        return EmergencyStop(self.chain, self.book.addresses["EmergencyStop"])

    def require_live(self, selector: bytes) -> None:
        """Return if proofs under a selector can be accepted; raise as `zkinfer.contracts.router.require_live`."""
        from zkinfer.contracts.router import require_live

        require_live(self.chain, self.book, selector)

    def require_asked(self, listings: Iterable[str]) -> None:
        """The same of the selectors of listings, as the registry has them; raises RevertedError for unknown ones."""
        for selector in {self.registry.listing(one).selector for one in set(listings)}:
            self.require_live(bytes.fromhex(selector[2:]))


def open_chain(to: Connection, paid: Payment | None = None) -> Chain:
    """A connection to the chain, with an account where somebody is to pay.

    Raises ChainError where the node or the signer cannot be used, typer.BadParameter for options that contradict
    each other.
    """
    with needing("chain"):
        from zkinfer.contracts.chain import Chain
        from zkinfer.contracts.rpc import connect, is_loopback, parse_url
        from zkinfer.contracts.transactions import Limits
    url = rpc_url(to)
    web3 = connect(url)
    if paid is None:
        return Chain(web3)
    limits = Limits(
        max_fee=paid.max_fee,
        max_tip=paid.max_tip,
        max_cost=paid.max_cost,
        timeout=paid.timeout,
        resubmit_after=paid.resubmit_after,
        confirmations=paid.confirmations or (1 if is_loopback(parse_url(url)) else 3),
    )
    return Chain(web3, _signer(paid, Chain(web3).id), limits, rehearsal=paid.dry_run)


def rpc_url(to: Connection) -> str:
    """The node's URL, from a file where one is named; raises InputError where it cannot be read."""
    if to.rpc_file is None:
        return to.rpc or DEFAULT_RPC
    from zkinfer.circuits.errors import InputError, why

    try:
        return to.rpc_file.read_bytes().decode("utf-8", "replace").strip()
    except OSError as err:
        raise InputError(f"{to.rpc_file} cannot be read: {why(err)}.", "Check --rpc-file.") from err


def book_path(to: Connection, chain_id: int) -> Path:
    """Where the address book of a chain is: the file that is given, else the one in the user's home."""
    from zkinfer.circuits.home import Home

    return to.deployment or Home.from_environment().deployments / f"{chain_id}.json"


def open_deployment(chain: Chain, to: Connection) -> Deployed:
    """The deployment that the address book names, whose code was compared with the chain.

    Whether it verifies proofs is asked by selector, see `Deployed.require_live`. Who governs it is not compared, for
    that changes by rule; `zkinfer chain verify-deployment` does.

    Raises AddressBookError, WrongChainError, DeploymentError or CodeMismatchError.
    """
    from zkinfer.contracts.address_book import read_book
    from zkinfer.contracts.deploy import verify_code

    book = read_book(book_path(to, chain.id))
    chain.require_id(book.chain_id)
    verify_code(chain, book.plan)
    return Deployed(chain, book)


def registered_as(circuit: Path, system: str, fee: int = 0, uri: str = "") -> Registration:
    """What is registered of a circuit for the verifier that `--selector` names; raises CircuitError."""
    from zkinfer.chain import registration_of
    from zkinfer.circuits.circuit import Circuit
    from zkinfer.contracts.registration import SELECTOR, dedicated_selector

    said = registration_of(Circuit.open(circuit), fee, uri)
    named = {"shared": SELECTOR, "dedicated": dedicated_selector(said.key_digest)}
    return replace(said, selector=named.get(system) or bytes.fromhex(system[2:]))


def _signer(paid: Payment, chain_id: int) -> Signer:
    from zkinfer.contracts.signers import RemoteSigner, load_keystore, unsafe_dev_account

    ways = {"--keystore": paid.keystore, "--signer": paid.signer, "--unsafe-dev-account": paid.unsafe_dev_account}
    if len(given := [name for name, value in ways.items() if value is not None]) != 1:
        said = " and ".join(given) + " are too many" if given else "nothing says who pays"
        raise typer.BadParameter(f"{said}: give --keystore FILE, or --signer URL with --account")
    if paid.keystore is not None:
        return load_keystore(paid.keystore, read_passphrase(paid.passphrase_file, confirm=False))
    if paid.unsafe_dev_account is not None:
        return unsafe_dev_account(paid.unsafe_dev_account, chain_id)
    if paid.signer is None or paid.account is None:
        raise typer.BadParameter("--signer needs --account, the address that is to sign")
    return RemoteSigner(paid.signer, paid.account)
