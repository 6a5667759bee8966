from datetime import timedelta

import pytest
from tests.unit.prover.queue import NOON

from zkinfer.prover.errors import LeaseLostError
from zkinfer.prover.jobs import JobState
from zkinfer.prover.jobs.leases import MAX_PASSED_OVER


def owners_in_order(queue, count, **options):
    return [queue.claim(**options).job.request.owner for _ in range(count)]


def test_claim_on_an_empty_queue_returns_none(queue):
    assert queue.claim() is None


def test_claimed_job_is_leased_to_the_worker(queue):
    job = queue.submit()
    queue.clock.wait(3)
    lease = queue.claim("host/7")
    assert (lease.job.id, lease.worker) == (job.id, "host/7")
    assert lease.job == queue.store.get(job.id)
    assert (lease.job.state, lease.job.worker, lease.job.attempt) == ("PROVING", "host/7", 1)
    assert lease.job.started_at == NOON + timedelta(seconds=3)
    assert queue.claim() is None


def test_oldest_job_comes_first(queue):
    first, second = queue.submit(), queue.submit()
    assert [queue.claim().job.id, queue.claim().job.id] == [first.id, second.id]


def test_owners_take_turns(queue):
    for _ in range(4):
        queue.submit("ann")
    queue.submit("bob")
    queue.submit("cid")
    queue.submit("bob")
    assert owners_in_order(queue, 7) == ["ann", "bob", "cid", "ann", "bob", "ann", "ann"]


def test_new_owner_waits_for_one_turn_only(queue):
    for _ in range(3):
        queue.submit("ann")
    assert owners_in_order(queue, 1) == ["ann"]
    queue.submit("bob")
    assert owners_in_order(queue, 2) == ["bob", "ann"]


def test_owner_who_deletes_finished_jobs_is_not_treated_as_new(queue):
    queue.submit("old")
    queue.succeed(queue.claim())
    for owner in ("ann", "bob", "bob", "cid", "cid"):
        queue.submit(owner)
    queue.clock.wait(queue.retry_policy.finished + 1)  # so that the first sweep has something to purge
    served = []
    for _ in range(5):
        lease = queue.claim()
        served.append(lease.job.request.owner)
        queue.succeed(lease, lease.job.id.encode())
        if served[-1] == "ann":
            queue.store.delete(lease.job.id)
            queue.store.sweep()
            queue.submit("ann")
    assert served == ["ann", "bob", "cid", "ann", "bob"]


@pytest.mark.parametrize("owners", ["aab", "abab", "aaabbc", "abcabc", "cba"])
def test_position_is_the_number_of_jobs_that_start_before(queue, owners):
    jobs = [queue.submit(owner) for owner in owners]
    places = {job.id: queue.store.position(job) for job in jobs}
    order = [queue.claim().job.id for _ in jobs]
    assert [places[job_id] for job_id in order] == list(range(len(jobs)))


def test_position_of_a_job_that_does_not_wait_is_zero(queue):
    job = queue.submit()
    queue.claim()
    assert queue.store.position(queue.store.get(job.id)) == 0


# --- memory


def test_job_that_exceeds_the_free_memory_is_skipped(queue):
    for memory in (6, 5, 4):
        queue.submit(memory_bytes=memory)
    taken = [queue.claim(memory_bytes=10).job.request.memory_bytes for _ in range(2)]
    assert taken == [6, 4]
    assert queue.claim(memory_bytes=10) is None


def test_memory_is_accounted_per_host(queue):
    for _ in range(2):
        queue.submit(memory_bytes=6)
    assert queue.claim("one/1", memory_bytes=10) is not None
    assert queue.claim("one/2", memory_bytes=10) is None
    assert queue.claim("two/1", memory_bytes=10) is not None


def test_job_larger_than_the_machine_is_tried_alone(queue):
    queue.submit(memory_bytes=100)
    queue.submit(memory_bytes=1)
    assert queue.claim(memory_bytes=10).job.request.memory_bytes == 100
    assert queue.claim(memory_bytes=10) is None


