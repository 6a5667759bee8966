"""A whole server with the fake engine, and an unmodified tritonclient in the same process."""

import shutil
from types import SimpleNamespace

import pytest
import tritonclient.grpc as triton
from tests.unit.circuits import factories
from tests.unit.prover import fake_worker
from tests.unit.service import queue_server
from tests.unit.service.threaded import threaded

from zkinfer.service.settings import Limits, Proving, Settings


@pytest.fixture(scope="session")
def server(tiny, tmp_path_factory):
    """`tiny` 1 and 2, and `broken` 1; one worker."""
    folder = tmp_path_factory.mktemp("oip")
    models = folder / "models"
    for version in ("1", "2"):
        shutil.copytree(tiny.circuit.folder, models / "tiny" / version)
    (shutil.copytree(tiny.circuit.folder, models / "broken" / "1") / "network.onnx").write_bytes(b"")
    settings = Settings(
        repository=models,
        listen="127.0.0.1:0",
        state=folder / "state",
        proving=Proving(workers=1, grace_seconds=1.0, memory=1 << 30),
        limits=Limits(message_bytes=8 << 20),
    )
    with threaded(settings, tiny.home, engines=queue_server.ENGINES, worker_command=fake_worker.COMMAND) as running:
        yield SimpleNamespace(address=running.address, dependencies=running.dependencies, tiny=tiny)


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(server.address) as client:
        yield client


@pytest.fixture
def tensor():
    """Make the input `x` of a request."""

    def make(array=factories.X, name="x", datatype="FP32"):
        given = triton.InferInput(name, list(array.shape), datatype)
        given.set_data_from_numpy(array)
        return given

    return make
