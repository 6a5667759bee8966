"""Real workers with the real engine, under kills."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.children import children_of
from tests.eventually import eventually
from tests.integration import bench

from zkinfer.circuits import Context
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.tensors import quantise
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.jobs import JobRequest, JobState, JobStore, QueueLimits
from zkinfer.prover.quantised_inputs import integers_digest, integers_to_bytes
from zkinfer.prover.workers import WorkerPool, WorkerSettings

CGROUP = Path("/sys/fs/cgroup")


class Backend:
    """The demo's circuit in a repository, a job queue, and one worker started like by a server."""

    def __init__(self, folder, home, circuit):
        (folder / "repository" / "digits").mkdir(parents=True)
        (folder / "repository" / "digits" / "1").symlink_to(circuit.folder)
        self.circuit, self.artifacts = circuit, ArtifactStore(folder / "artifacts")
        self.settings = WorkerSettings(
            database=f"sqlite:///{folder}/queue/jobs.db",
            artifacts=str(self.artifacts.root),
            repository=str(folder / "repository"),
            home=str(home.root),
            host="host",
            heartbeat_seconds=0.2,
        )
        self.store = JobStore(self.settings.database.get_secret_value(), self.artifacts)
        self.pool = WorkerPool(self.store, self.settings, size=1)

    def submit(self, number):
        program = self.circuit.manifest.program
        image = np.asarray(bench.image(number)["image"]).reshape(program.inputs[0].shape)
        integers = [quantise(image, program.inputs[0])]
        answer = EzklEngine().forward(self.circuit.folder, program, [integers])[0]
        request = JobRequest(
            owner="ann",
            model="digits",
            version="1",
            circuit=self.circuit.digest,
            model_id=self.circuit.model_id,
            inputs=self.artifacts.put(integers_to_bytes(integers)),
            outputs=integers_digest(answer),
            context=Context.offline(),
        )
        return self.store.submit(request, QueueLimits()).job

    def until(self, job, happened):
        deadline = time.monotonic() + 120
        while not happened(found := self.store.get(job.id)):
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        return found


@pytest.fixture
def backend(tmp_path, home, digits):
    opened = Backend(tmp_path, home, digits)
    opened.pool.start()
    yield opened
    opened.pool.drain()
    opened.store.close()


def test_job_ends_in_an_attestation_after_any_kill(backend, home, digits):
    job = backend.submit(0)
    begun = backend.until(job, lambda found: found.state == JobState.PROVING)
    worker = psutil.Process(int(begun.worker.split(".")[-2]))
    engine = worker.children(recursive=True)
    os.kill(worker.pid, signal.SIGKILL)
    done = backend.until(job, lambda found: found.state.final)
    assert (done.state, done.attempt) == ("SUCCEEDED", 2)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in engine)
    data = backend.artifacts.get(done.attestation, done.attestation_bytes)
    verifier = bench.verifier_of(home, bench.MODEL)
    assert verifier.verify(data, bench.policy_of(digits)).context == job.request.context


def test_cancelled_proof_is_stopped_immediately(backend):
    job = backend.submit(1)
    begun = backend.until(job, lambda found: found.state == JobState.PROVING)
    backend.store.cancel(job.id)
    assert backend.until(job, lambda found: found.state.final).state in ("CANCELLED", "SUCCEEDED")
    assert children_of(int(begun.worker.split(".")[-2])) == []


# --- running out of memory

HOG = """
    import os, sys
    from zkinfer.circuits.sandbox import child
    from zkinfer.circuits.errors import EngineError
    open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
    hog = {"stmt": "x = bytearray(1 << 30); x[::4096] = b'1' * (1 << 18)", "number": 1}
    try:
        child.run("timeit:timeit", hog, limits=child.Limits(seconds=60))
    except EngineError as err:
        print(type(err).__name__)
"""


@pytest.fixture
def small_group():
    """A control group of 300 MB; skips without permission to create one."""
    older = CGROUP / "memory"
    group = (older if older.is_dir() else CGROUP) / f"zkinfer-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if older.is_dir() else "memory.max")).write_text(str(300 << 20))
    except OSError as err:
        pytest.skip(f"no control group can be made: {err.strerror}")
    yield group
    assert eventually(lambda: not (group / "cgroup.procs").read_text(), 10)  # the fork server ends with its caller
    group.rmdir()


def test_child_killed_by_the_out_of_memory_killer_ran_out_of_memory(small_group):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(HOG), small_group],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert done.stdout == "EngineMemoryError\n"
