"""Operators of feeds on this machine: chains under anvil, a source over HTTP, and daemons in processes of their own.

Each part can be made to fail: chains stop answering or are reorganised, sources are silent or lie, daemons are killed.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks.oracle.nodes import ROOT, Node
from benchmarks.oracle.operators import CONFIRMATIONS, Operator
from benchmarks.oracle.sources import Series, SourceServer

from zkinfer.chain import registration_of
from zkinfer.circuits import Budget, Circuit, CompileOptions, Home, compile_model
from zkinfer.circuits.engines import engine_named
from zkinfer.contracts.address_book import AddressBook, write_book
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Governance, deploy, plan
from zkinfer.contracts.devchain import free_port
from zkinfer.contracts.feed_formats import FeedSpec, Level, SignerConfig
from zkinfer.contracts.feeds import FeedHub, deploy_face
from zkinfer.contracts.identifiers import ZERO_ADDRESS, listing_of
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.rpc import Account, connect
from zkinfer.contracts.signers import unsafe_dev_account
from zkinfer.oracle.answers import scale_of_output
from zkinfer.oracle.recipes import Encoding, Recipe
from zkinfer.oracle.specs import FeedFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from zkinfer.contracts.identifiers import Registration

EXAMPLE: Final = ROOT / "examples/volatility"
DEV_CHAIN: Final = 31337
DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """A feed of the lab.

    Args:
        name: in the configurations; also of its series.
        ticks: after how many the series moves.
        deviation: that makes a round due.
        level: that chains get.
    """

    name: str
    ticks: int = 1
    deviation: str = "0%"
    level: str = "both"


@dataclass(frozen=True, slots=True)
class LabPlan:
    """How large a lab is; `tick` and `heartbeat` in seconds, `ahead` by how many each operator's clock is ahead."""

    chains: int = 1
    operators: int = 1
    threshold: int = 1
    tick: int = 2
    heartbeat: int = 10
    seed: int = 1
    feeds: tuple[FeedPlan, ...] = (FeedPlan("vol"),)
    ahead: tuple[float, ...] = ()
    webhook: str | None = None


@dataclass
class Lab:
    """Everything, running; see `lab`."""

    folder: Path
    plan: LabPlan
    circuit: Circuit
    feeds: dict[str, FeedFile]
    nodes: dict[str, Node]
    hubs: dict[str, FeedHub]
    source: SourceServer
    operators: list[Operator] = field(default_factory=list)
    faces: dict[tuple[str, str, Level], str] = field(default_factory=dict)
    books: dict[str, Path] = field(default_factory=dict)

    @property
    def feed(self) -> FeedFile:
        """The first feed."""
        return next(iter(self.feeds.values()))

    def chain(self, name: str, account: int) -> Chain:
        """A connection of its own to a chain, with a development account that pays."""
        return Chain(connect(self.nodes[name].url), unsafe_dev_account(account, DEV_CHAIN))


@contextmanager
def lab(folder: Path, wanted: LabPlan) -> Iterator[Lab]:
    """Feeds with their operators, whose daemons are not started yet. All that it starts ends with the block."""
    with ExitStack() as stack:
        home = Home(folder / "home")
        circuit = compiled(folder, home)
        signers = [Account.from_key(bytes([7, number + 1]) * 16) for number in range(wanted.operators)]
        nodes = {}
        for number in range(wanted.chains):
            node = nodes[f"chain{number}"] = Node(folder, f"chain{number}")
            stack.callback(node.stop)
            node.start()
        payer = unsafe_dev_account(0, DEV_CHAIN)
        registration = registration_of(circuit)
        config = SignerConfig.of([one.address for one in signers], wanted.threshold)
        feeds = {
            one.name: feed_file(circuit, payer.address.lower(), registration, config, wanted, one.name)
            for one in wanted.feeds
        }
        source = SourceServer(_series(wanted))
        stack.callback(source.stop)
        found = Lab(folder, wanted, circuit, feeds, nodes, {}, source)
        for name, node in nodes.items():
            _create(found, name, registration)
            node.pace()
        ports = [free_port() for _ in signers]
        for number, account in enumerate(signers):
            ahead = wanted.ahead[number] if number < len(wanted.ahead) else 0.0
            poster = unsafe_dev_account(number + 1, DEV_CHAIN)
            one = Operator(number, folder / f"operator{number}", ports[number], home.root, account, poster, ahead)
            _configure(found, one, [f"http://127.0.0.1:{port}" for port in ports if port != one.port])
            found.operators.append(one)
            stack.callback(one.kill)
        yield found


