"""Worker pools, whose processes are killed without a job being lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.children import children_of
from tests.eventually import eventually
from tests.unit.circuits.factories import is_alive
from tests.unit.prover.fake_worker import COMMAND, DIE
from tests.unit.prover.workers.conftest import Backend

from zkinfer.circuits.sandbox.processes import can_raise_priority
from zkinfer.prover.errors import StoreError
from zkinfer.prover.jobs import JobState, SweepResult
from zkinfer.prover.workers import WorkerPool
from zkinfer.prover.workers.config import worker_name
from zkinfer.prover.workers.pool import WorkerProcess

LONG = 256 * 50


def pid_of(job):
    return int(job.worker.split(".")[-2])


def test_job_of_a_killed_worker_is_completed_by_the_next(backend):
    pool = backend.pool()
    job = backend.submit(256)
    first = backend.begun(job)
    os.kill(pid_of(first), signal.SIGKILL)
    done = backend.ended(job)
    assert (done.state, done.attempt) == ("SUCCEEDED", 2)
    assert done.worker != first.worker
    assert len(pool.pids) == 1


def test_engine_of_a_killed_worker_dies_with_it(backend):
    backend.pool()
    job = backend.begun(backend.submit(LONG))
    assert eventually(lambda: children_of(pid_of(job)) != [])
    engine = children_of(pid_of(job))
    os.kill(pid_of(job), signal.SIGKILL)
    assert eventually(lambda: not any(is_alive(pid) for pid in engine))


def test_job_that_kills_every_worker_fails_eventually_while_others_succeed(backend):
    backend.pool(2)
    killer, other = backend.submit(DIE), backend.submit(1)
    assert backend.ended(other).state == "SUCCEEDED"
    job = backend.ended(killer)
    assert (job.state, job.failure.reason, job.attempt) == ("FAILED", "ATTEMPTS_EXHAUSTED", 5)


def test_killed_engine_is_retried(backend):
    backend.pool()
    job = backend.submit(256)
    worker = pid_of(backend.begun(job))
    assert eventually(lambda: children_of(worker) != [])
    for pid in children_of(worker):
        os.kill(pid, signal.SIGKILL)
    done = backend.ended(job)
    assert (done.state, done.attempt) == ("SUCCEEDED", 2)
    assert pid_of(done) == worker


def test_stopped_worker_loses_its_job_and_has_no_effect(tiny, tmp_path):
    backend = Backend(tiny, tmp_path, lease_seconds=1.0)
    backend.pool(2)
    job = backend.submit(256 * 2)
    first = backend.begun(job)
    os.kill(pid_of(first), signal.SIGSTOP)
    done = backend.ended(job)
    os.kill(pid_of(first), signal.SIGCONT)
    time.sleep(0.5)
    assert (done.state, done.attempt) == ("SUCCEEDED", 2)
    assert backend.store.get(job.id) == done
    backend.close()


def test_hanging_worker_is_killed_and_replaced(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("zkinfer.prover.workers.pool._MAX_SILENCE", 3.0)
    backend = Backend(tiny, tmp_path, lease_seconds=6.0)
    pool = backend.pool()
    assert backend.ended(backend.submit()).state == "SUCCEEDED"
    hanging = pool.pids[0]
    os.kill(hanging, signal.SIGSTOP)
    assert eventually(lambda: not is_alive(hanging), 30)
    assert backend.ended(backend.submit()).state == "SUCCEEDED"
    backend.close()


# --- the pool ends


def test_drained_pool_finishes_running_jobs(tiny, tmp_path):
    backend = Backend(tiny, tmp_path, grace_seconds=20.0)
    pool = backend.pool()
    job, waiting = backend.submit(256), backend.submit()
    backend.begun(job)
    pool.drain()
    assert (backend.store.get(job.id).state, backend.store.get(waiting.id).state) == ("SUCCEEDED", "QUEUED")
    assert pool.pids == []
    assert not pool.is_alive
    backend.close()


def test_drained_pool_gives_back_jobs_beyond_the_grace_period(backend):
    pool = backend.pool()
    job = backend.submit(LONG)
    backend.begun(job)
    pool.drain()
    left = backend.store.get(job.id)
    assert (left.state, left.attempt, left.worker) == ("QUEUED", 0, None)


def test_pool_that_was_never_started_is_drained_immediately(backend):
    WorkerPool(backend.store, backend.settings, size=1, command=COMMAND).drain()


SERVER = """
import sys, time
from pathlib import Path
from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.jobs import JobStore
from zkinfer.prover.workers import WorkerPool, WorkerSettings
settings = WorkerSettings.from_bytes(sys.stdin.buffer.read())
store = JobStore(settings.database.get_secret_value(), ArtifactStore(Path(settings.artifacts)))
WorkerPool(store, settings, size=2, command=sys.argv[1:]).start()
time.sleep(120)
"""


def test_workers_die_with_their_server_and_the_next_server_takes_their_jobs(backend):
    server = subprocess.Popen([sys.executable, "-c", SERVER, *COMMAND], stdin=subprocess.PIPE)
    server.stdin.write(backend.settings.to_bytes())
    server.stdin.close()
    jobs = [backend.submit(300), backend.submit(301)]
    workers = [pid_of(backend.begun(job)) for job in jobs]
    server.kill()
    server.wait()
    assert eventually(lambda: not any(is_alive(pid) for pid in workers))
    backend.pool(2)
    done = [backend.ended(job) for job in jobs]
    assert [(job.state, job.attempt) for job in done] == [("SUCCEEDED", 2)] * 2


def test_leases_of_running_workers_of_another_server_are_kept(backend):
    backend.submit()
    backend.store.claim(worker_name("host", os.getpid()), lease_seconds=60)
    backend.pool()
    time.sleep(2.5)
    assert backend.store.counts().of(JobState.PROVING) == 1


def test_lease_of_a_dead_worker_ends_even_without_workers_in_the_pool(backend):
    job = backend.submit()
    with subprocess.Popen(["sleep", "60"]) as gone:
        backend.store.claim(worker_name("host", gone.pid), lease_seconds=60)
        backend.store.cancel(job.id)
        backend.pool(0)
        time.sleep(1.5)
        assert backend.store.get(job.id).state == "PROVING"
        gone.kill()
    assert backend.ended(job).state == "CANCELLED"


# --- workers that cannot start


@pytest.mark.parametrize("command", [(sys.executable, "-c", "raise SystemExit(3)"), ("/bin/true",)])
def test_worker_that_does_not_start_is_retried_with_backoff(backend, monkeypatch, command):
    started = []
    start = WorkerProcess.__init__
    monkeypatch.setattr(WorkerProcess, "__init__", lambda *args: started.append(1) or start(*args))
    pool = backend.pool(command=command)
    time.sleep(1.5)
    assert 1 <= len(started) <= 3
    assert pool.is_alive
    assert pool.working == 0


def test_pool_whose_workers_all_die_on_start_is_unhealthy(backend, monkeypatch):
    monkeypatch.setattr("zkinfer.prover.workers.pool._FIRST_BACKOFF", 0.01)
    pool = backend.pool(command=("/bin/true",))
    assert pool.is_healthy
    assert eventually(lambda: not pool.is_healthy, 30)
    assert pool.is_alive


def test_pool_configured_without_workers_is_healthy(backend):
    pool = backend.pool(0)
    time.sleep(0.3)
    assert (pool.is_healthy, pool.working, pool.size) == (True, 0, 0)
    pool.drain()
    assert not pool.is_healthy


def test_missing_worker_program_is_an_error(backend):
    with pytest.raises(StoreError, match=r"No worker can be started: no such file"):
        WorkerProcess(backend.settings, ("/no/such/program",))


def test_worker_reports_why_it_cannot_start(backend):
    settings = backend.settings.model_copy(update={"artifacts": "/proc/nothing"}).to_bytes()
    ended = subprocess.run([*COMMAND, str(os.getpid())], input=settings, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert b'"event": "worker cannot start: /proc/nothing cannot be created' in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_worker_of_an_ended_parent_exits(backend):
    settings = backend.settings.to_bytes()
    ended = subprocess.run([*COMMAND, "1"], input=settings, capture_output=True, timeout=60, check=False)
    assert b"the parent is gone" in ended.stderr


# --- side effects of a pool


def test_engine_yields_the_processors_but_the_worker_does_not(tiny, tmp_path):
    backend = Backend(tiny, tmp_path, yielding=True)
    backend.pool()
    worker = pid_of(backend.begun(backend.submit(LONG)))
    assert eventually(lambda: [os.getpriority(os.PRIO_PROCESS, pid) for pid in children_of(worker)] == [10])
    scheduler = os.SCHED_IDLE if can_raise_priority() else os.SCHED_OTHER
    assert eventually(lambda: [os.sched_getscheduler(pid) for pid in children_of(worker)] == [scheduler])
    assert os.sched_getscheduler(worker) == os.SCHED_OTHER
    backend.close()


def test_secrets_are_in_no_command_line_and_no_environment(tiny, tmp_path):
    backend = Backend(tiny, tmp_path)
    pool = backend.pool()
    backend.ended(backend.submit())
    process = Path(f"/proc/{pool.pids[0]}")
    assert b"jobs.db" not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    backend.close()


def test_pool_survives_a_full_disk(backend, monkeypatch):
    def full(*_, **__):
        raise StoreError("The disk is full.")

    monkeypatch.setattr(backend.store, "sweep", full)
    monkeypatch.setattr(backend.store, "holders", full)
    pool = backend.pool()
    assert backend.ended(backend.submit()).state == "SUCCEEDED"
    assert eventually(lambda: not pool.is_healthy, 30)
    assert pool.is_alive
    monkeypatch.setattr(backend.store, "sweep", SweepResult)
