"""A page and a server as processes with a real engine, and the system's Chromium, which is never downloaded."""

import json
import os
import re
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.browser.chromium import CHROMIUM, launched
from tests.browser.records import recorded
from tests.paths import PROGRAM
from tests.unit.ui.work_server import serving

from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines import DEFAULT_ENGINE, ENGINES, engine_named
from zkinfer.circuits.home import Home
from zkinfer.cli.demo.cases import DIGITS
from zkinfer.client import Client
from zkinfer.prover import Prover
from zkinfer.ui.digits import levels_of


def pytest_collection_modifyitems(items):
    """All tests of this folder need Chromium, and none of them runs with the others."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed: apt-get install chromium"))


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Of all processes: a home of their own, and no real trusted setup."""
    home = tmp_path_factory.mktemp("browser") / "home"
    return os.environ | {"ZKINFER_HOME": str(home), "ZKINFER_SETUP_PATH": "", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="session")
def proven(environment, tmp_path_factory):
    """The digits' circuit under the engine of the demo, and an attestation by it."""
    names = [name for name in ENGINES if name != DEFAULT_ENGINE and not engine_named(name).unavailable]
    engine = engine_named(names[0] if names else DEFAULT_ENGINE)
    folder, home = tmp_path_factory.mktemp("proven"), Home(Path(environment["ZKINFER_HOME"]))
    options = CompileOptions(setup="insecure-dev")
    compiled = compile_model(
        DIGITS.model, folder / "circuit", engine=engine, home=home, calibration=DIGITS.calibration, options=options
    )
    image = DIGITS.images(1)[0][0]
    attestation = folder / "answer.json"
    attestation.write_bytes(Prover(home=home).prove(compiled.circuit, {"image": image}).to_bytes())
    experimental = engine.id.partition("/")[0] if engine.experimental else ""
    return SimpleNamespace(
        folder=folder,
        home=home,
        circuit=compiled.circuit,
        model=DIGITS.model,
        attestation=attestation,
        image=image,
        experimental=experimental,
    )


@contextmanager
def started(environment, *words):
    """A command that runs until the end of the block, and then ends cleanly at Ctrl-C."""
    command = [PROGRAM, *map(str, words)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as run:
        try:
            yield run
            run.send_signal(signal.SIGINT)
            assert run.wait(60) == 0
        finally:
            run.kill()


@contextmanager
def page_of(environment, *options):
    """The link of a page."""
    with started(environment, "ui", "--listen", "127.0.0.1:0", *options) as run:
        yield re.search(r"http://\S+", run.stdout.readline())[0]


@pytest.fixture(scope="session")
def link(environment, proven):
    """The link of a page without a server."""
    with page_of(environment) as found:
        yield found


@pytest.fixture(scope="session")
def server(environment, proven, tmp_path_factory):
    """A server with one model and one finished proof: its URL, and the name of the proof."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copytree(proven.folder / "circuit", folder / "models" / "digits" / "1")
    options = ["--repository", folder / "models", "--state", folder / "state", "--listen", "127.0.0.1:0"]
    options += ["--rest", "127.0.0.1:0", "--json"]
    with started(environment, "serve", *options) as run:
        lines = []
        while not lines or lines[-1] != "}\n":
            lines.append(run.stdout.readline())
        addresses = json.loads("".join(lines))
        with Client(addresses["address"]) as client:
            operation = client.infer("digits", {"image": proven.image}).handle.operation
            while not client.state(operation).done:
                pass
        yield SimpleNamespace(url=f"http://{addresses['rest']}", proof=operation.rpartition("/")[2])


@pytest.fixture(scope="session")
def chain(proven):
    """A node whose ledger has an answer on record; see `recorded`."""
    with recorded(proven) as found:
        yield found


@pytest.fixture(scope="session")
def full_link(environment, server, chain):
    """The link of a page with that server, node and ledger."""
    node = ("--rpc", chain.url, "--ledger", chain.ledger, "--confirmations", "1")
    with page_of(environment, "--server", server.url, *node) as found:
        yield found


@pytest.fixture(scope="session")
def works_link(environment):
    """The link of a page whose server answers about works with recorded documents."""
    with serving() as server, page_of(environment, "--server", server.url) as found:
        yield found


@pytest.fixture(scope="session")
def chromium():
    with launched() as found:
        yield found


@pytest.fixture
def visit(chromium):
    """Opens a page by its link, in a window with these options; foreign requests and script errors fail the test."""
    problems, windows = [], []

    def opened(link, path="/", **options):
        window = chromium.new_context(**({"locale": "en-GB", "viewport": {"width": 1100, "height": 800}} | options))
        windows.append(window)
        page, base = window.new_page(), link.partition("/open/")[0]
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: problems.append(request.url) if not request.url.startswith(base) else None)
        page.goto(link)
        if path != "/":
            page.goto(base + path)
        return page

    yield opened
    for window in windows:
        window.close()
    assert not problems


@pytest.fixture(scope="session")
def sample():
    """The levels of the first unseen image."""
    return levels_of(DIGITS.images(1)[0][0])
