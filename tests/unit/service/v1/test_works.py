"""zkinfer.v1.Works: files are looked at a few at a time, and a slot is held until the look has ended."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from zkinfer.service.errors import TooManyRequestsError, UnknownMethodError
from zkinfer.service.limits import ConcurrencyLimiter
from zkinfer.service.v1.works import WorksServicer, too_many_files
from zkinfer.v1 import works_pb2


class SlowDirectory:
    """Looks at files until it is told to go on."""

    def __init__(self):
        self.on, self.looking = threading.Event(), 0

    def lookup(self, request):
        if request.WhichOneof("query") == "content":
            self.looking += 1
            assert self.on.wait(20)
        return works_pb2.LookupWorkResponse(standing="unknown")


FILE, DIGEST = works_pb2.LookupWorkRequest(content=b"x"), works_pb2.LookupWorkRequest(sha256="00" * 32)


@pytest.fixture
def directory():
    found = SlowDirectory()
    yield found
    found.on.set()


@pytest.fixture
def threads(directory):
    with ThreadPoolExecutor(4) as found:
        yield found
        directory.on.set()


@pytest.fixture
def servicer(directory, threads):
    return WorksServicer(directory=directory, files=ConcurrencyLimiter(4, too_many_files), threads=threads)


async def looking(servicer, directory, count):
    """Tasks that look at files."""
    tasks = [asyncio.create_task(servicer.LookupWork(FILE, None)) for _ in range(count)]
    while directory.looking < count:
        await asyncio.sleep(0.01)
    return tasks


async def test_files_of_one_caller_are_limited_and_digests_are_not(servicer, directory):
    tasks = await looking(servicer, directory, 2)
    with pytest.raises(TooManyRequestsError, match="Too many files"):
        await servicer.LookupWork(FILE, None)
    assert (await servicer.LookupWork(DIGEST, None)).standing == "unknown"
    directory.on.set()
    await asyncio.gather(*tasks)
    await servicer.LookupWork(FILE, None)


async def test_caller_who_leaves_frees_no_slot_before_the_look_ends(servicer, directory):
    tasks = await looking(servicer, directory, 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with pytest.raises(TooManyRequestsError):
        await servicer.LookupWork(FILE, None)


async def test_files_take_no_thread_from_other_answers(servicer, directory):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    async with asyncio.timeout(10):
        tasks = await looking(servicer, directory, 2)
        assert (await servicer.LookupWork(DIGEST, None)).standing == "unknown"
    directory.on.set()
    await asyncio.gather(*tasks)


async def test_server_without_a_directory_names_the_option(threads):
    servicer = WorksServicer(directory=None, files=ConcurrencyLimiter(4, too_many_files), threads=threads)
    for call in (servicer.GetWork(works_pb2.GetWorkRequest(work="0x"), None), servicer.LookupWork(FILE, None)):
        with pytest.raises(UnknownMethodError, match="--works DB"):
            await call