def compiled(folder: Path, home: Home) -> Circuit:
    """The volatility model under Ashlar."""
    target = folder / "vol.circuit"
    if not target.exists():
        options = CompileOptions(setup="insecure-dev", budget=Budget(max_error=0.002))
        samples = EXAMPLE / "calibration.npz"
        compile_model(
            EXAMPLE / "vol.onnx", target, engine=engine_named("ashlar"), home=home, calibration=samples, options=options
        )
    return Circuit.open(target)


def feed_file(
    circuit: Circuit, owner: str, registration: Registration, config: SignerConfig, wanted: LabPlan, name: str
) -> FeedFile:
    """A feed of the volatility model."""
    recipe = Recipe.make(
        count=24,
        select="prices[*].close",
        bounds=("1", "1000"),
        form="return",
        tolerance="0.001",
        encoding=Encoding.of(circuit),
    )
    spec = FeedSpec(
        listing=listing_of(registration, owner),
        recipe=recipe.digest,
        owner=owner,
        source=ZERO_ADDRESS,
        output=0,
        scale=scale_of_output(circuit, 0),
        decimals=DECIMALS,
        least=-(10**DECIMALS),
        most=10**DECIMALS,
        tolerance=1,
        tick=wanted.tick,
        heartbeat=wanted.heartbeat,
        max_age=2 * wanted.heartbeat,
        description=f"Volatility of the lab, {name}",
    )
    return FeedFile(spec, recipe, config)


def _series(wanted: LabPlan) -> Mapping[str, Series]:
    first = tuple(str(one["close"]) for one in json.loads((EXAMPLE / "prices.json").read_text())["prices"])
    began = int(time.time()) // wanted.tick * wanted.tick
    return {
        one.name: Series(first, wanted.seed * 100 + place, one.ticks * wanted.tick, began)
        for place, one in enumerate(wanted.feeds)
    }


def _create(found: Lab, name: str, registration: Registration) -> None:
    chain = Chain(found.nodes[name].web3, unsafe_dev_account(0, DEV_CHAIN))
    governance = Governance(chain.address, (chain.address,), delay=0, test=True)
    parts = plan(governance)
    deploy(chain, parts)
    found.books[name] = found.folder / f"{name}-addresses.json"
    write_book(AddressBook(chain.id, governance), found.books[name])
    Registry(chain, parts.addresses["ModelRegistry"]).register(registration)
    hub = found.hubs[name] = FeedHub(chain, parts.addresses["FeedHub"])
    for title, feed in found.feeds.items():
        assert feed.config is not None
        hub.configure(feed.config)
        hub.create(feed.spec, feed.config.digest)
        for level in Level.ATTESTED, Level.PROVEN:
            found.faces[name, title, level] = deploy_face(chain, hub.address, feed.id, level)


def _configure(found: Lab, one: Operator, peers: list[str]) -> None:
    """Write an operator's files. Each operator pays with a development account of its own."""
    chains = "".join(
        f'[chain.{name}]\nrpc = "{node.url}"\nhub = "{found.hubs[name].address}"\nkeystore = "poster.json"\n'
        f'passphrase-file = "passphrase"\nconfirmations = {CONFIRMATIONS}\ntimeout = 20\nresubmit-after = 5\n'
        for name, node in found.nodes.items()
    )
    tables = {
        plan_.name: f'circuit = "{found.circuit.folder}"\ndeviation = "{plan_.deviation}"\nlevel = "{plan_.level}"\n'
        f'source = {{ http = "{found.source.url(plan_.name, one.number)}", timeout = "1s", attempts = 1 }}\n'
        for plan_ in found.plan.feeds
    }
    one.configure(found.feeds, tables, chains, peers=peers, webhook=found.plan.webhook)
