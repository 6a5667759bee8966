"""A repository with one circuit of the fake engine, a queue, and worker processes for it."""

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.unit.circuits import factories
from tests.unit.prover import fake_worker

from zkinfer.circuits import Context, Home, compile_model
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.jobs import JobRequest, JobStore, QueueLimits, RetryPolicy
from zkinfer.prover.quantised_inputs import integers_digest, integers_to_bytes
from zkinfer.prover.workers import WorkerPool, WorkerSettings

COMMAND = (sys.executable, fake_worker.__file__)


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """A home, and a repository that holds version 1 of `tiny`."""
    folder = tmp_path_factory.mktemp("workers")
    home, repository = Home(folder / "home"), folder / "repository"
    (repository / "tiny").mkdir(parents=True)
    model = factories.write_model(folder / "tiny.onnx")
    with pytest.MonkeyPatch.context() as patch:
        factories.without_children(patch)
        made = compile_model(model, repository / "tiny" / "1", engine=FakeEngine(), home=home, options=factories.DEV)
    return SimpleNamespace(folder=folder, home=home, repository=repository, model=model, circuit=made.circuit)


class Desk:
    """A queue for that circuit, and the pools that work for it."""

    def __init__(self, shop, folder, **options):
        self.shop = shop
        values = {
            "database": f"sqlite:///{folder}/queue/jobs.db",
            "artifacts": str(folder / "artifacts"),
            "repository": str(shop.repository),
            "home": str(shop.home.root),
            "host": "host",
            "heartbeat_seconds": 0.1,
            "grace_seconds": 0.5,
            "retry_policy": RetryPolicy(backoff=0.2),
            "yielding": False,  # or a machine that is busy with other things would fail tests
        }
        self.settings = WorkerSettings(**{**values, **options})
        self.artifacts = ArtifactStore(Path(self.settings.artifacts))
        self.store = JobStore(
            self.settings.database.get_secret_value(), self.artifacts, retry_policy=self.settings.retry_policy
        )
        self.pools = []

    def pool(self, size=1, command=COMMAND):
        self.pools.append(WorkerPool(self.store, self.settings, size=size, command=command))
        self.pools[-1].start()
        return self.pools[-1]

    def request(self, first=0, *, outputs=None, **fields):
        """A request whose first number tells the fake worker what to do."""
        circuit, integers = self.shop.circuit, [[first, -320, 512]]
        answered = FakeEngine().forward(circuit.folder, circuit.manifest.program, [integers])[0]
        values = {
            "owner": "ann",
            "model": "tiny",
            "version": "1",
            "circuit": circuit.digest,
            "model_id": circuit.model_id,
            "inputs": self.artifacts.put(integers_to_bytes(integers)),
            "outputs": outputs or integers_digest(answered),
            "context": Context.offline(),
        }
        return JobRequest(**{**values, **fields})

    def submit(self, first=0, **fields):
        return self.store.submit(self.request(first, **fields), QueueLimits(disk_reserve_bytes=0)).job

    def until(self, job, happened, seconds=30):
        """The job as it is when something has come true of it."""
        deadline = time.monotonic() + seconds
        while not happened(found := self.store.get(job.id)):
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        return found

    def ended(self, job):
        return self.until(job, lambda found: found.state.final)

    def begun(self, job, attempt=1):
        return self.until(job, lambda found: found.state.running and found.attempt >= attempt)

    def close(self):
        for pool in self.pools:
            pool.drain()
        self.store.close()


@pytest.fixture
def desk(shop, tmp_path):
    """A queue of this test, without workers yet."""
    opened = Desk(shop, tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def office(shop, tmp_path_factory):
    """A queue with two workers, for the tests of one module that kill none."""
    opened = Desk(shop, tmp_path_factory.mktemp("office"))
    opened.pool(2)
    yield opened
    opened.close()
