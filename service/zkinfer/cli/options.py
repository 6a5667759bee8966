"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The ONNX file.", show_default=False)]
CircuitFolder = Annotated[Path, typer.Argument(metavar="CIRCUIT", help="A folder that `zkinfer compile` made.")]
AttestationFile = Annotated[Path, typer.Argument(metavar="ATT.json", help="A file that `zkinfer prove` made.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="Read the key's passphrase from a file; otherwise it is asked for on the terminal."
    ),
]


def read_passphrase(path: Path | None, *, confirm: bool) -> bytes:
    """The passphrase from a file (its first line) or from the terminal; never from the command line."""
    if path is None:
        text: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
        return text.encode()
    from zkinfer.circuits.errors import InputError
    from zkinfer.circuits.oserrors import why

    try:
        lines = path.read_bytes().splitlines()
    except OSError as err:
        raise InputError(f"{path} cannot be read: {why(err)}.") from err
    if not lines or not lines[0]:
        raise InputError(f"{path} holds no passphrase.", "Write it on the first line.")
    return lines[0]
