"""Options shared by the chain commands, and the chain, the paying account and the deployment that they name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from zkinfer.circuits.engines import ENGINES, engine_named, engines_by_name
from zkinfer.circuits.errors import InputError, why
from zkinfer.cli.console import long_work, plain, print_result, require_extra
from zkinfer.cli.options import PassphraseFile, read_passphrase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zkinfer.chain.deployment import Deployed
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.signers import Signer


def parse_coin(text: object) -> int:
    """Wei: `0.01ether`, `20gwei`, `5wei` or `0`; raises typer.BadParameter for anything else, such as a bare number."""
    if isinstance(text, int):  # a default value
        return text
    from zkinfer.contracts.amounts import parse_wei

    try:
        return parse_wei(str(text))
    except ValueError as err:
        raise typer.BadParameter(str(err)) from err


def parse_address(text: object) -> str:
    """An address in lower case; raises typer.BadParameter for anything else."""
    return _hex(text, 40)


def parse_word(text: object) -> str:
    """32 bytes in lower-case hex; raises typer.BadParameter for anything else."""
    return _hex(text, 64)


def parse_selector(text: object) -> str:
    """4 bytes in lower-case hex, also for the name of an engine; raises typer.BadParameter for anything else."""
    word = str(text).strip().lower()
    selector = engine_named(word).evm_selector if word in ENGINES else None
    return _hex(word, 8) if selector is None else "0x" + selector.hex()


def selector_bytes(text: str | None) -> bytes | None:
    """The bytes of a parsed selector; None if none was given."""
    return None if text is None else bytes.fromhex(text[2:])


def _hex(text: object, digits: int) -> str:
    word = str(text).strip().lower()
    if not (len(word) == 2 + digits and word.startswith("0x") and set(word[2:]) <= set("0123456789abcdef")):
        raise typer.BadParameter(f"{word[:80]!r} is not 0x and {digits} hex digits")
    return word


VerifierName = Annotated[
    str | None,
    typer.Option(
        "--selector",
        parser=parse_selector,
        metavar="SELECTOR",
        help="The verifier: an engine's name, or a selector (0x...). Default: that of the circuit's engine.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Connection:
    """The chain and the deployment."""

    rpc: Annotated[
        str | None,
        typer.Option(
            envvar="ZKINFER_RPC_URL", metavar="URL", help="URL of the node. Default: this machine, port 8545."
        ),
    ] = None
    rpc_file: Annotated[Path | None, typer.Option(help="Read the URL from a file, since it may contain a key.")] = None
    deployment: Annotated[
        Path | None,
        typer.Option(
            envvar="ZKINFER_DEPLOYMENT",
            help="Address book of the deployment, compared with the chain first. Default: deployments/CHAINID.json in "
            "ZKINFER_HOME.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Payment:
    """The account that signs and pays, and the fee limits."""

    keystore: Annotated[
        Path | None, typer.Option(envvar="ZKINFER_KEYSTORE", help="Pay with the key in this encrypted JSON keystore.")
    ] = None
    passphrase_file: PassphraseFile = None
    signer: Annotated[
        str | None, typer.Option(metavar="URL", help="URL of a remote signer (eth_signTransaction) for --account.")
    ] = None
    account: Annotated[
        str | None, typer.Option(parser=parse_address, metavar="ADDRESS", help="The account of the remote signer.")
    ] = None
    unsafe_dev_account: Annotated[
        int | None,
        typer.Option(
            "--unsafe-dev-account",
            min=0,
            max=9,
            help="Pay with an account of a development chain, whose key is public; rejected on other chains.",
        ),
    ] = None
    max_fee: Annotated[
        int,
        typer.Option(
            parser=parse_coin,
            metavar="AMOUNT",
            help="Maximum fee per gas, including the tip.",
            show_default="200gwei",
        ),
    ] = 200 * 10**9
    max_tip: Annotated[
        int,
        typer.Option(
            parser=parse_coin,
            metavar="AMOUNT",
            help="Maximum priority fee per gas.",
            show_default="2gwei",
        ),
    ] = 2 * 10**9
    max_cost: Annotated[
        int | None,
        typer.Option(
            parser=parse_coin,
            metavar="AMOUNT",
            help="Maximum total cost of the command, including fees paid into escrow.",
        ),
    ] = None
    confirmations: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Confirmations to wait for. Default: 1 on this machine, 3 elsewhere."),
    ] = None
    timeout: Annotated[float, typer.Option(min=1, help="Timeout of each transaction, in seconds.")] = 600.0
    resubmit_after: Annotated[
        float,
        typer.Option(
            min=1, help="Raise the fees, within the limits, after this many seconds without inclusion in a block."
        ),
    ] = 45.0
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing: simulate the transactions and show their cost.")
    ] = False


def expand_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace parameters whose types are dataclasses, such as `Connection`, with the options in them."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Any]] = {
        name: kind for name, kind in hints.items() if isinstance(kind, type) and is_dataclass(kind)
    }

    def run(**given: Any) -> None:  # noqa: ANN401 - parsed by typer
        for name, kind in groups.items():
            given[name] = kind(**{one.name: given.pop(one.name) for one in fields(kind)})
        with long_work("working"):
            command(**given)

    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            parameters += _parameters(groups[name])
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name]))
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    vars(run)["__signature__"] = inspect.Signature(parameters)
    return run


def _parameters(kind: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=hints[one.name])
        for one in fields(kind)
    ]


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


def verifier_facts(states: Mapping[str, str]) -> dict[str, str]:
    """The states of verifiers by selector, named by their engines for people."""
    engines = {f"0x{(engine.evm_selector or b'').hex()}": name for name, engine in engines_by_name().items()}
    return {f"verifier {engines.get(one, '')} {one}".replace("  ", " "): state for one, state in states.items()}


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
        url, signer=lambda chain_id: open_signer(payment, chain_id), limits=limits, dry_run=payment.dry_run
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


def open_signer(payment: Payment, chain_id: int) -> Signer:
    """The account that signs and pays; raises typer.BadParameter unless exactly one is given, or ChainError."""
    from zkinfer.contracts.signers import RemoteSigner, load_keystore, unsafe_dev_account

    accounts = {
        "--keystore": payment.keystore,
        "--signer": payment.signer,
        "--unsafe-dev-account": payment.unsafe_dev_account,
    }
    if len(given := [name for name, value in accounts.items() if value is not None]) != 1:
        problem = " and ".join(given) + " exclude each other" if given else "no paying account is given"
        raise typer.BadParameter(
            f"{problem}: give --keystore FILE, or --signer URL with --account; on a development chain, "
            "--unsafe-dev-account N"
        )
    if payment.keystore is not None:
        return load_keystore(payment.keystore, read_passphrase(payment.passphrase_file, confirm=False))
    if payment.unsafe_dev_account is not None:
        return unsafe_dev_account(payment.unsafe_dev_account, chain_id)
    if payment.signer is None or payment.account is None:
        raise typer.BadParameter("--signer needs --account, the address that signs")
    return RemoteSigner(payment.signer, payment.account)
