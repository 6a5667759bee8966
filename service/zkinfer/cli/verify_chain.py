"""What `zkinfer verify` asks of a chain: the options, and the record that they name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.access import rpc_url
from zkinfer.cli.chain.options import Connection
from zkinfer.cli.console import needing

if TYPE_CHECKING:
    from zkinfer.verifier import ChainRecord

Rpc = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Require that a chain has the answer on record; the address of a node to ask.",
    ),
]
RpcFile = Annotated[
    Path | None, typer.Option(help="Read the node's URL, which may hold a key, from a file.", show_default=False)
]
LedgerAddress = Annotated[
    str | None,
    typer.Option("--ledger", metavar="0x...", help="The ledger that must have it, with --rpc.", show_default=False),
]
DeploymentFile = Annotated[
    Path | None,
    typer.Option(
        "--deployment", help="Or the file that `zkinfer chain deploy` wrote, which names it.", show_default=False
    ),
]
RequestFile = Annotated[
    Path | None,
    typer.Option("--request", help="The file of the request, for a node that keeps no old logs, with --rpc."),
]
Confirmations = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many blocks the record must have, its own included, with --rpc. Default: the chain must call it "
        "final.",
    ),
]
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(slots=True)
class ChainWanted:
    """The record that the caller asks for, as given on the command line."""

    rpc: str | None = None
    rpc_file: Path | None = None
    ledger: str | None = None
    deployment: Path | None = None
    request: Path | None = None
    confirmations: int | None = None

    def __post_init__(self) -> None:
        """Refuse options that would go unused, and a chain without a ledger."""
        if self.rpc is not None and self.rpc_file is not None:
            raise typer.BadParameter("--rpc and --rpc-file both name a node: give one of them")
        if not self.asked:
            self._refuse_idle()
        elif (self.ledger is None) == (self.deployment is None):
            raise typer.BadParameter("--rpc needs a ledger to ask for: name it with --ledger, or with --deployment")
        if self.ledger is not None and _ADDRESS.fullmatch(self.ledger) is None:
            raise typer.BadParameter(f"{self.ledger!r} is no address: write it as 0x and 40 hex digits")

    @property
    def asked(self) -> bool:
        """Whether a chain is to be asked at all."""
        return self.rpc is not None or self.rpc_file is not None

    @property
    def url(self) -> str | None:
        """The node's URL, which may hold a secret; raises InputError for a file that cannot be read."""
        return rpc_url(Connection(self.rpc, self.rpc_file)) if self.asked else None

    def _refuse_idle(self) -> None:
        for name in ("ledger", "deployment", "request", "confirmations"):
            if getattr(self, name) is not None:
                raise typer.BadParameter(f"--{name} says something about a chain: name its node with --rpc")


def record_of(wanted: ChainWanted) -> ChainRecord | None:
    """What the verifier is to ask; None without --rpc. Only this loads what talks to chains.

    Raises:
        NodeError: the URL is not one of a node.
        LedgerError: the file of the deployment is not one.
        InputError: the file of the URL or of the request is not one, or a library is missing.
    """
    url = wanted.url
    if url is None:
        return None
    with needing("chain"):
        from zkinfer.chain import read_request
        from zkinfer.chain.records import LedgerRecord

    ledger = wanted.deployment or str(wanted.ledger).lower()
    request = None if wanted.request is None else read_request(wanted.request).request
    return LedgerRecord.over(url, ledger, confirmations=wanted.confirmations, request=request)
