"""Options that the commands of feeds share."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.console import require_extra

if TYPE_CHECKING:
    from zkinfer.chain.deployment import Deployed
    from zkinfer.contracts.feeds import FeedHub

FeedArgument = Annotated[
    Path, typer.Argument(metavar="FEED.json", help="A feed file made by `zkinfer oracle init`.", show_default=False)
]
SourceOption = Annotated[
    Path | None,
    typer.Option("--source", help="Where the numbers come from: a file in TOML.", show_default=False),
]


def require_oracle() -> None:
    """Raise InputError, which names the extra to install, if a library of feeds is missing."""
    with require_extra("oracle"):
        import httpx2  # noqa: F401 - the others belong to extras that it includes

        from zkinfer.contracts import rpc  # noqa: F401


def utc(time: int) -> str:
    """A time in Unix seconds as people read it."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%SZ}"


def hub_of(deployed: Deployed) -> FeedHub:
    """The hub of a deployment."""
    from zkinfer.contracts.feeds import FeedHub

    return FeedHub(deployed.chain, deployed.book.addresses["FeedHub"])
