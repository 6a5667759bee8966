"""The command `zkinfer oracle create`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    expand_options,
    open_chain,
    open_deployment,
    parse_address,
    show_dry_run,
    show_sent,
    transactions_report,
)
from zkinfer.cli.console import exit_on_error, print_detailed, print_facts, print_json, say
from zkinfer.cli.options import AsJson
from zkinfer.cli.oracle.options import FeedArgument, SourceOption, hub_of, require_oracle

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.chain.deployment import Deployed
    from zkinfer.contracts.feed_formats import SignerConfig
    from zkinfer.contracts.feeds import FeedHub
    from zkinfer.oracle.specs import FeedFile

Signers = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS,...",
        help="The accounts that sign the reports. Default: those in the feed file.",
        show_default=False,
    ),
]


@expand_options
def create_command(
    feed: FeedArgument,
    connection: Connection,
    payment: Payment,
    source: SourceOption = None,
    signers: Signers = None,
    threshold: Annotated[
        int | None, typer.Option(min=1, max=31, help="How many of them must sign. Default: a majority.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a feed on a chain, with its signers and the two faces that contracts read; or give it other signers.

    The faces have Chainlink's AggregatorV3Interface: one serves signed answers, one only proven answers. The chosen
    signers are written to the feed file. Run it once for each chain, as the feed's owner. Re-running is idempotent.

    Example: zkinfer oracle create vol.feed.json --signers 0x...,0x... --threshold 2 --keystore owner.json
    """
    chosen = None if signers is None else [parse_address(one) for one in signers.split(",")]
    if threshold is not None and chosen is None:
        raise typer.BadParameter("--threshold needs --signers")
    with exit_on_error(as_json=as_json):
        require_oracle()
        from zkinfer.oracle.specs import read_feed, write_feed

        found = read_feed(feed)
        if chosen is not None:
            found = found.with_signers(_config(chosen, threshold))
        deployed = open_deployment(open_chain(connection, payment), connection)
        if not found.spec.signed:
            _create_source(deployed, found, source)
        faces = _create(deployed, found)
        chain = deployed.chain
        if chain.sends:
            write_feed(feed, found)
            print_detailed(f"[green]✓[/] feed {found.id}", f"on chain {chain.id}")
        hub = hub_of(deployed).address
        print_facts({"hub": hub, **{f"{name} face": one for name, one in faces.items()}})
        (show_sent if chain.sends else show_dry_run)(chain)
        if as_json:
            created = {"feed": found.id, "hub": hub, "faces": faces, "config": found.config_digest}
            print_json({"ok": True, **created, **transactions_report(chain)})


def _config(chosen: list[str], threshold: int | None) -> SignerConfig:
    from zkinfer.contracts.feed_formats import SignerConfig

    return SignerConfig.of(chosen, threshold or len(chosen) // 2 + 1)


def _create_source(deployed: Deployed, feed: FeedFile, source: Path | None) -> None:
    """Create the contract that gives the inputs; its address in the feed file says which one it must be."""
    from zkinfer.contracts.deploy import create
    from zkinfer.oracle.errors import RecipeError
    from zkinfer.oracle.proposals import source_part
    from zkinfer.oracle.sources.settings import SourceSettings

    if deployed.chain.code(feed.spec.source):
        return
    aggregator = None if source is None else SourceSettings.from_toml(source).aggregator
    if aggregator is None:
        raise RecipeError("The contract that gives the feed's inputs is not there.", "Give --source, with aggregator.")
    part = source_part(aggregator, feed.recipe, feed.spec.tick, feed.spec.max_age)
    if part.address != feed.spec.source:
        raise RecipeError(
            f"The feed's inputs come from {feed.spec.source}; this source would be {part.address}.",
            "Give the --source with which the feed was made.",
        )
    create(deployed.chain, part)


def _create(deployed: Deployed, feed: FeedFile) -> dict[str, str]:
    """Create what is missing; returns the addresses of the faces by level."""
    from zkinfer.contracts.feed_formats import Level
    from zkinfer.contracts.feed_parts import deploy_face, face_of

    hub, levels = hub_of(deployed), (Level.ATTESTED, Level.PROVEN)
    if _create_feed(hub, feed):
        for level in levels:
            deploy_face(deployed.chain, hub.address, feed.id, level)
    return {level.name.lower(): face_of(hub.address, feed.id, level).address for level in levels}


def _create_feed(hub: FeedHub, feed: FeedFile) -> bool:
    """Create the feed or give it these signers; False in a rehearsal whose next step needs the one before."""
    if feed.config is not None:
        hub.configure(feed.config)
        if hub.signers_of(feed.config_digest) is None:
            say("  [dim]the feed itself can be simulated once its signers are set[/]")
            return False
    hub.create(feed.spec, feed.config_digest)
    if not hub.exists(feed.id):
        say("  [dim]the faces can be simulated once the feed exists[/]")
        return False
    if feed.config is not None:
        hub.choose(feed.id, feed.config_digest)
    return True
