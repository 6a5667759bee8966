"""Options shared by the chain commands: connection, account and fee limits."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from zkinfer.cli.console import long_work
from zkinfer.cli.options import PassphraseFile

_EXACT = Context(prec=80)  # the default of 28 digits is too few for some amounts of wei
_COINS = {"wei": 1, "gwei": 10**9, "ether": 10**18}


def parse_coin(text: object) -> int:
    """Wei: `0.01ether`, `20gwei`, `5wei` or `0`; raises typer.BadParameter for anything else, such as a bare number."""
    if isinstance(text, int):  # a default value
        return text
    word = str(text).strip().replace(" ", "").lower()
    number = word.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = _COINS.get(word[len(number) :], 1 if word == "0" else None)
    try:
        wei = _EXACT.multiply(Decimal(number), Decimal(unit or 1))
    except InvalidOperation:
        wei = Decimal("NaN")
    if unit is None or not (wei.is_finite() and wei >= 0 and wei == wei.to_integral_value() and wei < 1 << 96):
        raise typer.BadParameter(f"{word!r} is not an amount: write it as 0.01ether, 20gwei or 5wei")
    return int(wei)


def parse_address(text: object) -> str:
    """An address in lower case; raises typer.BadParameter for anything else."""
    return _hex(text, 40)


def parse_word(text: object) -> str:
    """32 bytes in lower-case hex; raises typer.BadParameter for anything else."""
    return _hex(text, 64)


def parse_selector(text: object) -> str:
    """4 bytes in lower-case hex; raises typer.BadParameter for anything else."""
    return _hex(text, 8)


def parse_verifier(text: object) -> str:
    """`shared`, `dedicated`, or a selector; raises typer.BadParameter for anything else."""
    word = str(text).strip().lower()
    return word if word in ("shared", "dedicated") else parse_selector(word)


def _hex(text: object, digits: int) -> str:
    word = str(text).strip().lower()
    if not (len(word) == 2 + digits and word.startswith("0x") and set(word[2:]) <= set("0123456789abcdef")):
        raise typer.BadParameter(f"{word[:80]!r} is not 0x and {digits} hex digits")
    return word


VerifierName = Annotated[
    str,
    typer.Option(
        "--selector",
        parser=parse_verifier,
        metavar="SELECTOR",
        help="The verifier: `shared` by all circuits, `dedicated` to this circuit, or a selector (0x...).",
    ),
]
SolcFile = Annotated[
    Path | None,
    typer.Option(
        envvar="ZKINFER_SOLC",
        help="The Solidity compiler in the pinned version. Default: solc or solcjs on PATH.",
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
    """Replace parameters of the types `Connection` and `Payment` with the options in them."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Connection] | type[Payment]] = {
        name: kind for name, kind in hints.items() if kind in (Connection, Payment)
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


def _parameters(kind: type[Connection] | type[Payment]) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=hints[one.name])
        for one in fields(kind)
    ]
