"""A whole server for blocking clients, in the event loop of another thread."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.service.server import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.service.server import Running


@contextmanager
def threaded(settings, home, **options) -> Iterator[Running]:
    """The server, while the block runs; inspect its parts, but leave them to its thread."""
    started, found, failed = threading.Event(), [], []
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()

    async def run():
        async with running(settings, home, **options) as server:
            found.append(server)
            started.set()
            await stopping.wait()

    def work():
        try:
            loop.run_until_complete(run())
        except BaseException as err:  # noqa: BLE001 - raised in the thread of the test
            failed.append(err)
        finally:
            started.set()
            loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    try:
        if found:
            yield found[0]
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(stopping.set)
        thread.join()
        if failed:
            raise failed[0]
