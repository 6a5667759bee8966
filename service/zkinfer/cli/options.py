"""Options and value parsers that several commands share."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.circuits.engines import ENGINES

if TYPE_CHECKING:
    from zkinfer.verifier import SigningKey

AUTO = "auto"


def parse_engine(text: str) -> str:
    """The name of a registered engine; raises typer.BadParameter for any other."""
    return _one_of(text, *ENGINES)


def parse_engine_choice(text: str) -> str:
    """The name of a registered engine, or `auto`; raises typer.BadParameter for any other."""
    return _one_of(text, *ENGINES, AUTO)


def _one_of(text: str, *names: str) -> str:
    if text not in names:
        raise typer.BadParameter(f"{text!r} is not one of: {', '.join(names)}")
    return text


EngineChoice = Annotated[
    str,
    typer.Option(
        "--engine",
        parser=parse_engine_choice,
        metavar="|".join([*ENGINES, AUTO]),
        help="The proving engine; auto takes the cheapest one that can prove the model within the budget, and says "
        "which and why.",
    ),
]
EngineName = Annotated[
    str,
    typer.Option("--engine", parser=parse_engine, metavar="|".join(ENGINES), help="The proving engine."),
]
AcceptEngine = Annotated[
    list[str] | None,
    typer.Option(
        parser=parse_engine,
        metavar="|".join(ENGINES),
        help="Accept proofs of this engine too; required for an experimental one. Repeatable.",
    ),
]
AcceptDevSetup = Annotated[
    bool,
    typer.Option("--unsafe-accept-dev-setup", help="Accept insecure-dev, under which anyone can forge proofs."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The ONNX file.", show_default=False)]
CircuitFolder = Annotated[Path, typer.Argument(metavar="CIRCUIT", help="A circuit folder made by `zkinfer compile`.")]
AttestationFile = Annotated[Path, typer.Argument(metavar="ATT.json", help="An attestation made by `zkinfer prove`.")]
StateFolder = Annotated[
    Path | None,
    typer.Option(
        "--state",
        envvar="ZKINFER_STATE",
        help="Folder of jobs, attestations and tokens. Default: state in ZKINFER_HOME; if that is not set, zkinfer in "
        "XDG_STATE_HOME or ~/.local/state.",
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="Read the key's passphrase from a file. Default: prompt on the terminal."),
]


def parse_share(text: object) -> float:
    """`0.5%` and `0.005` as 0.005; raises typer.BadParameter unless it is between 0 and 1."""
    word = str(text).strip()
    whole = 100 if word.endswith("%") else 1
    try:
        number = Decimal(word.removesuffix("%"))
    except InvalidOperation:
        number = Decimal("NaN")
    if not (number.is_finite() and 0 <= number <= whole):
        raise typer.BadParameter(f"{word!r} is not a share: write it as 0.5% or 0.005, between 0 and 100%")
    return float(number / whole)


def parse_amount(text: object) -> float:
    """A finite number that is not negative; raises typer.BadParameter for anything else."""
    try:
        number = float(str(text))
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise typer.BadParameter(f"{str(text)!r} is not an amount: write a number, 0 or more")
    return number


def parse_size(text: object) -> int:
    """Bytes: `4GB`, `500 MB`, `2GiB` or a plain number; raises typer.BadParameter for anything else."""
    word = str(text).strip().replace(" ", "")
    number = word.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = _UNITS.get(word[len(number) :].lower())
    try:
        count = Decimal(number) * (unit or 1)
    except InvalidOperation:
        count = Decimal("NaN")
    if unit is None or not (count.is_finite() and count >= 1):
        raise typer.BadParameter(f"{word!r} is not a size: write it as 500MB or 4GB")
    return int(count)


_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}


def read_passphrase(path: Path | None, *, confirm: bool) -> bytes:
    """The passphrase from a file (its first line) or from the terminal; never from the command line."""
    if path is None:
        text: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
        return text.encode()
    from zkinfer.circuits.storage import read_passphrase_file

    return read_passphrase_file(path)


def key_passphrase(key: Path, passphrase_file: Path | None) -> bytes | None:
    """The passphrase of a signing key, from a file or the terminal; None if the key is not encrypted."""
    from zkinfer.verifier import is_encrypted

    return read_passphrase(passphrase_file, confirm=False) if is_encrypted(key) else None


def open_signing_key(key: Path, passphrase_file: Path | None) -> SigningKey:
    """A signing key, with its passphrase if it is encrypted; raises KeyFileError if it cannot be used."""
    from zkinfer.verifier import load_signing_key

    return load_signing_key(key, passphrase=key_passphrase(key, passphrase_file))


def parse_period(text: object) -> timedelta:
    """`90s`, `15m`, `12h`, `30d` or `52w`; raises typer.BadParameter for anything else."""
    word = str(text).strip()
    number, unit = word[:-1], _PERIODS.get(word[-1:])
    if unit is None or not (number.isascii() and number.isdecimal() and 0 < int(number) <= 100_000):
        raise typer.BadParameter(f"{word!r} is not a period: write it as 12h, 30d or 52w")
    return int(number) * unit


def parse_moment(text: object) -> datetime:
    """`2026-11-30` (its beginning) or `2026-11-30T12:00:00Z`, in UTC; raises typer.BadParameter for anything else."""
    word = str(text).strip()
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(word, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise typer.BadParameter(f"{word!r} is not a date: write it as 2026-11-30 or 2026-11-30T12:00:00Z, in UTC")


_PERIODS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
