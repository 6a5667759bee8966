"""The operator's daemon: a thread for each feed, for its proofs and for each chain, and the report server.

The threads share nothing but the store. A failure of a source, a chain or a peer is a state of the store, and is tried
again; a defect ends the daemon, and whatever it was doing is done again after the next start.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.errors import ChainError
from zkinfer.oracle.adapter import Adapter
from zkinfer.oracle.chains import MOST_PATIENCE, ImpatientState, patience
from zkinfer.oracle.delivery import DeliveryLoop
from zkinfer.oracle.errors import OracleError
from zkinfer.oracle.feed import FAILURES
from zkinfer.oracle.loop import FeedLoop
from zkinfer.oracle.metrics import OracleMetrics
from zkinfer.oracle.parts import proven_feeds
from zkinfer.oracle.proofs import ProofLoop
from zkinfer.oracle.schedule import closed_round
from zkinfer.oracle.server import application, serving
from zkinfer.oracle.states import RoundState
from zkinfer.oracle.streams_api import StreamsApi
from zkinfer.oracle.votes import Voter
from zkinfer.service.logs import log
from zkinfer.service.rest.tls import ReloadingContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp

    from zkinfer.oracle.chains import ChainAccess
    from zkinfer.oracle.feed import Feed
    from zkinfer.oracle.parts import Parts

_CHAIN_POLL_SECONDS: Final = 0.5
_PROOF_POLL_SECONDS: Final = 0.1
_ERROR_SECONDS: Final = 2.0
_PRUNE_SECONDS: Final = 3600.0
_GRACE_SECONDS: Final = 5.0
_ONCE_POLL_SECONDS: Final = 0.2


class Daemon:
    """The loops and the server of one operator; `run` works until a signal, `once` until nothing is left to do."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        store, chains, alerts = parts.store, parts.chains, parts.alerts
        self._closed: dict[str, int] = {}
        self._loops = {
            feed.name: FeedLoop(feed, store, _impatient(feed, chains), parts.peers, alerts, closed=self._closed)
            for feed in parts.feeds
        }
        self._proofs = [ProofLoop(feed, store, _impatient(feed, chains), alerts) for feed in proven_feeds(parts.feeds)]
        self._deliveries = [
            DeliveryLoop(chain, {feed.id: feed for feed in parts.feeds if name in feed.chains}, store, alerts)
            for name, chain in chains.items()
        ]
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._ending = asyncio.Event()
        self._defect = ""

    def require_feeds(self) -> None:
        """Return if the chains that answer have the feeds with their signers; raise FeedsFileError if one has not."""
        chains = self._parts.chains
        states = {name: ImpatientState(chain, MOST_PATIENCE) for name, chain in chains.items()}
        for feed in self._parts.feeds:
            for name in feed.chains:
                try:
                    states[name].ask(partial(chains[name].require_feed, feed.id, feed.config_digest))
                except ChainError as err:
                    log.warning("chain unreachable", chain=name, reason=err.cause, cure=err.cure)

    def _close_past(self) -> None:
        """See `closed_round`. Not for `once`, which may be run more rarely than there are ticks."""
        for feed in self._parts.feeds:
            if feed.signer is not None:
                last = self._parts.store.gaps.last_tick(feed.id)
                self._closed[feed.id] = closed_round(feed, last, time.time())

    async def run(self, started: Callable[[str], None]) -> None:
        """Work until SIGTERM or SIGINT.

        Args:
            started: called with the report server's address once everything runs.

        Raises:
            SettingsError: the server cannot listen.
            FeedsFileError: a chain does not have a feed, or has it with other signers.
            OracleError: a thread ended by a defect.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        await asyncio.to_thread(self.require_feeds)
        await asyncio.to_thread(self._close_past)
        adapter = Adapter(self._loops, self._parts.store, self._parts.file.server.callback_hosts)
        tls = self._parts.file.tls
        try:
            async with serving(
                self._application(adapter),
                self._parts.file.server.address,
                ReloadingContext(tls) if tls.certificate else None,
            ) as address:
                self._start_threads(loop)
                await adapter.resume()
                started(address)
                await self._ending.wait()
                log.info("stopping")
                await adapter.stop()
        finally:
            await asyncio.to_thread(self._stop_threads)
        if self._defect:
            raise OracleError(f"The thread of {self._defect} ended by a defect.", "Its traceback is in the log.")

    def once(self) -> int:
        """Look at the current tick of each feed, and bring its rounds to the chains; how many rounds there are.

        Raises:
            FeedsFileError: as `run`.
            StoreError: the database cannot be used.
            ChainError: a chain could not be asked; the others have their rounds, and the next run goes on with it.
        """
        self.require_feeds()
        began = {name: loop.feed.round_at(time.time()) for name, loop in self._loops.items()}
        for loop in self._loops.values():
            self._finish_tick(loop)
        for proof in self._proofs:
            proof.step()
        failures = [failure for delivery in self._deliveries if (failure := self._finish_deliveries(delivery))]
        if failures:
            raise failures[0]
        rounds = self._parts.store.rounds
        return sum(
            bool(rounds.numbers(self._loops[name].feed.id, number, number + 1)) for name, number in began.items()
        )

    def _finish_tick(self, loop: FeedLoop) -> None:
        feed, store = loop.feed, self._parts.store
        end = (feed.round_at(time.time()) + 1) * feed.spec.tick
        while loop.step() and time.time() < end:
            looked = store.gaps.last_tick(feed.id) or 0
            if looked >= end // feed.spec.tick - 1 and not store.rounds.in_state(feed.id, RoundState.OBSERVED):
                return
            time.sleep(_ONCE_POLL_SECONDS)

    def _finish_deliveries(self, delivery: DeliveryLoop) -> ChainError | None:
        """Deliver all rounds that are ready; returns why the chain could not be asked, if it could not."""
        open_ = True
        while open_:
            try:
                open_ = delivery.step()
            except ChainError as err:
                log.warning("chain unreachable", chain=delivery.chain.name, reason=err.cause, cure=err.cure)
                return err
            time.sleep(_ONCE_POLL_SECONDS if open_ else 0)
        return None

    def _application(self, adapter: Adapter) -> ASGIApp:
        parts, address = self._parts, self._parts.file.server.address
        feeds = {feed.id: feed for feed in parts.feeds}
        voter = Voter(feeds, parts.store, alerts=parts.alerts, closed=self._closed)
        metrics = OracleMetrics(parts.feeds, parts.store, self._deliveries, parts.alerts, spreads=voter.spreads)
        wanted = parts.file.server.metrics
        return application(
            streams=StreamsApi(feeds, parts.store),
            adapter=adapter,
            voter=voter,
            store=parts.store,
            documents=parts.documents,
            registry=metrics.registry if wanted or (wanted is None and address.is_local) else None,
            healthy=self._is_healthy,
            local=address.is_local,
            hosts=parts.file.server.hosts,
        )

    def _is_healthy(self) -> bool:
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def _start_threads(self, loop: asyncio.AbstractEventLoop) -> None:
        work: dict[str, tuple[Callable[[], object], float]] = {}
        for name, feed_loop in self._loops.items():
            work[f"feed {name}"] = (feed_loop.step, feed_loop.poll_seconds)
        for proof in self._proofs:
            work[f"proofs of {proof.feed.name}"] = (proof.step, _PROOF_POLL_SECONDS)
        for delivery in self._deliveries:
            work[f"chain {delivery.chain.name}"] = (delivery.step, _CHAIN_POLL_SECONDS)
        work["prune"] = (self._prune, _PRUNE_SECONDS)
        for name, (step, pause) in work.items():
            self._start_thread(name, partial(self._repeat, step, pause), loop)
        self._start_thread("alerts", self._parts.alerts.run, loop)

    def _start_thread(self, name: str, work: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        # A thread that waits for a transaction must not delay the end: what it did is found again.
        thread = threading.Thread(target=self._guarded, args=(name, work, loop), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guarded(self, name: str, work: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Run a thread; if it ends by a defect, the daemon ends with it."""
        finished = False
        try:
            work()
            finished = True
        finally:
            if not finished and not self._stopping.is_set():
                loop.call_soon_threadsafe(self._report_defect, name)

    def _report_defect(self, name: str) -> None:
        self._defect = self._defect or name
        self._ending.set()

    def _repeat(self, step: Callable[[], object], pause: float) -> None:
        """Take steps until the daemon stops; what fails for a known reason is tried again."""
        while not self._stopping.is_set():
            wait = pause
            try:
                step()
            except FAILURES as err:
                log.warning("step failed", error=type(err).__name__, reason=err.cause)
                wait = max(pause, _ERROR_SECONDS)
            self._stopping.wait(wait)

    def _prune(self) -> None:
        before = int(time.time()) - self._parts.file.store.keep_seconds
        count = self._parts.store.rounds.prune(before)
        for feed in self._parts.feeds:
            self._parts.store.gaps.prune(feed.id, feed.round_at(before))
        if count:
            log.info("pruned", rounds=count)

    def _stop_threads(self) -> None:
        self._stopping.set()
        self._parts.alerts.stop()
        end = time.monotonic() + _GRACE_SECONDS
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0))


def _impatient(feed: Feed, chains: Mapping[str, ChainAccess]) -> dict[str, ImpatientState]:
    """The chains for a thread that works for all of them."""
    return {name: ImpatientState(chains[name], patience(feed.spec.tick)) for name in feed.chains}
