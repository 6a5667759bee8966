"""The commands `zkinfer oracle report` and `post`."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    expand_options,
    open_chain,
    open_deployment,
    show_dry_run,
    show_sent,
    transactions_report,
)
from zkinfer.cli.console import (
    exit_on_error,
    plain,
    print_detailed,
    print_facts,
    print_json,
    print_result,
    progress_display,
    spelled_out,
)
from zkinfer.cli.options import AsJson, PassphraseFile, parse_moment, read_passphrase
from zkinfer.cli.oracle.options import FeedArgument, SourceOption, hub_of, require_oracle, utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.cli.console import ProgressDisplay
    from zkinfer.contracts.feed_formats import FeedPayload, HashSigner
    from zkinfer.oracle.models import CircuitModel
    from zkinfer.oracle.specs import FeedFile

NewReport = Annotated[Path, typer.Option(help="The report to write; must not exist.", show_default=False)]
Round = Annotated[
    int | None, typer.Option("--round", min=0, help="With --server: the round to fetch. Default: the latest.")
]


CircuitOption = Annotated[
    Path | None, typer.Option("--circuit", help="The feed's circuit; a folder.", show_default=False)
]
Keystores = Annotated[
    list[Path] | None,
    typer.Option(
        "--keystore", help="Sign with the key in this encrypted JSON keystore; repeatable.", show_default=False
    ),
]
DevAccounts = Annotated[
    list[int] | None,
    typer.Option(
        "--unsafe-dev-account",
        min=0,
        max=9,
        help="Sign with an account of a development chain, whose key is public; repeatable.",
        show_default=False,
    ),
]
Rpc = Annotated[
    str | None,
    typer.Option(
        envvar="ZKINFER_RPC_URL",
        metavar="URL",
        help="For a source on a chain: URL of the node. Default: this machine, port 8545.",
    ),
]
RpcFile = Annotated[Path | None, typer.Option(help="Read the URL from a file, since it may contain a key.")]
Sources = Annotated[
    Path | None, typer.Option(help="Folder for the files to publish. Default: sources beside the report.")
]
Server = Annotated[
    str | None, typer.Option(metavar="URL", help="Fetch the report from this report server instead of making it.")
]
At = Annotated[
    datetime | None,
    typer.Option(parser=parse_moment, metavar="TIME", help="With --server: fetch the round of this time, in UTC."),
]


def report_command(
    feed: FeedArgument,
    out: NewReport,
    circuit: CircuitOption = None,
    source: SourceOption = None,
    keystore: Keystores = None,
    passphrase_file: PassphraseFile = None,
    unsafe_dev_account: DevAccounts = None,
    prove: Annotated[bool, typer.Option("--prove", help="Add the proof of the answer.")] = False,
    rpc: Rpc = None,
    rpc_file: RpcFile = None,
    sources: Sources = None,
    server: Server = None,
    number: Round = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Make the report of a round: read the source, run the circuit, sign, prove. Or fetch one from a report server.

    The report can be posted on every chain that has the feed, by anybody: `zkinfer oracle post`. The numbers of the
    source and the recipe are written as files beside it, named by their hashes; publish them for auditors.

    Example: zkinfer oracle report vol.feed.json --circuit vol.circuit --source source.toml --keystore signer.json
    --prove --out report.bin
    """
    if (server is None) == (circuit is None or source is None):
        raise typer.BadParameter("give either --server URL, or --circuit and --source")
    if server is None and (number is not None or at is not None):
        raise typer.BadParameter("a report is made of the present round; --round and --at need --server")
    with exit_on_error(as_json=as_json):
        require_oracle()
        from zkinfer.circuits.storage import refuse_existing, write_atomically
        from zkinfer.oracle.specs import read_feed

        refuse_existing(out)
        found, folder = read_feed(feed), sources or out.parent / "sources"
        with progress_display(quiet=as_json) as display:
            if server is not None:
                payload = _fetched(found, server, _round_of(found, number, at), folder)
            else:
                signers = list(_signers(keystore or [], passphrase_file, unsafe_dev_account or []))
                model = _model(found, circuit or Path(), source or Path(), Connection(rpc, rpc_file))
                payload = _made(model, signers, folder, display, prove=prove)
        write_atomically(out, payload.encode())
        _show(found, payload, out)
        if as_json:
            print_json({"ok": True, "report": str(out), **_document(payload), "decimals": found.spec.decimals})


def _round_of(feed: FeedFile, number: int | None, at: datetime | None) -> int | None:
    if number is not None and at is not None:
        raise typer.BadParameter("--round and --at exclude each other")
    return number if at is None else int(at.timestamp()) // feed.spec.tick


def _fetched(feed: FeedFile, server: str, number: int | None, folder: Path) -> FeedPayload:
    from zkinfer.oracle.published import PublishedFolder, PublishedUrl
    from zkinfer.oracle.server_reports import fetch_report

    payload = fetch_report(server, feed.spec, number)
    published = PublishedFolder(folder)
    published.write(feed.recipe.to_bytes())
    if feed.spec.signed:
        published.write(PublishedUrl(server).read(payload.source_digest))
    return payload


