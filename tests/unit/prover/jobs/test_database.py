import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update
from tests.unit.prover.queue import LIMITS, Queue

from zkinfer.prover.artifact_store import ArtifactStore
from zkinfer.prover.errors import QuotaExceededError, StoreError
from zkinfer.prover.jobs import JobState, JobStore, QueueLimits, reaper
from zkinfer.prover.jobs.database import open_database
from zkinfer.prover.jobs.schema import SCHEMA_VERSION, clock, state


def file_of(queue):
    return queue.folder / "queue" / "jobs.db"


def opened_again(queue, **options):
    return JobStore(queue.url, queue.artifacts, **options)


# --- opening


def test_database_and_its_journals_are_private(embedded):
    embedded.submit()
    modes = {path.name: path.stat().st_mode & 0o777 for path in file_of(embedded).parent.iterdir()}
    assert modes == {"jobs.db": 0o600, "jobs.db-shm": 0o600, "jobs.db-wal": 0o600}
    assert file_of(embedded).parent.stat().st_mode & 0o777 == 0o700


def test_commits_are_synchronous(embedded):
    with embedded.store._database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_database_with_its_artifacts_elsewhere_is_refused(queue, tmp_path):
    queue.submit()
    assert queue.again().store.counts().of(JobState.QUEUED) == 1
    with pytest.raises(StoreError, match=r"in another state folder.*Each database belongs to one state folder"):
        JobStore(queue.url, ArtifactStore(tmp_path / "elsewhere"))


@pytest.mark.parametrize(
    "url",
    ["mysql://user@host/x", "sqlite://", "sqlite:///:memory:", "postgresql://user@host/x", "sqlite+aiosqlite:///x"],
)
def test_unsupported_database_is_refused(tmp_path, url):
    with pytest.raises(StoreError, match=r"is not supported\. Write sqlite:////path"):
        JobStore(url, ArtifactStore(tmp_path / "artifacts"))


@pytest.mark.parametrize("url", ["", "jobs.db", "://"])
def test_malformed_database_url_is_refused(tmp_path, url):
    with pytest.raises(StoreError, match="URL of the database is invalid"):
        JobStore(url, ArtifactStore(tmp_path / "artifacts"))


def test_address_in_a_message_has_no_password(tmp_path):
    url = "postgresql+psycopg://ann:geheim@127.0.0.1:1/jobs"
    with pytest.raises(StoreError, match="failed") as caught:
        JobStore(url, ArtifactStore(tmp_path / "artifacts"))
    assert "geheim" not in str(caught.value)
    assert "ann" in str(caught.value)


def test_missing_driver_is_refused_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"psycopg is not installed.*zkinfer\[postgres\]"):
        open_database("postgresql+psycopg://ann@127.0.0.1:1/jobs")


def test_database_without_the_clock_table_is_migrated(queue):
    job = queue.submit()
    queue.store._database.write(clock.drop)
    restarted = queue.again()
    restarted.store.sweep()
    assert restarted.state(job) == JobState.QUEUED
    with restarted.store._database.reading() as connection:
        assert reaper.last_trusted_time(connection) == queue.clock.now.timestamp()


def test_database_of_a_newer_version_is_refused(queue):
    newer = update(state).values(schema_version=SCHEMA_VERSION + 1)
    queue.store._database.write(lambda connection: connection.execute(newer))
    with pytest.raises(StoreError, match=r"has schema 2; this version of zkinfer supports 1.*update zkinfer"):
        opened_again(queue)


def test_concurrent_opens_create_the_schema_once(url, tmp_path):
    artifacts = ArtifactStore(tmp_path / "artifacts")
    with ThreadPoolExecutor(8) as threads:
        stores = [*threads.map(lambda _: JobStore(url, artifacts), range(8))]
    assert [store.revision() for store in stores] == [0] * 8
    for store in stores:
        store.close()


# --- errors


def test_file_that_is_not_a_database_is_refused(tmp_path):
    (tmp_path / "jobs.db").write_bytes(b"certainly no database " * 100)
    with pytest.raises(StoreError, match=r"This file is not a database.*restore it"):
        Queue(f"sqlite:///{tmp_path}/jobs.db", tmp_path)


def test_folder_writable_by_others_is_refused(tmp_path):
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StoreError, match="Other users can write to"):
        Queue(f"sqlite:///{tmp_path}/open/jobs.db", tmp_path)


