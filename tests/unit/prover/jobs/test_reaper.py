import os
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.prover.queue import LIMITS, NOON, RETRY_POLICY

from zkinfer.prover.errors import ArtifactMissingError, JobStateError, LeaseLostError, UnknownJobError
from zkinfer.prover.jobs import Failure, JobState, SweepResult, reaper

FAILURE = Failure(reason="RANGE", cause="Too large.")
NO_INPUTS_OF_FAILED = [replace(RETRY_POLICY, failed_inputs=0)]
SETTLING = [replace(RETRY_POLICY, settling=600.0)]


def ended(queue, how, **fields):
    """A job that ended in this way."""
    job = queue.submit(**fields)
    if how == "CANCELLED":
        return queue.store.cancel(job.id)
    lease = queue.claim()
    queue.succeed(lease) if how == "SUCCEEDED" else queue.store.fail(lease, FAILURE, retry=False)
    return queue.store.get(job.id)


def test_sweep_of_a_tidy_queue_does_nothing(queue):
    queue.submit()
    assert queue.store.sweep() == SweepResult()


# --- inputs


@pytest.mark.parametrize("how", ["SUCCEEDED", "CANCELLED"])
def test_inputs_are_removed_when_the_job_ends(queue, how):
    assert not queue.has_inputs(ended(queue, how))


def test_inputs_are_kept_while_another_job_needs_them(queue):
    waiting = queue.submit("bob", inputs="x")
    queue.claim()
    job = ended(queue, "CANCELLED", inputs="x")
    assert queue.has_inputs(job)
    queue.store.cancel(waiting.id)
    queue.store.release("host/1")
    assert not queue.has_inputs(waiting)


def test_inputs_of_a_failed_job_are_kept_for_the_retention_period(queue):
    job = ended(queue, "FAILED")
    queue.clock.wait(99)
    queue.store.sweep()
    assert queue.has_inputs(job)
    queue.clock.wait(2)
    assert queue.store.sweep().artifacts == 1
    assert not queue.has_inputs(job)


@pytest.mark.parametrize("queue", NO_INPUTS_OF_FAILED, indirect=True)
def test_inputs_of_a_failed_job_are_removed_immediately_without_retention(queue):
    assert not queue.has_inputs(ended(queue, "FAILED"))


