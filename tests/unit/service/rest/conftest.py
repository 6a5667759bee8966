"""A whole server in this process that serves HTTP, with fake workers in separate processes."""

import shutil
from contextlib import asynccontextmanager

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


@pytest.fixture(scope="package")
def proving(tiny, tmp_path_factory):
    """The address of a server with one worker, in the event loop of another thread, for clients that block."""
    folder = tmp_path_factory.mktemp("rest")
    shutil.copytree(tiny.circuit.folder, folder / "models" / "tiny" / "1")
    settings = Settings(
        repository=folder / "models",
        listen="127.0.0.1:0",
        state=folder / "state",
        proving=Proving(workers=1, grace_seconds=1.0, memory=1 << 30),
        limits=Limits(wait_seconds=20),
        rest=Rest(listen="127.0.0.1:0"),
    )
    with threaded(settings, tiny.home, **OPTIONS) as server:
        yield server.rest_address
