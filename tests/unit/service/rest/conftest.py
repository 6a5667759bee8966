"""A whole server in this process that serves HTTP, with fake workers in separate processes."""

import shutil
from contextlib import asynccontextmanager

import aiohttp
import pytest
from tests.unit.prover import fake_worker
from tests.unit.service import queue_server

from zkinfer.service.server import running
from zkinfer.service.settings import Proving, Rest, Settings

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
