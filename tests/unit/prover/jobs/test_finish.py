from datetime import timedelta

import pytest
from tests.unit.prover.queue import NOON

from zkinfer.circuits.digest import sha256
from zkinfer.prover.errors import ArtifactMissingError, JobStateError, LeaseLostError, UnknownJobError
from zkinfer.prover.jobs import Failure, RetryPolicy

CRASHED = Failure(reason="ENGINE_CRASHED", cause="It crashed.", cure="Try again.")


@pytest.fixture
def lease(queue):
    queue.submit(inputs="x")
    return queue.claim()


def now_failed(queue, lease, **options):
    queue.store.fail(lease, CRASHED, **{"retry": False, **options})
    return queue.store.get(lease.job.id)


# --- success


def test_finished_job_has_its_attestation(queue, lease):
    queue.clock.wait(2)
    queue.succeed(lease, b"attestation")
    job = queue.store.get(lease.job.id)
    assert (job.state, job.progress, job.attestation_bytes) == ("SUCCEEDED", 1.0, 11)
    assert queue.artifacts.get(job.attestation, 100) == b"attestation"
    assert job.finished_at == NOON + timedelta(seconds=2)


def test_reporting_success_is_idempotent(queue, lease):
    queue.succeed(lease)
    before = queue.store.get(lease.job.id)
    queue.succeed(lease)
    assert queue.store.get(lease.job.id) == before


def test_success_with_another_attestation_is_refused(queue, lease):
    queue.succeed(lease, b"one")
    with pytest.raises(LeaseLostError, match="no longer"):
        queue.succeed(lease, b"two")
    assert queue.store.get(lease.job.id).attestation == sha256(b"one")


def test_success_without_an_attestation_is_refused(queue, lease):
    with pytest.raises(ArtifactMissingError, match="no artifact"):
        queue.store.succeed(lease, sha256(b"never put"), 1)
    assert queue.state(lease.job) == "PROVING"


# --- failure


def test_failure_records_its_reason(queue, lease):
    job = now_failed(queue, lease)
    assert (job.state, job.failure, job.finished_at) == ("FAILED", CRASHED, NOON)


def test_transient_failure_is_retried_with_exponential_backoff(queue, lease):
    for pause in (1, 2, 4, 8):
        job = now_failed(queue, lease, retry=True)
        assert (job.state, job.failure) == ("QUEUED", CRASHED)
        assert job.not_before == queue.clock.now + timedelta(seconds=pause)
        assert queue.claim() is None
        queue.clock.wait(pause)
        lease = queue.claim()
    job = now_failed(queue, lease, retry=True)
    assert (job.state, job.failure.reason, job.attempt) == ("FAILED", "ATTEMPTS_EXHAUSTED", 5)
    assert "5 times and never finished. Last failure: It crashed." in job.failure.cause


def test_backoff_is_bounded():
    assert RetryPolicy(backoff=1, max_backoff=60).pause(1000) == 60


def test_job_in_backoff_lets_others_go_first(queue, lease):
    now_failed(queue, lease, retry=True)
    other = queue.submit()
    assert queue.claim().job.id == other.id


def test_success_clears_an_earlier_failure(queue, lease):
    now_failed(queue, lease, retry=True)
    queue.clock.wait(1)
    queue.succeed(queue.claim())
    assert queue.store.get(lease.job.id).failure is None


# --- workers that die


def test_job_of_a_dead_worker_is_restarted(queue, lease):
    assert queue.store.release("host/1", blamed=False) == 1
    again = queue.claim("host/2")
    assert (again.job.id, again.job.attempt) == (lease.job.id, 2)


def test_job_that_kills_its_workers_fails_eventually(queue, lease):
    for attempt in range(1, 6):
        assert queue.store.get(lease.job.id).attempt == attempt
        queue.store.release("host/1")
        queue.clock.wait(60)
        queue.claim()
    job = queue.store.get(lease.job.id)
    assert (job.state, job.failure.reason) == ("FAILED", "ATTEMPTS_EXHAUSTED")
    assert "The worker died" in job.failure.cause


@pytest.mark.parametrize("queue", [RetryPolicy(attempts=3)], indirect=True)
def test_job_that_is_always_lost_fails_eventually(queue):
    job = queue.submit()
    for _ in range(3):
        queue.claim()
        queue.store.release("host/1", blamed=False)
    assert queue.store.get(job.id).failure.reason == "ATTEMPTS_EXHAUSTED"


def test_release_of_a_worker_without_jobs_changes_nothing(queue, lease):
    assert queue.store.release("host/2") == 0
    assert queue.state(lease.job) == "PROVING"


