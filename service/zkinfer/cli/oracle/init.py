"""The command `zkinfer oracle init`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.options import VerifierName, parse_address, selector_bytes
from zkinfer.cli.console import exit_on_error, plain, print_detailed, print_facts, print_json, say
from zkinfer.cli.options import AsJson, parse_period
from zkinfer.cli.oracle.options import require_oracle

if TYPE_CHECKING:
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.oracle.proposals import Terms
    from zkinfer.oracle.sources.settings import SourceSettings
    from zkinfer.oracle.specs import FeedFile


def parse_seconds(text: object) -> int:
    """Seconds: `90s`, `15m`, `12h`; raises typer.BadParameter for anything else."""
    return text if isinstance(text, int) else int(parse_period(text).total_seconds())


def parse_integer(text: object) -> int:
    """An integer; raises typer.BadParameter for anything else."""
    try:
        return int(str(text))
    except ValueError as err:
        raise typer.BadParameter(f"{str(text)!r} is not an integer: write the answer in the feed's decimals") from err


def _answer(what: str) -> typer.models.OptionInfo:
    help_ = f"{what}, in the feed's decimals. Default: proposed."
    option: typer.models.OptionInfo = typer.Option(
        parser=parse_integer, metavar="ANSWER", help=help_, show_default=False
    )
    return option


def _period(what: str, shown: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        parser=parse_seconds, metavar="PERIOD", help=what, show_default=shown
    )
    return option


Circuits = Annotated[Path, typer.Option(help="The circuit that answers; a folder.", show_default=False)]
Sources = Annotated[Path, typer.Option(help="Where the numbers come from: a file in TOML.", show_default=False)]
NewFeed = Annotated[Path, typer.Option(help="The feed file to write; must not exist.", show_default=False)]
Owner = Annotated[
    str,
    typer.Option(
        parser=parse_address, metavar="ADDRESS", help="The account that creates the feed.", show_default=False
    ),
]
Publisher = Annotated[
    str | None,
    typer.Option(
        parser=parse_address, metavar="ADDRESS", help="The account that registered the circuit. Default: the owner."
    ),
]
Output = Annotated[int, typer.Option(min=0, help="Which integer of the outputs is the answer.")]
Decimals = Annotated[int, typer.Option(min=0, max=18, help="Decimals of the answer.")]
Least = Annotated[int | None, _answer("The smallest answer")]
Most = Annotated[int | None, _answer("The largest answer")]
Tolerance = Annotated[int | None, _answer("The largest difference of a proven answer from the signed one")]
Tick = Annotated[int, _period("Length of a round.", "1m")]
Heartbeat = Annotated[int, _period("Time after which there is a round even if the answer did not move.", "1h")]
MaxAge = Annotated[
    int | None,
    _period(
        "Age at which a report cannot be posted any more; also the most that an aggregator's last answer may have.",
        "ten ticks, at least 10m; with an aggregator, at least two heartbeats",
    ),
]


def init_command(
    circuit: Circuits,
    source: Sources,
    owner: Owner,
    out: NewFeed,
    description: Annotated[str, typer.Option(help="What the feed answers, as consumers see it.")] = "",
    publisher: Publisher = None,
    selector: VerifierName = None,
    output: Output = 0,
    decimals: Decimals = 8,
    least: Least = None,
    most: Most = None,
    tolerance: Tolerance = None,
    tick: Tick = 60,
    heartbeat: Heartbeat = 3600,
    max_age: MaxAge = None,
    as_json: AsJson = False,
) -> None:
    """Make a feed for a circuit and a source, and propose its bounds and its tolerance.

    Reads the source once. Bounds of the source, bounds of the answer, and the tolerance between signed and proven
    answers are proposed from its numbers and the circuit's fidelity report, unless they are given. All of them are in
    the feed's id, so check them before `create`. Nothing is sent.

    Example: zkinfer oracle init --circuit vol.circuit --source source.toml --owner 0x... --out vol.feed.json
    """
    with exit_on_error(as_json=as_json):
        require_oracle()
        from zkinfer.circuits.manifest import Circuit
        from zkinfer.circuits.storage import refuse_existing
        from zkinfer.oracle.proposals import Terms, proposed_max_age
        from zkinfer.oracle.sources.settings import SourceSettings
        from zkinfer.oracle.specs import write_feed

        refuse_existing(out)
        opened, settings = Circuit.open(circuit), SourceSettings.from_toml(source)
        terms = Terms(
            listing=_listing(opened, publisher or owner, selector),
            owner=owner,
            description=description,
            output=output,
            decimals=decimals,
            least=least,
            most=most,
            tolerance=tolerance,
            tick=tick,
            heartbeat=heartbeat,
            max_age=max_age or proposed_max_age(tick, heartbeat, sourced=settings.aggregator is not None),
        )
        feed, answer = _proposed(opened, settings, source.parent, terms)
        feed.spec.require_creatable(int(time.time()))
        write_feed(out, feed)
        facts = {"publisher": publisher or owner} | _facts(feed)
        _show(feed, answer, facts, out)
        if as_json:
            shown = None if answer is None else str(answer)
            print_json({"ok": True, "feed": feed.id, "file": str(out), "answer": shown} | facts)


def _listing(circuit: Circuit, publisher: str, selector: str | None) -> str:
    from zkinfer.chain import registration_of
    from zkinfer.contracts import listing_of

    return listing_of(registration_of(circuit, selector=selector_bytes(selector)), publisher)


def _proposed(circuit: Circuit, settings: SourceSettings, folder: Path, terms: Terms) -> tuple[FeedFile, int | None]:
    """The feed, and its answer to what the source holds now; None for a source on a chain, which is not asked."""
    from dataclasses import replace

    from zkinfer.circuits.engines import engine_named
    from zkinfer.oracle.answers import answer_of
    from zkinfer.oracle.proposals import propose_feed, propose_recipe, source_part
    from zkinfer.oracle.sources.documents import series_in

    if settings.aggregator is not None:
        recipe = propose_recipe(circuit, settings, ())
        contract = source_part(settings.aggregator, recipe, terms.tick, terms.max_age).address
        return propose_feed(circuit, recipe, replace(terms, source=contract)), None
    opened = settings.open_document(folder)
    recipe = propose_recipe(circuit, settings, series_in(opened, settings.select or ""))
    feed = propose_feed(circuit, recipe, terms)
    observation = opened.observe(recipe, int(time.time()))
    engine = engine_named(circuit.manifest.recipe.engine)
    return feed, answer_of(circuit, engine, feed.spec, observation.inputs).value


def _facts(feed: FeedFile) -> dict[str, object]:
    spec, recipe = feed.spec, feed.recipe
    return {
        "listing": spec.listing,
        "recipe": spec.recipe,
        "source": "signers" if spec.signed else spec.source,
        "numbers": f"{recipe.observed}, each from {recipe.bounds[0]} to {recipe.bounds[1]}, as {recipe.form}",
        "least": str(spec.least),
        "most": str(spec.most),
        "tolerance": str(spec.tolerance),
        "decimals": spec.decimals,
        "tick": spec.tick,
        "heartbeat": spec.heartbeat,
        "maxAge": spec.max_age,
    }


def _show(feed: FeedFile, answer: int | None, facts: dict[str, object], out: Path) -> None:
    from zkinfer.cli.console import spelled_out
    from zkinfer.contracts.feed_formats import in_decimals

    spec = feed.spec
    print_detailed(f"[green]✓[/] {plain(out)}", f"feed {feed.id}")
    now = {} if answer is None else {"answer now": in_decimals(answer, spec.decimals)}
    answers = {name: in_decimals(getattr(spec, name), spec.decimals) for name in ("least", "most", "tolerance")}
    periods = {"tick": f"{spec.tick} s", "heartbeat": f"{spec.heartbeat} s", "maxAge": f"{spec.max_age} s"}
    print_facts(now | spelled_out(facts | answers | periods))
    if not spec.signed:
        say("  [dim]max age is also how old the aggregator's last answer may be; if it answers[/]")
        say("  [dim]more rarely, its rounds are refused: give --max-age[/]")
    say("  [dim]it is all in the feed's id. Next: zkinfer oracle create, sent by the owner,[/]")
    say("  [dim]once the publisher has registered the circuit; if another did, give --publisher[/]")
