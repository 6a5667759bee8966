"""A whole server with a worker of the fake engine, and an auditor who has the model."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio
import structlog
from tests.unit.circuits import factories
from tests.unit.prover import fake_worker

from zkinfer.circuits import Home, compile_model
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.client import AsyncClient
from zkinfer.service.logs import configure
from zkinfer.service.server import running
from zkinfer.service.settings import Log, Proving, Settings
from zkinfer.verifier import AllOf, ModelIs, Trusted, UnsafeAcceptDevSetup, Verifier

ENGINES = {"fake/1": FakeEngine()}
COMMAND = (sys.executable, str(Path(fake_worker.__file__).resolve()))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A home, a model, its circuit, and an auditor's verifier and policy, made once."""
    folder = tmp_path_factory.mktemp("client")
    home, model = Home(folder / "home"), factories.write_model(folder / "tiny.onnx")
    with pytest.MonkeyPatch.context() as patch:
        factories.without_children(patch)
        circuit = compile_model(
            model, folder / "circuit", engine=FakeEngine(), home=home, options=factories.DEV
        ).circuit
    trusted = Trusted.of([model], home.setups, folder / "cache", engines=ENGINES, unsafe_accept_fake_engine=True)
    policy = AllOf(ModelIs(circuit.model_id), UnsafeAcceptDevSetup())
    return SimpleNamespace(home=home, model=model, circuit=circuit, verifier=Verifier(trusted=trusted), policy=policy)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(made, tmp_path_factory):
    """One for all tests of a module; its operations add up."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copytree(made.circuit.folder, folder / "models" / "tiny" / "1")
    proving = Proving(workers=1, grace_seconds=0.5, memory=1 << 30)
    settings = Settings(repository=folder / "models", listen="127.0.0.1:0", state=folder / "state", proving=proving)
    configure(Log(level="error"))
    async with running(settings, made.home, engines=ENGINES, worker_command=COMMAND) as found:
        yield found
    structlog.reset_defaults()


@pytest_asyncio.fixture(loop_scope="module")
async def client(server, monkeypatch):
    factories.without_children(monkeypatch)
    async with AsyncClient(server.address) as found:
        yield found