def _model(feed: FeedFile, circuit: Path, source: Path, connection: Connection) -> CircuitModel:
    from zkinfer.circuits.home import Home
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.oracle.models import CircuitModel
    from zkinfer.oracle.sources.settings import SourceSettings
    from zkinfer.prover import Prover

    settings = SourceSettings.from_toml(source)
    settings.require_recipe(feed.recipe)
    chain = None if settings.aggregator is None else open_chain(connection)
    opened = settings.open(source.parent, chain, max_age=feed.spec.max_age)
    return CircuitModel(feed, Circuit.open(circuit), opened, Prover(home=Home.from_environment()))


def _made(
    model: CircuitModel, signers: list[HashSigner], folder: Path, display: ProgressDisplay, *, prove: bool
) -> FeedPayload:
    """The report of the present round; without signers, it is nothing without its proof."""
    from zkinfer.oracle.published import PublishedFolder
    from zkinfer.oracle.reports import attest, unsigned
    from zkinfer.oracle.reports import prove as proven

    feed = model.feed
    observation = model.observe(int(time.time()) // feed.spec.tick)
    payload = unsigned(feed, observation, model.answer(observation))
    if signers:
        payload = attest(feed, payload, signers)
    if prove or not feed.spec.signed:
        payload = proven(feed.spec, model.circuit, model.prover, payload, observer=display)
    for data in (feed.recipe.to_bytes(), observation.source_file):
        if data:
            PublishedFolder(folder).write(data)
    return payload


def _signers(keystores: list[Path], passphrase_file: Path | None, accounts: list[int]) -> Iterator[HashSigner]:
    from zkinfer.contracts.signers import DEV_CHAINS, load_keystore, unsafe_dev_account

    for path in keystores:
        yield load_keystore(path, read_passphrase(passphrase_file, confirm=False))
    for number in accounts:
        yield unsafe_dev_account(number, DEV_CHAINS[0])


def _document(payload: FeedPayload) -> dict[str, Any]:
    return {
        "feed": payload.report.feed_id,
        "round": payload.round,
        "observedAt": payload.report.observed_at,
        "expiresAt": payload.report.expires_at,
        "answer": str(payload.report.answer),
        "level": payload.level.name.lower(),
        "signatures": len(payload.signatures),
        "sourceDigest": payload.source_digest,
        "requestId": payload.request_id,
    }


def _show(feed: FeedFile, payload: FeedPayload, out: Path) -> None:
    from zkinfer.contracts.feed_formats import in_decimals

    needed = 0 if feed.config is None else feed.config.threshold
    print_result(f"[green]✓[/] {plain(out)}, {out.stat().st_size:,} bytes")
    signatures = f"{len(payload.signatures)} of the {needed} that the feed needs"
    shown = _document(payload) | {
        "observedAt": utc(payload.report.observed_at),
        "expiresAt": utc(payload.report.expires_at),
        "answer": in_decimals(payload.report.answer, feed.spec.decimals),
        "signatures": signatures,
    }
    print_facts(spelled_out(shown))


@expand_options
def post_command(
    report: Annotated[
        list[Path],
        typer.Argument(metavar="REPORT...", help="Reports made by `zkinfer oracle report`.", show_default=False),
    ],
    connection: Connection,
    payment: Payment,
    as_json: AsJson = False,
) -> None:
    """Post reports on a chain. The hub checks signatures, proof, time and bounds. Anybody may post; it is idempotent.

    Example: zkinfer oracle post report.bin --keystore poster.json
    """
    with exit_on_error(as_json=as_json):
        require_oracle()
        from zkinfer.circuits.storage import read_file
        from zkinfer.contracts.feed_formats import MAX_PAYLOAD, FeedPayload
        from zkinfer.oracle.post import post

        payloads = [FeedPayload.decode(read_file(path, max_bytes=MAX_PAYLOAD)) for path in report]
        deployed = open_deployment(open_chain(connection, payment), connection)
        hub = hub_of(deployed)
        posted: list[dict[str, Any]] = []
        for payload in payloads:
            decimals = hub.spec_of(payload.report.feed_id).decimals
            receipt = post(hub, deployed.chain, payload)
            before = receipt is None and deployed.chain.sends
            posted.append({**_document(payload), "decimals": decimals, "before": before})
            if deployed.chain.sends:
                _show_posted(posted[-1])
        if deployed.chain.sends:
            show_sent(deployed.chain)
        else:
            show_dry_run(deployed.chain)
        if as_json:
            print_json({"ok": True, "reports": posted, **transactions_report(deployed.chain)})


def _show_posted(one: dict[str, Any]) -> None:
    from zkinfer.contracts.feed_formats import in_decimals

    remark, answer = " before" if one["before"] else "", in_decimals(int(one["answer"]), one["decimals"])
    print_detailed(f"[green]✓[/] round {one['round']} {one['level']}{remark}, answer {answer}", f"feed {one['feed']}")
