"""The command `zkinfer oracle audit`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.options import Connection, expand_options, open_chain, open_deployment, parse_word
from zkinfer.cli.console import (
    REFUSED,
    exit_on_error,
    plain,
    print_detailed,
    print_json,
    print_result,
    print_table,
    say,
)
from zkinfer.cli.options import AcceptDevSetup, AcceptEngine, AsJson
from zkinfer.cli.oracle.options import hub_of, require_oracle, utc

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from zkinfer.chain.deployment import Deployed
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.contracts.feed_events import ReportedRound
    from zkinfer.contracts.feed_formats import FeedSpec
    from zkinfer.oracle.audit import Auditor, RoundVerdict


def parse_feed(text: object) -> str:
    """A feed's id, also from the path of its file; raises typer.BadParameter for anything else."""
    path = Path(str(text))
    if not path.is_file():
        return parse_word(text)
    from zkinfer.circuits.errors import InputError
    from zkinfer.oracle.specs import read_feed

    try:
        return read_feed(path).id
    except InputError as err:
        raise typer.BadParameter(str(err)) from err


@expand_options
def audit_command(
    feed: Annotated[
        str,
        typer.Option(
            parser=parse_feed, metavar="ID|FEED.json", help="The feed's id, 0x0003..., or its file.", show_default=False
        ),
    ],
    model: Annotated[Path, typer.Option(help="Your own copy of the ONNX file.", show_default=False)],
    circuit: Annotated[Path, typer.Option(help="The feed's circuit, as published; a folder.", show_default=False)],
    connection: Connection,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR|URL",
            help="The published files: a folder, or the URL of a report server; repeatable.",
            show_default="sources",
        ),
    ] = None,
    number: Annotated[int | None, typer.Option("--round", min=0, help="Audit this round.", show_default=False)] = None,
    last: Annotated[int, typer.Option(min=1, max=100_000, help="Audit so many of the newest reports.")] = 100,
    unsafe_accept_dev_setup: AcceptDevSetup = False,
    accept_engine: AcceptEngine = None,
    as_json: AsJson = False,
) -> None:
    """Derive the rounds of a feed again, from chain data and published files alone.

    Rebuilds the circuit from your ONNX file, and compares the feed's listing with it. Then for each report: the source
    file by its hash, the inputs by the recipe, the answer by the circuit, the signatures and the proof. Exits with 1 if
    a round does not hold.

    Example: zkinfer oracle audit --feed 0x0003... --model vol.onnx --circuit vol.circuit --last 100
    """
    with exit_on_error(as_json=as_json):
        require_oracle()
        from zkinfer.circuits.manifest import Circuit

        deployed = open_deployment(open_chain(connection), connection)
        spec, opened = _spec(deployed, feed), Circuit.open(circuit)
        _require_listing(deployed, spec, opened, model, dev=unsafe_accept_dev_setup, engines=accept_engine or ())
        auditor = _auditor(deployed, spec, opened, sources or ["sources"])
        verdicts = list(_verdicts(deployed, feed, auditor, number, last))
        _show(verdicts, spec.decimals)
        failed = sum(not one.holds for one in verdicts)
        if as_json:
            rounds = [one.document for one in verdicts]
            print_json({"ok": not failed, "feed": feed, "decimals": spec.decimals, "rounds": rounds})
    if failed or not verdicts:
        raise typer.Exit(REFUSED)


def _spec(deployed: Deployed, feed: str) -> FeedSpec:
    """The feed's specification, whose hash is compared with its id: so the node cannot lie about it."""
    from zkinfer.contracts.feed_formats import feed_id
    from zkinfer.oracle.errors import AuditError

    spec = hub_of(deployed).spec_of(feed)
    if feed_id(spec) != feed:
        raise AuditError(f"The node's specification is of the feed {feed_id(spec)}.", "Ask another node.")
    return spec


def _require_listing(
    deployed: Deployed, spec: FeedSpec, circuit: Circuit, model: Path, *, dev: bool, engines: Collection[str]
) -> None:
    from zkinfer.chain.listings import verify_listing
    from zkinfer.circuits.home import Home

    verify_listing(
        deployed.chain,
        deployed.book,
        spec.listing,
        circuit,
        model,
        Home.from_environment(),
        unsafe_accept_dev_setup=dev,
        accept_engines=engines,
    )
    print_detailed("[green]✓[/] the listing is of this model", spec.listing)


def _auditor(deployed: Deployed, spec: FeedSpec, circuit: Circuit, sources: list[str]) -> Auditor:
    from zkinfer.circuits.engines import engine_named
    from zkinfer.circuits.home import Home
    from zkinfer.oracle.answers import require_fit
    from zkinfer.oracle.audit import Auditor, published_observation, recipe_of
    from zkinfer.oracle.onchain import chain_observation
    from zkinfer.oracle.published import published_at

    published, manifest, chain = published_at(*sources), circuit.manifest, deployed.chain
    recipe = recipe_of(spec, published)
    require_fit(circuit, spec, recipe)
    setups = Home.from_environment().setups
    return Auditor(
        spec=spec,
        observe=published_observation(recipe, published) if spec.signed else chain_observation(chain, spec, recipe),
        signers_of=hub_of(deployed).signers_of,
        circuit=circuit,
        engine=engine_named(manifest.recipe.engine),
        setup=setups.find_or_generate(manifest.program.setup_size, manifest.recipe.setup.ceremony).path,
    )


def _verdicts(deployed: Deployed, feed: str, auditor: Auditor, number: int | None, last: int) -> Iterator[RoundVerdict]:
    from zkinfer.contracts.feed_events import posted_payload, reported_rounds

    hub = hub_of(deployed).address
    found: Iterator[ReportedRound] = reported_rounds(deployed.chain, hub, feed)
    if number is not None:
        found = (one for one in found if one.round == number)
    for one in islice(found, last):
        yield auditor.audit(one, posted_payload(deployed.chain, hub, one))


def _show(verdicts: list[RoundVerdict], decimals: int) -> None:
    from rich.table import Table

    from zkinfer.contracts.feed_formats import in_decimals

    if not verdicts:
        say("[bold red]error:[/] The feed has no such reports on this chain.")
        say("       Check --feed, --round and --rpc, or post one: zkinfer oracle post")
        return
    table = Table("round", "observed", "level", "reported", "derived", "signatures", "proof", "verdict", box=None)
    for one in verdicts:
        when, reported = utc(one.reported.observed_at), in_decimals(one.reported.answer, decimals)
        derived = "" if one.answer is None else in_decimals(one.answer, decimals)
        signed = "not in the transaction" if one.signatures is None else one.signatures
        verdict = "[green]holds[/]" if one.holds else f"[bold red]does not hold[/]: {plain(one.problem)}"
        level = one.reported.level.name.lower()
        cells = (one.reported.round, when, level, reported, derived, signed, one.proof)
        table.add_row(*map(str, cells), verdict)
    print_table(table)
    held = sum(one.holds for one in verdicts)
    print_result(f"{held} of {len(verdicts)} reports hold")
