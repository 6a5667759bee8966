"""The options of `zkinfer verify` about the record on a chain, and the record that they require."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.options import Connection, rpc_url
from zkinfer.cli.console import require_extra

if TYPE_CHECKING:
    from zkinfer.verifier import ChainRecord

Rpc = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Require that the answer is recorded on a chain; URL of a node.",
    ),
]
RpcFile = Annotated[
    Path | None, typer.Option(help="Read the node's URL from a file, since it may contain a key.", show_default=False)
]
LedgerAddress = Annotated[
    str | None,
    typer.Option(
        "--ledger", metavar="0x...", help="Address of the ledger with the record, with --rpc.", show_default=False
    ),
]
DeploymentFile = Annotated[
    Path | None,
    typer.Option(
        "--deployment",
        help="The address book written by `zkinfer chain deploy`, instead of --ledger.",
        show_default=False,
    ),
]
RequestFile = Annotated[
    Path | None,
    typer.Option("--request", help="The request file, for nodes without old logs, with --rpc."),
]
Confirmations = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Minimum confirmations of the record, with --rpc. Default: its block must be final.",
    ),
]
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(slots=True)
class ChainOptions:
    """Options about the record on a chain."""

    rpc: str | None = None
    rpc_file: Path | None = None
    ledger: str | None = None
    deployment: Path | None = None
    request: Path | None = None
    confirmations: int | None = None

    def __post_init__(self) -> None:
        """Reject options that would have no effect, and a node without a ledger."""
        if self.rpc is not None and self.rpc_file is not None:
            raise typer.BadParameter("--rpc and --rpc-file exclude each other")
        if not self.is_required:
            self._reject_unused()
        elif (self.ledger is None) == (self.deployment is None):
            raise typer.BadParameter("--rpc needs a ledger: name it with --ledger, or with --deployment")
        if self.ledger is not None and _ADDRESS.fullmatch(self.ledger) is None:
            raise typer.BadParameter(f"{self.ledger!r} is not an address: write it as 0x and 40 hex digits")

    @property
    def is_required(self) -> bool:
        """Whether a record on a chain is required."""
        return self.rpc is not None or self.rpc_file is not None

    @property
    def url(self) -> str | None:
        """The node's URL, which may contain a secret; raises InputError if its file cannot be read."""
        return rpc_url(Connection(self.rpc, self.rpc_file)) if self.is_required else None

    def _reject_unused(self) -> None:
        for name in ("ledger", "deployment", "request", "confirmations"):
            if getattr(self, name) is not None:
                raise typer.BadParameter(f"--{name} has no effect without --rpc, the URL of a node")


def chain_record(options: ChainOptions) -> ChainRecord | None:
    """The record to check; None without --rpc. Nothing else in this command loads chain libraries.

    Raises:
        NodeError: the URL is not acceptable.
        LedgerError: the address book is invalid.
        InputError: the file of the URL or of the request is invalid, or a library is missing.
    """
    url = options.url
    if url is None:
        return None
    with require_extra("chain"):
        from zkinfer.chain import read_request
        from zkinfer.chain.records import LedgerRecord

    ledger = options.deployment or str(options.ledger).lower()
    request = None if options.request is None else read_request(options.request).request
    return LedgerRecord.connect(url, ledger, confirmations=options.confirmations, request=request)
