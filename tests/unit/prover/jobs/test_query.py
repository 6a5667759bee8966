import pytest
from tests.unit.prover.queue import LIMITS

from zkinfer.circuits.errors import InputError
from zkinfer.prover.jobs import JobState
from zkinfer.prover.jobs.query import MAX_PAGE_SIZE


def walk(queue, **options):
    """All jobs, page by page."""
    token, found = "", []
    while True:
        page = queue.store.page(token=token, **options)
        found += [job.id for job in page.jobs]
        if page.next_token is None:
            return found
        token = page.next_token


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_pages_contain_every_job_once_newest_first(queue, size):
    jobs = [queue.submit().id for _ in range(5)]
    assert walk(queue, size=size) == jobs[::-1]


def test_pages_are_unaffected_by_new_jobs(queue):
    jobs = [queue.submit().id for _ in range(4)]
    first = queue.store.page(size=2)
    queue.submit()
    assert [job.id for job in queue.store.page(size=2, token=first.next_token).jobs] == jobs[1::-1]


def test_page_can_be_filtered_by_owner_state_or_model(queue):
    mine, other = queue.submit("ann"), queue.submit("bob")
    queue.claim()
    assert walk(queue, owner="bob") == [other.id]
    assert walk(queue, states=[JobState.PROVING]) == [mine.id]
    assert walk(queue, states=[JobState.PROVING, JobState.QUEUED], model="digits") == [other.id, mine.id]
    assert walk(queue, model="faces") == []


def test_empty_page_is_the_last(queue):
    assert queue.store.page() == type(queue.store.page())((), None)


@pytest.mark.parametrize("size", [-5, 0, MAX_PAGE_SIZE + 1, 1 << 70])
def test_page_size_is_bounded(queue, size):
    queue.submit()
    assert len(queue.store.page(size=size).jobs) == 1


@pytest.mark.parametrize("token", ["x", "-1", "1.5", "1 OR 1=1", "9" * 30, "٣"])
def test_foreign_page_token_is_refused(queue, token):
    with pytest.raises(InputError, match="is not a page token"):
        queue.store.page(token=token)


def test_changes_are_followed_from_one_to_the_next(queue):
    first, second = queue.submit(), queue.submit()
    seen = queue.store.changes()
    assert [job.id for job in seen.jobs] == [first.id, second.id]
    lease = queue.claim()
    queue.succeed(lease)
    news = queue.store.changes(seen.revision)
    assert [(job.id, job.state) for job in news.jobs] == [(first.id, "SUCCEEDED")]
    assert queue.store.changes(news.revision) == type(news)((), news.revision)
    assert queue.store.revision() >= news.revision


def test_changes_are_returned_in_batches(queue):
    jobs = [queue.submit().id for _ in range(5)]
    one = queue.store.changes(size=2)
    two = queue.store.changes(one.revision, size=2)
    assert [job.id for job in (*one.jobs, *two.jobs)] == jobs[:4]


def test_counts_report_waiting_and_running_jobs(queue):
    queue.submit(memory_bytes=5)
    queue.submit("bob")
    queue.clock.wait(30)
    queue.claim()
    counts = queue.store.counts()
    assert counts.by_model == {("digits", JobState.PROVING): 1, ("digits", JobState.QUEUED): 1}
    assert (counts.of(JobState.QUEUED), counts.oldest_queued_seconds, counts.running_memory_bytes) == (1, 30.0, 5)


def test_counts_of_an_empty_queue_are_zero(queue):
    counts = queue.store.counts()
    assert (counts.by_model, counts.oldest_queued_seconds, counts.running_memory_bytes) == ({}, 0.0, 0)


def test_age_is_never_negative(queue):
    queue.store.submit(queue.request(), LIMITS)
    queue.clock.jump(-1000)
    assert queue.store.counts().oldest_queued_seconds == 0.0