def test_large_job_is_not_starved(queue):
    queue.submit(memory_bytes=2)
    small = queue.claim(memory_bytes=10)
    large = queue.submit(memory_bytes=9)
    for _ in range(MAX_PASSED_OVER):
        queue.submit(memory_bytes=2)
        next_one = queue.claim(memory_bytes=10)
        queue.succeed(small)
        small = next_one
    queue.submit(memory_bytes=2)
    assert queue.claim(memory_bytes=10) is None
    queue.succeed(small)
    assert queue.claim(memory_bytes=10).job.id == large.id


# --- leases


def test_renewal_records_progress(queue):
    lease = queue.claim() if queue.submit() else None
    assert queue.store.renew(lease, state=JobState.VERIFYING, progress=0.75) is False
    job = queue.store.get(lease.job.id)
    assert (job.state, job.progress) == ("VERIFYING", 0.75)


def test_renewed_lease_does_not_expire(queue):
    queue.submit()
    lease = queue.claim(lease_seconds=10)
    for _ in range(20):
        queue.clock.wait(5)
        queue.store.renew(lease)
        assert queue.store.sweep().requeued == 0


def test_unrenewed_lease_expires(queue):
    job = queue.submit()
    queue.claim(lease_seconds=10)
    queue.store.sweep()
    queue.clock.wait(10)
    assert queue.store.sweep().requeued == 0
    queue.clock.wait(1)
    assert queue.store.sweep().requeued == 1
    assert queue.state(job) == "QUEUED"


@pytest.mark.parametrize("seconds", [-1e7, -3600, 3600, 1e7])
def test_lease_is_unaffected_by_clock_jumps(queue, seconds):
    job = queue.submit()
    lease = queue.claim(lease_seconds=10)
    queue.store.sweep()
    queue.clock.jump(seconds)
    queue.store.sweep()
    queue.clock.wait(5)
    queue.store.sweep()
    assert queue.state(job) == "PROVING"
    queue.succeed(lease)
    assert queue.state(job) == "SUCCEEDED"


def test_lease_of_a_dead_worker_expires_even_if_the_clock_goes_back(queue):
    job = queue.submit()
    queue.claim(lease_seconds=10)
    for _ in range(4):
        queue.store.sweep()
        queue.clock.wait(5)
        queue.clock.jump(-1000)
    assert queue.state(job) == "QUEUED"


def test_backoff_ends_even_if_the_clock_is_set_back(queue):
    queue.submit()
    queue.claim()
    queue.store.release("host/1")
    assert queue.claim() is None
    queue.clock.jump(-86_400)
    assert queue.claim() is not None


@pytest.mark.parametrize("call", ["renew", "succeed", "give_back", "cancelled"])
def test_worker_without_its_lease_has_no_effect(queue, call):
    job = queue.submit()
    old = queue.claim("host/1")
    queue.store.release("host/1", blamed=False)
    new = queue.claim("host/2")
    assert new.fence > old.fence
    before = queue.store.get(job.id)
    with pytest.raises(LeaseLostError, match=r"worker host/1 no longer holds the job"):
        queue.succeed(old) if call == "succeed" else getattr(queue.store, call)(old)
    assert queue.store.get(job.id) == before


def test_worker_whose_lease_was_released_has_no_effect(queue):
    job = queue.submit()
    old = queue.claim("host/1")
    queue.store.release("host/1", blamed=False)
    with pytest.raises(LeaseLostError, match="Stop working on it"):
        queue.store.renew(old)
    assert queue.state(job) == "QUEUED"


def test_holders_are_the_workers_with_leases(queue):
    for _ in range(3):
        queue.submit()
    for worker in ("host/1", "host/2", "other/3"):
        queue.claim(worker)
    queue.store.release("host/2")
    assert queue.store.holders("host") == ["host/1"]
