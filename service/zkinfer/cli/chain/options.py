"""What the commands share: how to reach a chain, who pays, what it may cost."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from zkinfer.cli.options import PassphraseFile

_EXACT = Context(prec=80)  # the usual 28 digits are fewer than an amount of wei may have
_COINS = {"wei": 1, "gwei": 10**9, "ether": 10**18}


def parse_coin(text: object) -> int:
    """Wei: `0.01ether`, `20gwei`, `5wei` or `0`; raises typer.BadParameter for any other, a bare number among them."""
    if isinstance(text, int):  # a default
        return text
    word = str(text).strip().replace(" ", "").lower()
    number = word.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = _COINS.get(word[len(number) :], 1 if word == "0" else None)
    try:
        wei = _EXACT.multiply(Decimal(number), Decimal(unit or 1))
    except InvalidOperation:
        wei = Decimal("NaN")
    if unit is None or not (wei.is_finite() and wei >= 0 and wei == wei.to_integral_value() and wei < 1 << 96):
        raise typer.BadParameter(f"{word!r} is no amount: write it as 0.01ether, 20gwei or 5wei")
    return int(wei)


def parse_address(text: object) -> str:
    """An address in lower case; raises typer.BadParameter for what is none."""
    return _hex(text, 40)


def parse_word(text: object) -> str:
    """32 bytes in lower-case hex; raises typer.BadParameter for what is none."""
    return _hex(text, 64)


def parse_selector(text: object) -> str:
    """4 bytes in lower-case hex; raises typer.BadParameter for what is none."""
    return _hex(text, 8)


def parse_system(text: object) -> str:
    """`shared`, `dedicated`, or a selector; raises typer.BadParameter for any other."""
    word = str(text).strip().lower()
    return word if word in ("shared", "dedicated") else parse_selector(word)


def _hex(text: object, digits: int) -> str:
    word = str(text).strip().lower()
    if not (len(word) == 2 + digits and word.startswith("0x") and set(word[2:]) <= set("0123456789abcdef")):
        raise typer.BadParameter(f"{word[:80]!r} is not 0x and {digits} hex digits")
    return word


System = Annotated[
    str,
    typer.Option(
        "--selector",
        parser=parse_system,
        metavar="SELECTOR",
        help="Of the verifier: shared is the one for all circuits, dedicated the one for this circuit alone; or 0x...",
    ),
]
SolcFile = Annotated[
    Path | None,
    typer.Option(
        envvar="ZKINFER_SOLC",
        help="The Solidity compiler, in the pinned version. Default: solc or solcjs, where PATH finds it.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Connection:
    """The chain, and the deployment on it."""

    rpc: Annotated[
        str | None,
        typer.Option(
            envvar="ZKINFER_RPC_URL", metavar="URL", help="The node. Default: a node of this machine, at port 8545."
        ),
    ] = None
    rpc_file: Annotated[Path | None, typer.Option(help="Read the URL, which may hold a key, from a file.")] = None
    deployment: Annotated[
        Path | None,
        typer.Option(
            envvar="ZKINFER_DEPLOYMENT",
            help="Address book of the deployment. Default: deployments/CHAINID.json in ZKINFER_HOME. One that is given "
            "here is compared with the chain first.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Payment:
    """Who signs and pays, and how much at most."""

    keystore: Annotated[
        Path | None, typer.Option(envvar="ZKINFER_KEYSTORE", help="Pay with the key in this encrypted JSON keystore.")
    ] = None
    passphrase_file: PassphraseFile = None
    signer: Annotated[
        str | None, typer.Option(metavar="URL", help="Have a remote signer sign (eth_signTransaction), for --account.")
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
            help="Pay with an account of a development chain, whose key everybody knows; refused on all others.",
        ),
    ] = None
    max_fee: Annotated[
        int,
        typer.Option(
            parser=parse_coin,
            metavar="AMOUNT",
            help="The most for a unit of gas, tip included.",
            show_default="200gwei",
        ),
    ] = 200 * 10**9
    max_tip: Annotated[
        int,
        typer.Option(
            parser=parse_coin,
            metavar="AMOUNT",
            help="The most that a block's maker gets of it.",
            show_default="2gwei",
        ),
    ] = 2 * 10**9
    max_cost: Annotated[
        int | None,
        typer.Option(
            parser=parse_coin, metavar="AMOUNT", help="The most for the whole command, fees it pays included."
        ),
    ] = None
    confirmations: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="Blocks to wait for, its own included. Default: 1 on this machine, 3 elsewhere."
        ),
    ] = None
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for each transaction.")] = 600.0
    resubmit_after: Annotated[
        float, typer.Option(min=1, help="Seconds without a block, after which fees are raised within the limits.")
    ] = 45.0
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing: try it, and say what it would cost.")] = (
        False
    )


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Connection` and `Payment` where its parameters have these types."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Connection] | type[Payment]] = {
        name: kind for name, kind in hints.items() if kind in (Connection, Payment)
    }

    def run(**given: Any) -> None:  # noqa: ANN401 - what typer parsed
        for name, kind in groups.items():
            given[name] = kind(**{one.name: given.pop(one.name) for one in fields(kind)})
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
