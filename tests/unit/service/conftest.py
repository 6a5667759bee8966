"""A circuit of the fake engine, a queue of jobs, and a server in this process with the real interceptor."""

import logging
from types import SimpleNamespace

import pytest
import structlog
from tests.unit.circuits import factories
from tests.unit.service import queue_server

from zkinfer.circuits import Home, compile_model
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.service.logs import configure
from zkinfer.service.settings import Log


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A home, a model and its circuit, made once."""
    folder = tmp_path_factory.mktemp("service")
    home, model = Home(folder / "home"), factories.write_model(folder / "tiny.onnx")
    with pytest.MonkeyPatch.context() as patch:
        factories.without_children(patch)
        circuit = compile_model(
            model, folder / "circuit", engine=FakeEngine(), home=home, options=factories.DEV
        ).circuit
    return SimpleNamespace(folder=folder, home=home, model=model, circuit=circuit)


@pytest.fixture
def in_process(monkeypatch):
    factories.without_children(monkeypatch)


@pytest.fixture
def desk(made, tmp_path, in_process):
    """A queue, and somebody who works it off by hand."""
    with queue_server.desk(made, tmp_path) as found:
        yield found


@pytest.fixture
async def served(desk):
    """The desk's server, with a channel for anybody."""
    async with queue_server.served(desk) as found:
        yield found


@pytest.fixture(autouse=True)
def own_logging():
    """What a test configures ends with it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure(Log(format="json"))
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
