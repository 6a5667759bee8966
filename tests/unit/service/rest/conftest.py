"""A whole server in this process that serves HTTP, with fake workers in separate processes."""

import shutil
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import pytest
from tests.unit.prover import fake_worker
from tests.unit.service import queue_server
from tests.unit.service.threaded import threaded

from zkinfer.service.server import running
from zkinfer.service.settings import Limits, Proving, Rest, Settings

OPTIONS = {"engines": queue_server.ENGINES, "worker_command": fake_worker.COMMAND}


@pytest.fixture
def settings(tiny, tmp_path):
    """A server without workers, which answers and queues."""
    models = tmp_path / "models"
    shutil.copytree(tiny.circuit.folder, models / "tiny" / "1")
    return Settings(
        repository=models,
        listen="127.0.0.1:0",
        state=tmp_path / "state",
        reload_seconds=0.05,
        proving=Proving(workers=0, grace_seconds=0.5, memory=1 << 30),
        rest=Rest(listen="127.0.0.1:0"),
    )


@asynccontextmanager
async def opened(settings, tiny):
    """A running server, and a client of its HTTP interface."""
    async with (
        running(settings, tiny.home, **OPTIONS) as server,
        aiohttp.ClientSession(f"http://{server.rest_address}") as client,
    ):
        yield server, client


@pytest.fixture
async def door(settings, tiny):
    async with opened(settings, tiny) as (_, client):
        yield client


@contextmanager
def lasting(tiny, folder, workers=0, **changes):
    """A server in the event loop of another thread, for many tests or for clients that block."""
    shutil.copytree(tiny.circuit.folder, folder / "models" / "tiny" / "1")
    settings = Settings(
        repository=folder / "models",
        listen="127.0.0.1:0",
        state=folder / "state",
        proving=Proving(workers=workers, grace_seconds=1.0, memory=1 << 30),
        rest=Rest(listen="127.0.0.1:0"),
        **changes,
    )
    with threaded(settings, tiny.home, **OPTIONS) as server:
        yield server


@pytest.fixture(scope="package")
def proving(tiny, tmp_path_factory):
    """The address of a server with one worker."""
    with lasting(tiny, tmp_path_factory.mktemp("proving"), workers=1, limits=Limits(wait_seconds=20)) as server:
        yield server.rest_address


@pytest.fixture(scope="package")
def narrow(tiny, tmp_path_factory):
    """A server with little time and memory for requests."""
    limits = Limits(read_seconds=0.5, message_bytes=1 << 16, request_memory=1 << 20)
    with lasting(tiny, tmp_path_factory.mktemp("narrow"), limits=limits) as server:
        yield server
