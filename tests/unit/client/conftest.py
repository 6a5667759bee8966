"""A whole server with a fake worker, and an auditor who has the model."""

import shutil
from types import SimpleNamespace

import pytest
import pytest_asyncio
import structlog
from tests.unit.circuits import factories
from tests.unit.prover import fake_worker

from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.client import AsyncClient
from zkinfer.service.logs import configure
from zkinfer.service.server import running
from zkinfer.service.settings import Log, Proving, Settings
from zkinfer.verifier import AllOf, ModelIs, Trusted, UnsafeAcceptDevSetup, Verifier

ENGINES = {"fake/1": FakeEngine()}


@pytest.fixture(scope="session")
def auditor(tiny, tmp_path_factory):
    """A verifier that trusts the model, and a policy that requires it."""
    setups, cache = tiny.home.setups, tmp_path_factory.mktemp("auditor") / "cache"
    trusted = Trusted.of([tiny.model], setups, cache, engines=ENGINES, unsafe_accept_fake_engine=True)
    without_engines = Trusted.of([tiny.model], setups, cache, engines={})
    policy = AllOf(ModelIs(tiny.circuit.model_id), UnsafeAcceptDevSetup())
    return SimpleNamespace(verifier=Verifier(trusted=trusted), policy=policy, without_engines=without_engines)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tiny, tmp_path_factory):
    """One server for all tests of a module; operations accumulate."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copytree(tiny.circuit.folder, folder / "models" / "tiny" / "1")
    proving = Proving(workers=1, grace_seconds=0.5, memory=1 << 30)
    settings = Settings(repository=folder / "models", listen="127.0.0.1:0", state=folder / "state", proving=proving)
    configure(Log(level="error"))
    async with running(settings, tiny.home, engines=ENGINES, worker_command=fake_worker.COMMAND) as found:
        yield found
    structlog.reset_defaults()


@pytest_asyncio.fixture(loop_scope="module")
async def client(server, monkeypatch):
    factories.without_children(monkeypatch)
    async with AsyncClient(server.address) as found:
        yield found
