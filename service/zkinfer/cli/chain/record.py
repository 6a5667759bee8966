"""The options of `zkinfer verify` about the record on a chain, and the record that they require."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.options import Connection, rpc_url
from zkinfer.cli.console import require_extra

if TYPE_CHECKING:
    from zkinfer.verifier import ChainRecord

Rpcs = Annotated[
    list[str] | None,
    typer.Option(
        "--rpc",
        metavar="URL",
        help="Require that the answer is recorded on a chain; URL of a node. Repeatable: all nodes must say the same.",
    ),
]
RpcFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--rpc-file",
        help="Read a node's URL from a file, since it may contain a key; repeatable, also beside --rpc.",
        show_default=False,
    ),
]
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

    rpc: list[str] = field(default_factory=list)
    rpc_file: list[Path] = field(default_factory=list)
    ledger: str | None = None
    deployment: Path | None = None
    request: Path | None = None
    confirmations: int | None = None

    def __post_init__(self) -> None:
        """Reject options that would have no effect, and a node without a ledger."""
        if not self.is_required:
            self._reject_unused()
        elif (self.ledger is None) == (self.deployment is None):
            raise typer.BadParameter("--rpc needs a ledger: name it with --ledger, or with --deployment")
        if self.ledger is not None and _ADDRESS.fullmatch(self.ledger) is None:
            raise typer.BadParameter(f"{self.ledger!r} is not an address: write it as 0x and 40 hex digits")

    @property
    def is_required(self) -> bool:
        """Whether a record on a chain is required."""
        return bool(self.rpc or self.rpc_file)

    @property
    def urls(self) -> list[str]:
        """The nodes' URLs, which may contain secrets; raises InputError if a file cannot be read."""
        return [*self.rpc, *(rpc_url(Connection(None, file)) for file in self.rpc_file)]

    def _reject_unused(self) -> None:
        for name in ("ledger", "deployment", "request", "confirmations"):
            if getattr(self, name) is not None:
                raise typer.BadParameter(f"--{name} has no effect without --rpc, the URL of a node")


def chain_record(options: ChainOptions) -> ChainRecord | None:
    """The record to check; None without --rpc. Nothing else in this command loads chain libraries.

    Raises:
        NodeError: a URL is not acceptable, or two are of the same node.
        LedgerError: the address book is invalid.
        InputError: the file of the URL or of the request is invalid, or a library is missing.
    """
    urls = options.urls
    if not urls:
        return None
    with require_extra("chain"):
        from zkinfer.chain import read_request
        from zkinfer.chain.agreement import AgreeingNodes
        from zkinfer.chain.records import LedgerRecord

    ledger = options.deployment or str(options.ledger).lower()
    request = None if options.request is None else read_request(options.request).request
    if len(urls) == 1:
        return LedgerRecord.connect(urls[0], ledger, confirmations=options.confirmations, request=request)
    return AgreeingNodes.connect(urls, ledger, confirmations=options.confirmations, request=request)
