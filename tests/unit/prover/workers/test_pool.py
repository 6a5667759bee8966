"""Processes are killed, and nothing is lost."""

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
from tests.unit.prover.fake_worker import DIE
from tests.unit.prover.workers.conftest import COMMAND, Desk

from zkinfer.circuits.sandbox.processes import can_raise_priority
from zkinfer.prover.errors import StoreError
from zkinfer.prover.jobs import JobState, SweepResult
from zkinfer.prover.workers import WorkerPool
from zkinfer.prover.workers.config import worker_name
from zkinfer.prover.workers.pool import WorkerProcess

LONG = 256 * 50


def pid_of(job):
    return int(job.worker.split(".")[-2])


def test_job_of_a_killed_worker_is_done_by_the_next(desk):
    pool = desk.pool()
    job = desk.submit(256)
    first = desk.begun(job)
    os.kill(pid_of(first), signal.SIGKILL)
    done = desk.ended(job)
    assert (done.state, done.attempt) == ("SUCCEEDED", 2)
    assert done.worker != first.worker
    assert len(pool.pids) == 1


def test_engine_of_a_killed_worker_dies_with_it(desk):
    desk.pool()
    job = desk.begun(desk.submit(LONG))
    assert eventually(lambda: children_of(pid_of(job)) != [])
    engine = children_of(pid_of(job))
    os.kill(pid_of(job), signal.SIGKILL)
    assert eventually(lambda: not any(is_alive(pid) for pid in engine))


def test_job_that_kills_every_worker_fails_in_the_end_and_others_are_done(desk):
    desk.pool(2)
    killer, other = desk.submit(DIE), desk.submit(1)
    assert desk.ended(other).state == "SUCCEEDED"
    job = desk.ended(killer)
    assert (job.state, job.failure.reason, job.attempt) == ("FAILED", "ATTEMPTS_EXHAUSTED", 5)


def test_killed_engine_is_retried(desk):
    desk.pool()
    job = desk.submit(256)
    worker = pid_of(desk.begun(job))
    assert eventually(lambda: children_of(worker) != [])
    for pid in children_of(worker):
        os.kill(pid, signal.SIGKILL)
    done = desk.ended(job)
    assert (done.state, done.attempt) == ("SUCCEEDED", 2)
    assert pid_of(done) == worker


def test_worker_that_is_stopped_loses_its_job_and_finishes_nothing(shop, tmp_path):
    desk = Desk(shop, tmp_path, lease_seconds=1.0)
    desk.pool(2)
    job = desk.submit(256 * 2)
    first = desk.begun(job)
    os.kill(pid_of(first), signal.SIGSTOP)
    done = desk.ended(job)
    os.kill(pid_of(first), signal.SIGCONT)
    time.sleep(0.5)
    assert (done.state, done.attempt) == ("SUCCEEDED", 2)
    assert desk.store.get(job.id) == done
    desk.close()


def test_worker_that_hangs_is_killed_and_replaced(shop, tmp_path, monkeypatch):
    monkeypatch.setattr("zkinfer.prover.workers.pool._MAX_SILENCE", 3.0)
    desk = Desk(shop, tmp_path, lease_seconds=6.0)
    pool = desk.pool()
    assert desk.ended(desk.submit()).state == "SUCCEEDED"
    hanging = pool.pids[0]
    os.kill(hanging, signal.SIGSTOP)
    assert eventually(lambda: not is_alive(hanging), 30)
    assert desk.ended(desk.submit()).state == "SUCCEEDED"
    desk.close()


# --- the pool ends


def test_drained_pool_finishes_what_it_has_begun(shop, tmp_path):
    desk = Desk(shop, tmp_path, grace_seconds=20.0)
    pool = desk.pool()
    job, waiting = desk.submit(256), desk.submit()
    desk.begun(job)
    pool.drain()
    assert (desk.store.get(job.id).state, desk.store.get(waiting.id).state) == ("SUCCEEDED", "QUEUED")
    assert pool.pids == []
    assert not pool.is_alive
    desk.close()


def test_drained_pool_gives_back_what_takes_longer_than_its_grace(desk):
    pool = desk.pool()
    job = desk.submit(LONG)
    desk.begun(job)
    pool.drain()
    left = desk.store.get(job.id)
    assert (left.state, left.attempt, left.worker) == ("QUEUED", 0, None)


def test_pool_that_was_never_started_is_drained_at_once(desk):
    WorkerPool(desk.store, desk.settings, size=1, command=COMMAND).drain()


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