def test_folder_in_the_place_of_a_database_is_refused(tmp_path):
    (tmp_path / "jobs.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened: is a directory"):
        Queue(f"sqlite:///{tmp_path}/jobs.db", tmp_path)


@pytest.fixture
def locked(embedded):
    """A queue whose database is locked by another process."""
    store = opened_again(embedded, busy_seconds=0.1)
    request = embedded.request()
    other = sqlite3.connect(file_of(embedded), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield store, request, other
    other.close()
    store.close()


def test_locked_database_is_an_error_and_accepts_no_job(locked):
    store, request, other = locked
    with pytest.raises(StoreError, match="holds the lock of the database"):
        store.submit(request, LIMITS)
    assert store.page().jobs == ()
    other.execute("ROLLBACK")
    assert store.submit(request, LIMITS).created


def test_full_database_is_an_error_and_accepts_no_job(embedded):
    many = QueueLimits(disk_reserve_bytes=0, queued=10_000, per_owner=10_000)

    def bound(pages):
        with embedded.store._database.reading() as connection:
            return connection.exec_driver_sql(f"PRAGMA max_page_count={pages}").scalar()

    def submit_many():
        for _ in range(1000):
            embedded.submit(limits=many)

    bound(1)  # it is larger already, so it cannot grow
    with pytest.raises(StoreError, match=r"is full.*Free space; jobs resume automatically"):
        submit_many()
    taken = len(embedded.store.page(size=1000).jobs)
    bound(1_000_000)
    embedded.submit(limits=many)
    assert len(embedded.store.page(size=1000).jobs) == taken + 1


def test_read_only_database_is_an_error(embedded):
    with embedded.store._database.reading() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
    with pytest.raises(StoreError, match="cannot be written"):
        embedded.submit()


def test_database_removed_while_open_is_an_error(embedded):
    embedded.store.close()
    file_of(embedded).unlink()
    with pytest.raises(StoreError, match="failed: no such table"):
        embedded.store.page()


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_lost_database_connection_is_an_error_and_then_reestablished(queue):
    job = queue.submit()
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
    )
    other = queue.again()
    with other.store._database.reading() as connection:
        connection.exec_driver_sql(kill)
    assert queue.store.get(job.id) == job


# --- concurrent writers


def test_concurrent_submissions_are_not_lost(queue):
    requests = [queue.request(f"owner {n % 4}") for n in range(80)]
    with ThreadPoolExecutor(8) as threads:
        jobs = [*threads.map(lambda request: queue.store.submit(request, LIMITS).job, requests)]
    assert len({job.id for job in jobs}) == len({job.number for job in jobs}) == 80
    assert queue.store.counts().of(JobState.QUEUED) == 80


def test_concurrent_identical_submissions_get_one_job(queue):
    requests = [queue.request(inputs="x") for _ in range(16)]
    with ThreadPoolExecutor(8) as threads:
        made = [*threads.map(lambda request: queue.store.submit(request, LIMITS), requests)]
    assert len({one.job.id for one in made}) == 1
    assert [one.created for one in made].count(True) == 1


def test_concurrent_claims_get_different_jobs(queue):
    others = [queue, queue.again(), queue.again()]
    for _ in range(24):
        queue.submit()
    with ThreadPoolExecutor(6) as threads:
        leases = [*threads.map(lambda n: others[n % 3].claim(f"host/{n}"), range(30))]
    taken = [lease.job.id for lease in leases if lease is not None]
    assert len(taken) == len(set(taken)) == 24


def test_failure_in_a_shared_transaction_does_not_affect_others(queue):
    """The turn is held until all threads have arrived, so that they share one transaction."""
    limits = QueueLimits(per_owner=1, disk_reserve_bytes=0)
    requests = [queue.request("ann") for _ in range(4)] + [queue.request(f"bob {n}") for n in range(4)]
    outcomes, database = [], queue.store._database

    def submit(request):
        try:
            outcomes.append(queue.store.submit(request, limits).job.request.owner)
        except QuotaExceededError:
            outcomes.append("refused")

    threads = [threading.Thread(target=submit, args=(request,)) for request in requests]
    with database._turn:
        for thread in threads:
            thread.start()
        while len(database._waiting) < len(threads):
            pass
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ann", "bob 0", "bob 1", "bob 2", "bob 3", *["refused"] * 3]
    assert len(queue.store.page().jobs) == 5
