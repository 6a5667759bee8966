"""A repository with one circuit of the fake engine, a job queue and worker processes."""

import time
from pathlib import Path

import pytest
from tests.unit.circuits import factories
from tests.unit.prover import fake_worker

from zkinfer.circuits import Context
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.jobs import JobRequest, JobStore, QueueLimits, RetryPolicy
from zkinfer.prover.quantised_inputs import integers_digest, integers_to_bytes
from zkinfer.prover.workers import WorkerPool, WorkerSettings


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The circuit, stored in a repository as version 1 of `tiny`."""
    folder = tmp_path_factory.mktemp("workers")
    repository = folder / "repository"
    (repository / "tiny").mkdir(parents=True)
    compiled = factories.compile_tiny(folder, repository / "tiny" / "1")
    compiled.repository = repository
    return compiled


class Backend:
    """A job queue for that circuit, and its worker pools."""

    def __init__(self, tiny, folder, **options):
        self.tiny = tiny
        values = {
            "database": f"sqlite:///{folder}/queue/jobs.db",
            "artifacts": str(folder / "artifacts"),
            "repository": str(tiny.repository),
            "home": str(tiny.home.root),
            "host": "host",
            "heartbeat_seconds": 0.1,
            "grace_seconds": 0.5,
            "retry_policy": RetryPolicy(backoff=0.2),
            "yielding": False,  # on a busy machine, tests would fail
        }
        self.settings = WorkerSettings(**{**values, **options})
        self.artifacts = ArtifactStore(Path(self.settings.artifacts))
        self.store = JobStore(
            self.settings.database.get_secret_value(), self.artifacts, retry_policy=self.settings.retry_policy
        )
        self.pools = []

    def pool(self, size=1, command=fake_worker.COMMAND):
        self.pools.append(WorkerPool(self.store, self.settings, size=size, command=command))
        self.pools[-1].start()
        return self.pools[-1]

    def request(self, first=0, *, outputs=None, **fields):
        """A request whose first number controls the fake worker."""
        circuit, integers = self.tiny.circuit, [[first, -320, 512]]
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
        """Wait until `happened(job)`, and return the job."""
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
def backend(tiny, tmp_path):
    """A backend for this test, without workers yet."""
    opened = Backend(tiny, tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shared_backend(tiny, tmp_path_factory):
    """A backend with two workers, for tests of one module that kill none."""
    opened = Backend(tiny, tmp_path_factory.mktemp("shared_backend"))
    opened.pool(2)
    yield opened
    opened.close()
