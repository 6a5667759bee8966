"""Run the page until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from typing import TYPE_CHECKING, Final

import uvicorn

from zkinfer.circuits.errors import InputError, why
from zkinfer.circuits.storage import private_directory
from zkinfer.ui.access import Access
from zkinfer.ui.app import application
from zkinfer.ui.browser import ServerBrowser
from zkinfer.ui.dependencies import Dependencies
from zkinfer.ui.digits import Demo
from zkinfer.ui.server_http import ServerHttp
from zkinfer.ui.tasks import Tasks
from zkinfer.ui.verification import Auditor
from zkinfer.ui.work_browser import WorkBrowser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from zkinfer.chain.lookup import LedgerLookup
    from zkinfer.circuits.home import Home
    from zkinfer.ui.digits import DemoModel
    from zkinfer.ui.settings import Address, ChainAccess, UiSettings
    from zkinfer.verifier import ChainRecord
    from zkinfer.verifier.opinions import IndependentVerifier

_BACKLOG: Final = 64
_PATIENCE: Final = 3  # seconds for open connections to end


def serve(
    settings: UiSettings,
    home: Home,
    model: DemoModel,
    independent: Mapping[str, IndependentVerifier],
    started: Callable[[str], None],
) -> None:
    """Serve the page until SIGINT or SIGTERM, and then end the running task.

    Args:
        settings: as the operator chose them.
        home: trusted setups and caches of this user.
        model: of the demonstration.
        independent: implementations for second opinions, by the engine's name.
        started: called with the link that opens the page, which is a secret.

    Raises:
        InputError: the address cannot be used.
    """
    listener = _listener(settings.address)
    port = listener.getsockname()[1]
    with (
        contextlib.closing(listener),
        private_directory() as folder,
        parts(settings, home, model, independent, folder, port) as made,
    ):
        started(f"http://{settings.address.name}:{port}/open/{made.access.key}")
        asyncio.run(_run(made, listener))


@contextlib.contextmanager
def parts(
    settings: UiSettings,
    home: Home,
    model: DemoModel,
    independent: Mapping[str, IndependentVerifier],
    folder: Path,
    port: int,
) -> Iterator[Dependencies]:
    """The parts of a page at a port, whose tasks end with the block. `folder` holds the demo's circuit."""
    record = None if settings.chain is None else _record_of(settings.chain)
    auditor = Auditor(home=home, independent=independent, record=record)
    http = None if settings.server is None else ServerHttp(settings.server)
    made = Dependencies(
        settings=settings,
        access=Access(),
        cookie=f"zkinfer-ui-{port}",  # browsers share cookies among the ports of a host
        tasks=Tasks(),
        auditor=auditor,
        demo=Demo(model, home, folder, auditor),
        browser=None if settings.server is None else ServerBrowser(settings.server, http),
        works=None if settings.server is None else WorkBrowser(settings.server, http),
        ledger=None if settings.chain is None else _lookup_of(settings.chain),
    )
    try:
        yield made
    finally:
        made.tasks.stop()


def _record_of(chain: ChainAccess) -> Callable[[], ChainRecord]:
    """A connection for each verification, so that a broken one does not outlast it."""

    def connect() -> ChainRecord:
        from zkinfer.chain.records import LedgerRecord  # noqa: PLC0415 - an optional library

        return LedgerRecord.connect(chain.url, chain.ledger, confirmations=chain.confirmations)

    return connect


def _lookup_of(chain: ChainAccess) -> Callable[[], LedgerLookup]:
    """A connection for each look-up."""

    def connect() -> LedgerLookup:
        from zkinfer.chain.lookup import LedgerLookup  # noqa: PLC0415 - an optional library

        return LedgerLookup.connect(chain.url, chain.ledger, confirmations=chain.confirmations)

    return connect


def _listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except OSError as err:
        listener.close()
        raise InputError(
            f"Cannot listen at {address.name}:{address.port}: {why(err)}.", "Choose another address with --listen."
        ) from err
    return listener


class _Server(uvicorn.Server):
    """A server that a signal ends without raising it again, and without waiting for streams of events."""

    def __init__(self, config: uvicorn.Config, tasks: Tasks) -> None:
        super().__init__(config)
        self._tasks = tasks

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at SIGINT and SIGTERM."""
        loop, ends = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
        for name in ends:
            loop.add_signal_handler(name, self._end)
        try:
            yield
        finally:
            for name in ends:
                loop.remove_signal_handler(name)

    def _end(self) -> None:
        self.force_exit = self.should_exit  # a second signal does not wait
        self.should_exit = True
        self._tasks.end()


async def _run(made: Dependencies, listener: socket.socket) -> None:
    config = uvicorn.Config(
        application(made),
        lifespan="off",
        log_config=None,
        access_log=False,  # paths of the entry hold its key
        server_header=False,
        timeout_graceful_shutdown=_PATIENCE,
        h11_max_incomplete_event_size=1 << 15,
        limit_concurrency=64,
    )
    await _Server(config, made.tasks).serve(sockets=[listener])
