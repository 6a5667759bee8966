from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.prover.queue import LIMITS, NOON, REQUEST_ID

from zkinfer.circuits import Context
from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import TooCostlyError
from zkinfer.prover.errors import (
    ArtifactMissingError,
    DeadlinePassedError,
    QueueFullError,
    QuotaExceededError,
    RequestConflictError,
    StoreError,
)
from zkinfer.prover.jobs import JobState, QueueLimits


def limits(**values):
    return QueueLimits(**{"disk_reserve_bytes": 0, **values})


def test_job_has_the_submitted_fields(queue):
    request = queue.request(request_id="a", memory_bytes=1 << 40, seconds=2.5, deadline=NOON + timedelta(seconds=9.5))
    submission = queue.store.submit(request, LIMITS)
    assert submission.created
    assert (submission.job.request, submission.job.state, submission.job.created_at) == (request, "QUEUED", NOON)
    assert queue.store.get(submission.job.id) == submission.job


def test_job_is_visible_to_another_process(queue):
    job = queue.submit()
    assert queue.again().store.get(job.id) == job


def test_job_ids_are_unguessable(queue):
    first, second = queue.submit(), queue.submit()
    assert len({first.id, second.id, first.id[:8], second.id[:8]}) == 4
    assert len(first.id) == 32


# --- asking twice


def test_identical_request_is_the_same_job_while_pending(queue):
    first, second = queue.submit(inputs="x"), queue.submit(inputs="x")
    assert first.id == second.id
    queue.claim()
    assert queue.submit(inputs="x").id == first.id


def test_identical_request_after_the_job_ended_is_a_new_job(queue):
    first = queue.submit(inputs="x")
    queue.succeed(queue.claim())
    assert queue.submit(inputs="x").id != first.id


@pytest.mark.parametrize(
    "other", [{"inputs": "y"}, {"owner": "bob"}, {"circuit": sha256(b"other")}, {"context": Context.offline()}]
)
def test_different_request_is_another_job(queue, other):
    first = queue.submit(inputs="x")
    assert queue.submit(**{"inputs": "x", **other}).id != first.id


def test_generated_request_id_is_ignored_in_deduplication(queue):
    asked = [queue.submit(inputs="x", context=Context.offline(), random_request_id=True) for _ in range(2)]
    assert asked[0].id == asked[1].id
    assert asked[1].request.context == asked[0].request.context


def test_other_context_fields_count_despite_a_generated_request_id(queue):
    first = queue.submit(inputs="x", context=Context.offline(), random_request_id=True)
    other = Context(requestId=REQUEST_ID, chainId=1)
    assert queue.submit(inputs="x", context=other, random_request_id=True).id != first.id


@pytest.mark.parametrize("end", ["pending", "done", "cancelled"])
def test_repeated_request_id_is_the_same_job_in_any_state(queue, end):
    first = queue.submit(inputs="x", request_id="a")
    if end == "done":
        queue.succeed(queue.claim())
    if end == "cancelled":
        queue.store.cancel(first.id)
    again = queue.store.submit(queue.request(inputs="x", request_id="a"), LIMITS)
    assert (again.job.id, again.created) == (first.id, False)


def test_request_id_used_for_something_else_is_refused(queue):
    queue.submit(inputs="x", request_id="a")
    with pytest.raises(RequestConflictError, match=r"'a' was used before.*new request id"):
        queue.submit(inputs="y", request_id="a")


def test_request_ids_are_scoped_to_their_owner(queue):
    assert queue.submit(inputs="x", request_id="a").id != queue.submit("bob", inputs="y", request_id="a").id


def test_requests_with_and_without_an_id_are_two_jobs(queue):
    assert queue.submit(inputs="x", request_id="a").id != queue.submit(inputs="x").id


def test_repeated_request_is_found_even_if_the_queue_is_full(queue):
    first = queue.submit(inputs="x")
    assert queue.submit(inputs="x", limits=limits(queued=1, per_owner=1)).id == first.id


@pytest.mark.parametrize("obstacle", ["deadline", "disk", "memory"])
def test_repeated_request_is_found_even_if_a_new_one_would_be_rejected(queue, obstacle):
    asked = {"inputs": "x", "request_id": "a", "memory_bytes": 1000, "deadline": NOON + timedelta(seconds=5)}
    first = queue.submit(**asked)
    bounds = {"disk": {"disk_reserve_bytes": 1 << 60}, "memory": {"memory_bytes": 10}}.get(obstacle, {})
    queue.clock.wait(6 if obstacle == "deadline" else 0)
    assert queue.submit(limits=limits(**bounds), **asked).id == first.id