def test_job_given_back_does_not_count_as_an_attempt(queue, lease):
    queue.store.give_back(lease)
    job = queue.store.get(lease.job.id)
    assert (job.state, job.attempt, job.not_before, job.failure) == ("QUEUED", 0, None, None)


# --- cancelling


def test_waiting_job_is_cancelled_immediately(queue):
    job = queue.submit()
    assert queue.store.cancel(job.id).state == "CANCELLED"
    assert queue.claim() is None


def test_running_job_is_asked_to_stop(queue, lease):
    asked = queue.store.cancel(lease.job.id)
    assert (asked.state, asked.cancel_requested) == ("PROVING", True)
    assert queue.store.renew(lease) is True
    queue.store.cancelled(lease)
    assert queue.state(lease.job) == "CANCELLED"


def test_cancelled_job_whose_worker_dies_is_not_restarted(queue, lease):
    queue.store.cancel(lease.job.id)
    queue.store.release("host/1")
    assert queue.state(lease.job) == "CANCELLED"


def test_job_that_finishes_before_its_cancellation_arrives_succeeds(queue, lease):
    queue.store.cancel(lease.job.id)
    queue.succeed(lease)
    assert queue.state(lease.job) == "SUCCEEDED"


def test_finished_job_is_immutable(queue, lease):
    queue.succeed(lease)
    before = queue.store.get(lease.job.id)
    assert queue.store.cancel(lease.job.id) == before


@pytest.mark.parametrize("call", ["get", "cancel", "retry", "delete"])
@pytest.mark.parametrize("job_id", ["", "nothing", "'; DROP TABLE zkinfer_jobs; --", "x" * 10_000])
def test_unknown_job_is_refused(queue, call, job_id):
    with pytest.raises(UnknownJobError, match="There is no job"):
        getattr(queue.store, call)(job_id)


# --- trying again by hand


def test_retried_job_starts_from_the_beginning(queue, lease):
    now_failed(queue, lease)
    job = queue.store.retry(lease.job.id)
    assert (job.state, job.attempt, job.finished_at, job.failure) == ("QUEUED", 0, None, None)
    again = queue.claim()
    assert again.fence > lease.fence
    queue.succeed(again)
    assert queue.state(job) == "SUCCEEDED"


@pytest.mark.parametrize("end", ["QUEUED", "PROVING", "SUCCEEDED", "CANCELLED"])
def test_job_that_did_not_fail_cannot_be_retried(queue, end):
    job = queue.submit()
    if end in ("PROVING", "SUCCEEDED"):
        lease = queue.claim()
    if end == "SUCCEEDED":
        queue.succeed(lease)
    if end == "CANCELLED":
        queue.store.cancel(job.id)
    with pytest.raises(JobStateError, match=f"The job is {end}. Only a FAILED job"):
        queue.store.retry(job.id)


def test_job_without_its_inputs_cannot_be_retried(queue, lease):
    now_failed(queue, lease)
    queue.clock.wait(101)
    queue.store.sweep()
    with pytest.raises(JobStateError, match="inputs of the job were removed"):
        queue.store.retry(lease.job.id)


def test_job_requested_again_since_cannot_be_retried(queue, lease):
    now_failed(queue, lease)
    twin = queue.submit(inputs="x")
    with pytest.raises(JobStateError, match=f"submitted again as the job {twin.id}"):
        queue.store.retry(lease.job.id)


def test_job_past_its_deadline_cannot_be_retried(queue):
    queue.submit(deadline=NOON + timedelta(seconds=5))
    job = now_failed(queue, queue.claim())
    queue.clock.wait(5)
    with pytest.raises(JobStateError, match="deadline has passed"):
        queue.store.retry(job.id)


# --- deleting


def test_deleted_job_and_its_attestation_are_gone(queue, lease):
    queue.succeed(lease)
    queue.store.delete(lease.job.id)
    with pytest.raises(UnknownJobError, match="There is no job"):
        queue.store.get(lease.job.id)
    assert list(queue.artifacts.root.iterdir()) == []


def test_unfinished_job_cannot_be_deleted(queue, lease):
    waiting = queue.submit()
    for job in (waiting, lease.job):
        with pytest.raises(JobStateError, match="Cancel it first"):
            queue.store.delete(job.id)


def test_attestation_referenced_by_another_job_is_kept(queue, lease):
    queue.succeed(lease, b"same")
    queue.submit()
    other = queue.claim()
    queue.succeed(other, b"same")
    queue.store.delete(lease.job.id)
    assert queue.artifacts.get(queue.store.get(other.job.id).attestation, 10) == b"same"