def test_workers_die_with_their_server_and_the_next_finds_their_jobs(desk):
    server = subprocess.Popen([sys.executable, "-c", SERVER, *COMMAND], stdin=subprocess.PIPE)
    server.stdin.write(desk.settings.to_bytes())
    server.stdin.close()
    jobs = [desk.submit(300), desk.submit(301)]
    workers = [pid_of(desk.begun(job)) for job in jobs]
    server.kill()
    server.wait()
    assert eventually(lambda: not any(is_alive(pid) for pid in workers))
    desk.pool(2)
    done = [desk.ended(job) for job in jobs]
    assert [(job.state, job.attempt) for job in done] == [("SUCCEEDED", 2)] * 2


def test_leases_of_living_workers_of_another_server_stay(desk):
    desk.submit()
    desk.store.claim(worker_name("host", os.getpid()), lease_seconds=60)
    desk.pool()
    time.sleep(2.5)
    assert desk.store.counts().of(JobState.PROVING) == 1


def test_lease_of_a_dead_worker_ends_where_the_pool_has_no_workers(desk):
    job = desk.submit()
    with subprocess.Popen(["sleep", "60"]) as gone:
        desk.store.claim(worker_name("host", gone.pid), lease_seconds=60)
        desk.store.cancel(job.id)
        desk.pool(0)
        time.sleep(1.5)
        assert desk.store.get(job.id).state == "PROVING"
        gone.kill()
    assert desk.ended(job).state == "CANCELLED"


# --- workers that cannot start


@pytest.mark.parametrize("command", [(sys.executable, "-c", "raise SystemExit(3)"), ("/bin/true",)])
def test_worker_that_does_not_start_is_not_tried_without_pause(desk, monkeypatch, command):
    started = []
    start = WorkerProcess.__init__
    monkeypatch.setattr(WorkerProcess, "__init__", lambda *args: started.append(1) or start(*args))
    pool = desk.pool(command=command)
    time.sleep(1.5)
    assert 1 <= len(started) <= 3
    assert pool.is_alive
    assert pool.working == 0


def test_pool_whose_workers_all_die_at_birth_says_so(desk, monkeypatch):
    monkeypatch.setattr("zkinfer.prover.workers.pool._FIRST_BACKOFF", 0.01)
    pool = desk.pool(command=("/bin/true",))
    assert pool.is_healthy
    assert eventually(lambda: not pool.is_healthy, 30)
    assert pool.is_alive


def test_pool_that_is_to_have_no_workers_is_well(desk):
    pool = desk.pool(0)
    time.sleep(0.3)
    assert (pool.is_healthy, pool.working, pool.size) == (True, 0, 0)
    pool.drain()
    assert not pool.is_healthy


def test_program_that_does_not_exist_is_an_error(desk):
    with pytest.raises(StoreError, match=r"No worker can be started: no such file"):
        WorkerProcess(desk.settings, ("/no/such/program",))


def test_worker_says_why_it_cannot_work(desk):
    told = desk.settings.model_copy(update={"artifacts": "/proc/nothing"}).to_bytes()
    ended = subprocess.run([*COMMAND, str(os.getpid())], input=told, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert b'"event": "worker cannot start: /proc/nothing cannot be created' in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_worker_of_a_parent_that_is_gone_ends(desk):
    told = desk.settings.to_bytes()
    ended = subprocess.run([*COMMAND, "1"], input=told, capture_output=True, timeout=60, check=False)
    assert b"the parent is gone" in ended.stderr


# --- what it tells


def test_engine_yields_the_processors_and_the_worker_who_holds_locks_does_not(shop, tmp_path):
    desk = Desk(shop, tmp_path, yielding=True)
    desk.pool()
    worker = pid_of(desk.begun(desk.submit(LONG)))
    assert eventually(lambda: [os.getpriority(os.PRIO_PROCESS, pid) for pid in children_of(worker)] == [10])
    scheduler = os.SCHED_IDLE if can_raise_priority() else os.SCHED_OTHER
    assert eventually(lambda: [os.sched_getscheduler(pid) for pid in children_of(worker)] == [scheduler])
    assert os.sched_getscheduler(worker) == os.SCHED_OTHER
    desk.close()


def test_secrets_are_in_no_command_line_and_no_environment(shop, tmp_path):
    desk = Desk(shop, tmp_path)
    pool = desk.pool()
    desk.ended(desk.submit())
    process = Path(f"/proc/{pool.pids[0]}")
    assert b"jobs.db" not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    desk.close()


def test_full_disk_under_the_pool_does_not_end_it(desk, monkeypatch):
    def full(*_, **__):
        raise StoreError("The disk is full.")

    monkeypatch.setattr(desk.store, "sweep", full)
    monkeypatch.setattr(desk.store, "holders", full)
    pool = desk.pool()
    assert desk.ended(desk.submit()).state == "SUCCEEDED"
    assert eventually(lambda: not pool.is_healthy, 30)
    assert pool.is_alive
    monkeypatch.setattr(desk.store, "sweep", SweepResult)