@pytest.mark.parametrize("other", [{}, {"request_id": "a"}])
def test_repeated_request_passes_the_preliminary_check(queue, other):
    queue.submit(inputs="x", **other)
    request = replace(queue.request(inputs="x", **other), outputs=sha256(b""))
    queue.store.precheck(request, limits(queued=1, per_owner=1, memory_bytes=0, disk_reserve_bytes=1 << 60))


@pytest.mark.parametrize(
    ("bounds", "error"),
    [
        ({"queued": 1}, QueueFullError),
        ({"per_owner": 1}, QuotaExceededError),
        ({"memory_bytes": 10}, TooCostlyError),
        ({"disk_reserve_bytes": 1 << 60}, StoreError),
    ],
)
def test_request_that_would_be_rejected_fails_the_preliminary_check(queue, bounds, error):
    queue.submit()
    with pytest.raises(error):
        queue.store.precheck(queue.request(memory_bytes=1000), limits(**bounds))


def test_request_id_of_another_request_fails_the_preliminary_check(queue):
    queue.submit(inputs="x", request_id="a")
    with pytest.raises(RequestConflictError, match="'a' was used before"):
        queue.store.precheck(queue.request(inputs="y", request_id="a"), LIMITS)
    assert queue.store.counts().of(JobState.QUEUED) == 1


# --- too many, too large, too late


def test_queue_accepts_jobs_up_to_its_limit(queue):
    queue.submit(limits=limits(queued=2))
    queue.submit("bob", limits=limits(queued=2))
    with pytest.raises(QueueFullError, match="2 jobs are waiting") as caught:
        queue.submit("eve", limits=limits(queued=2))
    assert caught.value.retry_after >= 1
    assert queue.store.counts().of(JobState.QUEUED) == 2


def test_running_jobs_do_not_count_towards_the_queue_limit(queue):
    queue.submit(limits=limits(queued=1))
    queue.claim()
    assert queue.submit(limits=limits(queued=1)).state == "QUEUED"


def test_unfinished_jobs_of_an_owner_are_limited_by_the_quota(queue):
    queue.submit()
    queue.claim()
    with pytest.raises(QuotaExceededError, match="1 of your jobs are unfinished"):
        queue.submit(limits=limits(per_owner=1))
    assert queue.submit("bob", limits=limits(per_owner=1)).state == "QUEUED"


def test_retry_delay_is_the_job_time_divided_by_the_running_jobs(queue):
    for _ in range(4):
        queue.submit(seconds=40)
    queue.claim()
    queue.claim()
    with pytest.raises(QueueFullError) as caught:
        queue.submit(limits=limits(queued=1))
    assert caught.value.retry_after == 20


@pytest.mark.parametrize(
    ("fields", "bounds", "message"),
    [
        ({"memory_bytes": 2_000_000_000}, {"memory_bytes": 1_000_000_000}, r"about 2 GB of memory; the limit is 1 GB"),
        ({"seconds": 7200}, {"seconds": 60}, r"take about 2 hours; the limit is 60 s"),
    ],
)
def test_too_costly_job_is_refused(queue, fields, bounds, message):
    with pytest.raises(TooCostlyError, match=message):
        queue.submit(limits=limits(**bounds), **fields)
    assert queue.store.page().jobs == ()


@pytest.mark.parametrize("seconds", [0, -1])
def test_job_past_its_deadline_is_refused(queue, seconds):
    with pytest.raises(DeadlinePassedError, match="deadline has passed"):
        queue.submit(deadline=NOON + timedelta(seconds=seconds))


def test_job_is_refused_if_the_disk_is_nearly_full(queue):
    with pytest.raises(StoreError, match="nearly full: new jobs are rejected"):
        queue.submit(limits=limits(disk_reserve_bytes=1 << 60))


def test_job_without_its_inputs_is_refused(queue):
    request = queue.request()
    queue.artifacts.delete(request.inputs)
    with pytest.raises(ArtifactMissingError, match="store it again"):
        queue.store.submit(request, LIMITS)
    assert queue.store.page().jobs == ()