def test_inputs_left_by_a_killed_server_are_removed_by_the_next_sweep(queue, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("zkinfer.prover.jobs.reaper.Reaper.collect", lambda *_: 0)
        job = ended(queue, "SUCCEEDED")
    assert queue.has_inputs(job)
    assert queue.store.sweep().artifacts == 1
    assert not queue.has_inputs(job)


def test_missing_inputs_are_requested_again(queue):
    request = queue.request(inputs="x")
    ended(queue, "CANCELLED", inputs="x")
    with pytest.raises(ArtifactMissingError, match="store it again"):
        queue.store.submit(request, LIMITS)
    assert queue.store.submit(queue.request(inputs="x"), LIMITS).created


def test_missing_inputs_are_stored_again_if_supplied(queue):
    request = queue.request(inputs="x")
    ended(queue, "CANCELLED", inputs="x")
    job = queue.store.submit(request, LIMITS, inputs=b"x").job
    assert queue.has_inputs(job)


def test_inputs_other_than_those_of_the_request_are_refused(queue):
    request = queue.request(inputs="x")
    ended(queue, "CANCELLED", inputs="x")
    with pytest.raises(ArtifactMissingError, match="There is no artifact"):
        queue.store.submit(request, LIMITS, inputs=b"y")


# --- unreferenced artifacts


def aged(queue, path, seconds):
    then = queue.clock.now.timestamp() - seconds
    os.utime(path, (then, then))


def test_artifact_never_submitted_is_removed_eventually(queue):
    digest = queue.artifacts.put(b"orphan")
    (queue.artifacts.root / ".part-0123").write_bytes(b"half of")
    for path in queue.artifacts.root.iterdir():
        aged(queue, path, 400)
    queue.store.sweep()
    assert queue.artifacts.has(digest)
    queue.clock.wait(700)
    assert queue.store.sweep().artifacts == 1
    assert list(queue.artifacts.root.iterdir()) == []


def test_many_orphans_are_removed_in_batches(queue, monkeypatch):
    monkeypatch.setattr(reaper, "BATCH_SIZE", 2)
    waiting = queue.submit()
    for number in range(5):
        queue.artifacts.put(f"orphan {number}".encode())
    for path in queue.artifacts.root.iterdir():
        aged(queue, path, 900)
    queue.clock.wait(700)
    assert [queue.store.sweep().artifacts for _ in range(4)] == [2, 2, 1, 0]
    assert queue.has_inputs(waiting)


def test_artifacts_referenced_by_jobs_are_not_orphans(queue):
    done = ended(queue, "SUCCEEDED")
    waiting = queue.submit()
    for path in queue.artifacts.root.iterdir():
        aged(queue, path, 900)
    queue.clock.wait(700)
    assert queue.store.sweep() == SweepResult()
    assert queue.has_inputs(waiting)
    assert queue.artifacts.has(done.attestation)


# --- retention


def test_finished_jobs_are_purged_after_the_retention_period(queue):
    jobs = [ended(queue, how) for how in ("SUCCEEDED", "FAILED", "CANCELLED")]
    waiting = queue.submit()
    queue.clock.wait(999)
    queue.store.sweep()
    assert len(queue.store.page().jobs) == 4
    queue.clock.wait(2)
    assert queue.store.sweep().deleted == 3
    assert [job.id for job in queue.store.page().jobs] == [waiting.id]
    assert len(list(queue.artifacts.root.iterdir())) == 1
    with pytest.raises(UnknownJobError, match="removed after its retention"):
        queue.store.get(jobs[0].id)


# --- wrong clocks


def settled(queue):
    """The queue, once its clock is trusted."""
    queue.store.sweep()
    queue.clock.wait(600)
    queue.store.sweep()


@pytest.mark.parametrize("queue", SETTLING, indirect=True)
def test_clock_jump_ahead_purges_nothing_until_the_clock_settles(queue):
    settled(queue)
    job = ended(queue, "SUCCEEDED")
    queue.clock.jump(10_000)
    for _ in range(9):
        assert queue.store.sweep() == SweepResult()
        queue.clock.wait(60)
    queue.clock.jump(-10_000)
    queue.clock.wait(60)
    queue.store.sweep()
    assert queue.state(job) == "SUCCEEDED"


@pytest.mark.parametrize("queue", SETTLING, indirect=True)
def test_clock_that_stays_ahead_is_trusted_eventually(queue):
    settled(queue)
    ended(queue, "SUCCEEDED")
    queue.clock.jump(10_000)
    queue.store.sweep()
    queue.clock.wait(601)
    assert queue.store.sweep().deleted == 1


@pytest.mark.parametrize("queue", SETTLING, indirect=True)
def test_clock_at_start_up_must_settle_before_jobs_expire_or_are_purged(queue):
    old = ended(queue, "SUCCEEDED")
    queue.submit(deadline=NOON + timedelta(seconds=5))
    queue.clock.jump(2000)
    assert queue.store.sweep() == SweepResult()
    queue.clock.wait(599)
    assert queue.store.sweep() == SweepResult()
    assert queue.artifacts.has(old.attestation)
    queue.clock.wait(1)
    swept = queue.store.sweep()
    assert (swept.expired, swept.deleted) == (1, 1)


@pytest.mark.parametrize("queue", SETTLING, indirect=True)
def test_clock_corrected_after_start_up_purges_nothing(queue):
    job = ended(queue, "SUCCEEDED")
    settled(queue)
    restarted = queue.again()
    queue.clock.jump(400 * 86_400)
    for _ in range(50):
        assert restarted.store.sweep() == SweepResult()
        queue.clock.wait(60)
    queue.clock.jump(-400 * 86_400)
    assert restarted.store.sweep() == SweepResult()
    assert restarted.state(job) == "SUCCEEDED"


@pytest.mark.parametrize("queue", SETTLING, indirect=True)
def test_restart_after_a_long_time_trusts_its_clock_after_an_hour(queue):
    ended(queue, "SUCCEEDED")
    settled(queue)
    restarted = queue.again()
    queue.clock.jump(7 * 86_400)
    assert restarted.store.sweep() == SweepResult()
    queue.clock.wait(3600)
    assert restarted.store.sweep().deleted == 1


@pytest.mark.parametrize("queue", SETTLING, indirect=True)
def test_wrong_clock_of_one_start_is_not_trusted_by_the_next(queue):
    job = ended(queue, "SUCCEEDED")
    settled(queue)
    queue.clock.jump(400 * 86_400)
    for _ in range(3):
        restarted = queue.again()
        restarted.store.sweep()
        queue.clock.wait(1800)
        assert restarted.store.sweep() == SweepResult()
    assert restarted.state(job) == "SUCCEEDED"


@pytest.mark.parametrize("queue", SETTLING, indirect=True)
def test_unneeded_inputs_are_removed_independently_of_the_clock(queue, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("zkinfer.prover.jobs.reaper.Reaper.collect", lambda *_: 0)
        done, failed = ended(queue, "SUCCEEDED"), ended(queue, "FAILED")
    queue.clock.jump(400 * 86_400)
    assert queue.store.sweep() == SweepResult(artifacts=1)
    assert (queue.has_inputs(done), queue.has_inputs(failed)) == (False, True)


@pytest.mark.parametrize("how", ["SUCCEEDED", "CANCELLED"])
@pytest.mark.parametrize("queue", SETTLING, indirect=True)
def test_failed_job_with_shared_inputs_can_be_retried_at_any_clock(queue, how):
    failed = ended(queue, "FAILED", inputs="x")
    queue.clock.jump(400 * 86_400)
    ended(queue, how, inputs="x")
    queue.store.sweep()
    assert queue.has_inputs(failed)
    assert queue.store.retry(failed.id).state == "QUEUED"


@pytest.mark.parametrize("queue", SETTLING, indirect=True)
def test_failed_job_with_shared_inputs_keeps_them_while_the_clock_is_untrusted(queue, monkeypatch):
    failed = ended(queue, "FAILED", inputs="x")
    with monkeypatch.context() as patch:
        patch.setattr("zkinfer.prover.jobs.reaper.Reaper.collect", lambda *_: 0)
        ended(queue, "SUCCEEDED", inputs="x")
    queue.clock.jump(400 * 86_400)
    assert queue.store.sweep() == SweepResult()
    assert queue.store.retry(failed.id).state == "QUEUED"


# --- deadlines


def test_waiting_job_past_its_deadline_expires(queue):
    job = queue.submit(deadline=NOON + timedelta(seconds=5))
    queue.clock.wait(5)
    assert queue.claim() is None
    assert queue.store.sweep().expired == 1
    expired = queue.store.get(job.id)
    assert (expired.state, expired.failure.reason) == ("EXPIRED", "EXPIRED")
    assert not queue.has_inputs(job)


def test_running_job_past_its_deadline_expires_and_its_worker_is_stopped(queue):
    queue.submit(deadline=NOON + timedelta(seconds=5))
    lease = queue.claim()
    queue.clock.wait(6)
    queue.store.sweep()
    with pytest.raises(LeaseLostError, match="no longer"):
        queue.succeed(lease)
    assert queue.state(lease.job) == "EXPIRED"


def test_worker_can_report_a_passed_deadline(queue):
    queue.submit()
    lease = queue.claim()
    queue.store.fail(lease, Failure(reason="EXPIRED", cause="Too late."), retry=False)
    assert queue.state(lease.job) == "EXPIRED"


def test_expired_job_cannot_be_retried(queue):
    job = queue.submit(deadline=NOON + timedelta(seconds=5))
    queue.clock.wait(5)
    queue.store.sweep()
    with pytest.raises(JobStateError, match="The job is EXPIRED"):
        queue.store.retry(job.id)


# --- several sweepers


def test_two_sweepers_expire_a_lease_once(queue):
    job = queue.submit()
    other = queue.again()
    queue.claim()
    for store in (queue.store, other.store):
        store.sweep()
    queue.clock.wait(11)
    assert [queue.store.sweep().requeued, other.store.sweep().requeued] == [1, 0]
    assert queue.state(job) == JobState.QUEUED
