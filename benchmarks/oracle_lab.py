"""Operators of a feed on this machine: chains under anvil, a source over HTTP, and daemons in processes of their own.

Each part can be made to fail: chains stop answering or are reorganised, sources are silent or lie, daemons are killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zkinfer.chain import registration_of
from zkinfer.circuits import Budget, Circuit, CompileOptions, Home, compile_model
from zkinfer.circuits.engines import engine_named
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Governance, deploy, plan
from zkinfer.contracts.feed_formats import FeedSpec, SignerConfig
from zkinfer.contracts.feeds import FeedHub
from zkinfer.contracts.identifiers import ZERO_ADDRESS, listing_of
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.rpc import Account, connect, rpc_errors
from zkinfer.contracts.signers import encrypt_keystore, unsafe_dev_account
from zkinfer.oracle.answers import scale_of_output
from zkinfer.oracle.recipes import Encoding, Recipe
from zkinfer.oracle.specs import FeedFile, write_feed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eth_account.signers.local import LocalAccount

    from zkinfer.contracts.identifiers import Registration

ROOT: Final = Path(__file__).resolve().parents[1]
ANVIL: Final = ROOT / "contracts/node_modules/.bin/anvil"
EXAMPLE: Final = ROOT / "examples/volatility"
DECIMALS: Final = 6
_PASSPHRASE: Final = b"an operator of the lab"
_START_SECONDS: Final = 60.0


class Node:
    """An anvil that makes a block each second."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        command = [str(ANVIL), "--port", str(port), "--silent", "--hardfork", "prague", "--block-time", "1"]
        self.process = subprocess.Popen(command)
        self.web3 = connect(self.url)
        _wait_until(self.web3.is_connected, "anvil does not start")

    @property
    def height(self) -> int:
        """The number of the latest block."""
        with rpc_errors(self.web3):
            return int(self.web3.eth.block_number)

    def reorganise(self, depth: int) -> None:
        """Replace the last blocks by empty ones."""
        self.web3.provider.make_request("anvil_reorg", [depth, []])  # type: ignore[arg-type]

    def spike(self) -> None:
        """Make the next blocks expensive: the base fee falls by an eighth with each."""
        self.web3.provider.make_request("anvil_setNextBlockBaseFeePerGas", [hex(300 * 10**9)])  # type: ignore[arg-type]

    def pause(self) -> None:
        """Stop answering; see `resume`."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the node."""
        self.resume()
        self.process.terminate()
        self.process.wait()


class Source:
    """A series over HTTP, a path for each operator; `silent` and `lying` name the operators that get none or others."""

    def __init__(self, prices: list[float], seed: int) -> None:
        self._prices = prices
        self._random = random.Random(seed)  # noqa: S311 - a reproducible walk
        self._lock = threading.Lock()
        self.silent: set[int] = set()
        self.lying: set[int] = set()
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                operator = int(self.path.strip("/") or 0)
                if operator in source.silent:
                    self.send_error(503)
                    return
                data = source.document(operator)
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The URL, to which the operator's number is added."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def document(self, operator: int) -> bytes:
        """The series as one operator sees it."""
        with self._lock:
            prices = list(self._prices)
        if operator in self.lying:
            prices[-5:] = [round(price * 1.3, 2) for price in prices[-5:]]
        return json.dumps({"prices": [{"close": price} for price in prices]}).encode()

    def move(self) -> None:
        """Append a price, up to 2% from the last."""
        with self._lock:
            step = self._random.uniform(-0.02, 0.02)
            last = min(max(self._prices[-1] * (1 + step), 40.0), 120.0)
            self._prices = [*self._prices[1:], round(last, 2)]

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Operator:
    """One operator: a folder with its configuration and keys, and its daemon."""

    number: int
    folder: Path
    port: int
    home: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "feeds.toml"

    @property
    def url(self) -> str:
        """The report server."""
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> list[str]:
        """A command of `zkinfer oracle` with this configuration."""
        return [str(Path(sys.executable).with_name("zkinfer")), "oracle", *arguments, "--config", str(self.config)]

    def start(self) -> None:
        """Start the daemon, unless it runs."""
        if self.running:
            return
        self.starts += 1
        log = (self.folder / "daemon.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                self.command("run", "--log-format", "json"), stdout=log, stderr=log, env=self.environment
            )

    @property
    def running(self) -> bool:
        """Whether the daemon runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """Kill the daemon at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """End the daemon as an operator would, and return its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        return self.process.wait(30)

    def status(self) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of `zkinfer oracle status`."""
        done = subprocess.run(self.command("status", "--json"), capture_output=True, env=self.environment, check=False)
        return done.returncode, json.loads(done.stdout or b"{}")

    @property
    def environment(self) -> dict[str, str]:
        """Of its processes."""
        return {**os.environ, "ZKINFER_HOME": str(self.home), "NO_COLOR": "1"}


