import asyncio
from contextlib import aclosing

import pytest

from zkinfer.prover.errors import StoreError, UnknownJobError
from zkinfer.service.job_events import JobWatcher


@pytest.fixture
def watcher(desk):
    return JobWatcher(desk.store, 0.01)


async def test_every_change_is_told_in_order(desk, watcher):
    job = desk.submit()
    seen = []
    async with aclosing(watcher.changes(job.id)) as changes:
        async for found in changes:
            seen.append(str(found.state))
            if found.state == "QUEUED":
                lease = desk.claim()
            elif not found.state.final:
                desk.store.cancel(job.id)
                desk.store.cancelled(lease)
    assert seen[0] == "QUEUED"
    assert seen[-1] == "CANCELLED"


async def test_job_that_is_final_is_returned_at_once(desk, watcher):
    job = desk.submit()
    desk.store.cancel(job.id)
    assert (await watcher.wait_final(job.id, None)).state == "CANCELLED"


async def test_job_that_does_not_exist_is_refused(watcher):
    with pytest.raises(UnknownJobError, match="no job 'none'"):
        await watcher.wait_final("none", 1)


async def test_store_that_cannot_be_asked_is_told_to_all_who_wait(desk, watcher, monkeypatch):
    jobs = [desk.submit() for _ in range(3)]
    waiting = [asyncio.ensure_future(watcher.wait_final(job.id, 30)) for job in jobs]
    await asyncio.sleep(0.05)

    def fail(*_, **__):
        raise StoreError("It is locked.")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "changes", fail)
        found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in found] == [StoreError] * 3
    desk.store.cancel(jobs[0].id)
    assert (await watcher.wait_final(jobs[0].id, 30)).state == "CANCELLED"


async def test_nothing_is_asked_while_nobody_waits(desk, watcher, monkeypatch):
    job = desk.submit()
    await watcher.wait_final(job.id, 0.05)
    await asyncio.sleep(0.05)
    asked = []
    monkeypatch.setattr(desk.store, "changes", lambda *_, **__: asked.append(1))
    await asyncio.sleep(0.1)
    assert asked == []


async def test_many_changes_at_once_are_all_told(desk, watcher):
    jobs = [desk.submit() for _ in range(40)]
    waiting = [asyncio.ensure_future(watcher.wait_final(job.id, 30)) for job in jobs]
    await asyncio.sleep(0.05)
    for job in jobs:
        desk.store.cancel(job.id)
    assert {str(job.state) for job in await asyncio.gather(*waiting)} == {"CANCELLED"}


async def test_job_that_is_deleted_while_somebody_waits_is_unknown(desk):
    watcher, job = JobWatcher(desk.store, 0.5, recheck_seconds=0.7), desk.submit()
    waiting = asyncio.ensure_future(watcher.wait_final(job.id, None))
    await asyncio.sleep(0.1)
    desk.store.cancel(job.id)
    desk.store.delete(job.id)  # before the next question
    with pytest.raises(UnknownJobError):
        await asyncio.wait_for(waiting, 10)


async def test_end_of_the_server_lets_everybody_go(desk, watcher):
    waiting = [asyncio.ensure_future(watcher.wait_final(desk.submit().id, None)) for _ in range(3)]
    await asyncio.sleep(0.05)
    watcher.close()
    assert {str(job.state) for job in await asyncio.wait_for(asyncio.gather(*waiting), 5)} == {"QUEUED"}
    assert (await asyncio.wait_for(watcher.wait_final(desk.submit().id, None), 5)).state == "QUEUED"
