import asyncio
from contextlib import aclosing

import pytest

from zkinfer.prover.errors import StoreError, UnknownJobError
from zkinfer.service.background import JobWatcher


@pytest.fixture
def watcher(backend):
    return JobWatcher(backend.store, 0.01)


async def test_every_change_is_reported_in_order(backend, watcher):
    job = backend.submit()
    seen = []
    async with aclosing(watcher.changes(job.id)) as changes:
        async for found in changes:
            seen.append(str(found.state))
            if found.state == "QUEUED":
                lease = backend.claim()
            elif not found.state.final:
                backend.store.cancel(job.id)
                backend.store.cancelled(lease)
    assert seen[0] == "QUEUED"
    assert seen[-1] == "CANCELLED"


async def test_final_job_is_returned_immediately(backend, watcher):
    job = backend.submit()
    backend.store.cancel(job.id)
    assert (await watcher.wait_final(job.id, None)).state == "CANCELLED"


async def test_unknown_job_is_refused(watcher):
    with pytest.raises(UnknownJobError, match="no job 'none'"):
        await watcher.wait_final("none", 1)


async def test_store_error_is_raised_for_every_waiter(backend, watcher, monkeypatch):
    jobs = [backend.submit() for _ in range(3)]
    waiting = [asyncio.ensure_future(watcher.wait_final(job.id, 30)) for job in jobs]
    await asyncio.sleep(0.05)

    def fail(*_, **__):
        raise StoreError("It is locked.")

    with monkeypatch.context() as patch:
        patch.setattr(backend.store, "changes", fail)
        found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in found] == [StoreError] * 3
    backend.store.cancel(jobs[0].id)
    assert (await watcher.wait_final(jobs[0].id, 30)).state == "CANCELLED"


async def test_store_is_not_polled_without_waiters(backend, watcher, monkeypatch):
    job = backend.submit()
    await watcher.wait_final(job.id, 0.05)
    await asyncio.sleep(0.05)
    asked = []
    monkeypatch.setattr(backend.store, "changes", lambda *_, **__: asked.append(1))
    await asyncio.sleep(0.1)
    assert asked == []


async def test_many_simultaneous_changes_are_all_reported(backend, watcher):
    jobs = [backend.submit() for _ in range(40)]
    waiting = [asyncio.ensure_future(watcher.wait_final(job.id, 30)) for job in jobs]
    await asyncio.sleep(0.05)
    for job in jobs:
        backend.store.cancel(job.id)
    assert {str(job.state) for job in await asyncio.gather(*waiting)} == {"CANCELLED"}


async def test_job_deleted_while_waiting_is_unknown(backend):
    watcher, job = JobWatcher(backend.store, 0.5, recheck_seconds=0.7), backend.submit()
    waiting = asyncio.ensure_future(watcher.wait_final(job.id, None))
    await asyncio.sleep(0.1)
    backend.store.cancel(job.id)
    backend.store.delete(job.id)  # before the next poll
    with pytest.raises(UnknownJobError):
        await asyncio.wait_for(waiting, 10)


async def test_server_stop_releases_every_waiter(backend, watcher):
    waiting = [asyncio.ensure_future(watcher.wait_final(backend.submit().id, None)) for _ in range(3)]
    await asyncio.sleep(0.05)
    watcher.close()
    assert {str(job.state) for job in await asyncio.wait_for(asyncio.gather(*waiting), 5)} == {"QUEUED"}
    assert (await asyncio.wait_for(watcher.wait_final(backend.submit().id, None), 5)).state == "QUEUED"