@dataclass
class Lab:
    """Everything, running; see `lab`."""

    folder: Path
    feed: FeedFile
    nodes: dict[str, Node]
    hubs: dict[str, FeedHub]
    source: Source
    operators: list[Operator] = field(default_factory=list)

    def status(self) -> list[tuple[int, dict[str, Any]]]:
        """What each operator's `status` says."""
        return [one.status() for one in self.operators]


@contextmanager
def lab(
    folder: Path,
    *,
    chains: int = 1,
    operators: int = 1,
    threshold: int = 1,
    tick: int = 2,
    heartbeat: int = 10,
    seed: int = 1,
) -> Iterator[Lab]:
    """A feed with its operators, whose daemons are not started yet. All that it starts ends with the block."""
    with ExitStack() as stack:
        home = Home(folder / "home")
        circuit = compiled(folder, home)
        accounts = [Account.from_key(bytes([7, number + 1]) * 16) for number in range(operators)]
        payer = unsafe_dev_account(0, 31337)
        registration = registration_of(circuit)
        nodes: dict[str, Node] = {}
        for number in range(chains):
            nodes[f"chain{number}"] = node = Node(free_port())
            stack.callback(node.stop)
        feed = feed_file(circuit, payer.address, registration, accounts, threshold, tick, heartbeat)
        hubs = {name: _create(Chain(node.web3, payer), registration, feed) for name, node in nodes.items()}
        prices = [one["close"] for one in json.loads((EXAMPLE / "prices.json").read_text())["prices"]]
        source = Source(prices, seed)
        stack.callback(source.stop)
        found = Lab(folder, feed, nodes, hubs, source)
        ports = [free_port() for _ in accounts]
        for number, account in enumerate(accounts):
            one = Operator(number, folder / f"operator{number}", ports[number], home.root)
            peers = [f"http://127.0.0.1:{port}" for port in ports if port != ports[number]]
            _configure(one, found, circuit, account, peers)
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
    circuit: Circuit,
    owner: str,
    registration: Registration,
    accounts: list[LocalAccount],
    threshold: int,
    tick: int,
    heartbeat: int,
) -> FeedFile:
    """The feed of the volatility model."""
    recipe = Recipe.make(
        count=24,
        select="prices[*].close",
        bounds=("1", "1000"),
        form="return",
        tolerance="0.001",
        encoding=Encoding.of(circuit),
    )
    spec = FeedSpec(
        listing=listing_of(registration, owner.lower()),
        recipe=recipe.digest,
        owner=owner.lower(),
        source=ZERO_ADDRESS,
        output=0,
        scale=scale_of_output(circuit, 0),
        decimals=DECIMALS,
        least=-(10**DECIMALS),
        most=10**DECIMALS,
        tolerance=1,
        tick=tick,
        heartbeat=heartbeat,
        max_age=2 * heartbeat,
        description="Volatility of the lab",
    )
    return FeedFile(spec, recipe, SignerConfig.of([one.address for one in accounts], threshold))


def _create(chain: Chain, registration: Registration, feed: FeedFile) -> FeedHub:
    wanted = plan(Governance(chain.address, (chain.address,), delay=0, test=True))
    deploy(chain, wanted)
    Registry(chain, wanted.addresses["ModelRegistry"]).register(registration)
    hub = FeedHub(chain, wanted.addresses["FeedHub"])
    assert feed.config is not None
    hub.configure(feed.config)
    hub.create(feed.spec, feed.config.digest)
    return hub


def _configure(one: Operator, lab_: Lab, circuit: Circuit, account: LocalAccount, peers: list[str]) -> None:
    """Write an operator's files. Each operator pays with a development account of its own."""
    one.folder.mkdir()
    write_feed(one.folder / "feed.json", lab_.feed)
    poster = unsafe_dev_account(one.number + 1, 31337)
    for name, data in (
        ("signer.json", encrypt_keystore(account, _PASSPHRASE, iterations=2)),
        ("poster.json", encrypt_keystore(poster, _PASSPHRASE, iterations=2)),
        ("passphrase", _PASSPHRASE + b"\n"),
    ):
        path = one.folder / name
        path.write_bytes(data)
        path.chmod(0o600)
    chains = "".join(
        f'[chain.{name}]\nrpc = "{node.url}"\nhub = "{lab_.hubs[name].address}"\nkeystore = "poster.json"\n'
        f'passphrase-file = "passphrase"\nconfirmations = 3\ntimeout = 20\nresubmit-after = 5\n'
        for name, node in lab_.nodes.items()
    )
    one.config.write_text(
        f'[feed.vol]\nspec = "feed.json"\ncircuit = "{circuit.folder}"\ndeviation = "0%"\nlevel = "both"\n'
        f'source = {{ http = "{lab_.source.url}/{one.number}", timeout = "1s", attempts = 1 }}\n'
        f'[signing]\nkeystore = "signer.json"\npassphrase-file = "passphrase"\npeers = {json.dumps(peers)}\n'
        f'[server]\nlisten = "127.0.0.1:{one.port}"\n{chains}'
    )


def free_port() -> int:
    """A port of this machine that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.1)
