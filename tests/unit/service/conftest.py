"""A circuit of the fake engine, a queue of jobs, and a server in this process with the real interceptor."""

import pytest
from tests.unit.service import queue_server


@pytest.fixture
def backend(tiny, tmp_path, in_process):
    """A job queue that tests work off step by step."""
    with queue_server.backend(tiny, tmp_path) as found:
        yield found


@pytest.fixture
async def served(backend):
    """The server of the backend, with an anonymous channel."""
    async with queue_server.served(backend) as found:
        yield found


@pytest.fixture(autouse=True)
def own_logging():
    with queue_server.own_logging():
        yield
