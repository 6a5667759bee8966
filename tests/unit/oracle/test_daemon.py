"""The daemon as a whole, in this process: its threads, its end by a defect, and one pass of it."""

import asyncio
import threading
import time

import httpx2
import pytest
from tests.unit.oracle.fakes import KEYS, FakeChain, Operator

from zkinfer.contracts.errors import ChainError
from zkinfer.contracts.feed_formats import SignerConfig
from zkinfer.oracle.configuration import FeedsFile
from zkinfer.oracle.daemon import Daemon
from zkinfer.oracle.errors import FeedsFileError, OracleError
from zkinfer.oracle.feed import Delivered
from zkinfer.oracle.parts import Parts
from zkinfer.oracle.store.rounds import RoundKey

FILE = {
    "feed": {"fake": {"spec": "x", "circuit": "x", "source": {"file": "x"}}},
    "chain": {},
    "server": {"listen": "127.0.0.1:0"},
}


class Chain(FakeChain):
    """A chain whose hub has every feed."""

    def require_feed(self, feed, config_digest):
        self._require_up()


@pytest.fixture
def operator(tmp_path):
    config = SignerConfig.of([KEYS[0].address], 1)
    chain = Chain(confirmations=1, config=config, block_time=1 << 40)
    found = Operator(0, tmp_path, time.time, [chain], delivered=Delivered.BOTH, config=config)
    yield found
    found.stop()


@pytest.fixture
def parts(operator):
    chains = {one.name: one for one in operator.chains}
    return Parts(FeedsFile.model_validate(FILE), (operator.feed,), {}, chains, operator.store, None, operator.alerts)


@pytest.fixture
def continuing(monkeypatch):
    """A daemon that goes on with its database at once."""
    monkeypatch.setattr("zkinfer.oracle.daemon.closed_round", lambda feed, last_tick, now: -1)


def test_daemon_with_a_new_database_closes_the_present_round(parts, operator):
    daemon = Daemon(parts)
    present = operator.feed.round_at(time.time())
    daemon._close_past()
    assert daemon._closed[operator.feed.id] in range(present, present + 3)
    operator.store.gaps.looked_at(operator.feed.id, present)
    daemon._close_past()
    assert daemon._closed == {operator.feed.id: -1}


@pytest.mark.usefixtures("continuing")
async def test_daemon_makes_rounds_serves_them_and_ends(parts, operator):
    daemon, addresses = Daemon(parts), []
    running = asyncio.create_task(daemon.run(addresses.append))
    async with httpx2.AsyncClient(trust_env=False) as client:
        for _ in range(100):
            await asyncio.sleep(0.1)
            if operator.chains[0].sent and operator.model.proofs and len(operator.chains[0].sent) > 1:
                break
        found = await client.get(f"http://{addresses[0]}/api/v1/reports/latest?feedID={operator.feed.id}")
        health = await client.get(f"http://{addresses[0]}/health")
    daemon._ending.set()
    await asyncio.wait_for(running, 10)
    assert (found.status_code, health.json()) == (200, {"healthy": True})
    assert not any(thread.is_alive() for thread in daemon._threads)


@pytest.mark.usefixtures("continuing")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_defect_in_a_thread_ends_the_daemon(parts, operator, monkeypatch):
    monkeypatch.setattr(operator.model, "observe", lambda number: 1 / 0)
    with pytest.raises(OracleError, match="The thread of feed fake ended by a defect"):
        await asyncio.wait_for(Daemon(parts).run(lambda address: None), 20)


def test_chain_with_other_signers_is_refused_at_the_start(parts, operator, monkeypatch):
    def refuse(feed, config_digest):
        raise FeedsFileError("other signers")

    monkeypatch.setattr(operator.chains[0], "require_feed", refuse)
    with pytest.raises(FeedsFileError, match="other signers"):
        Daemon(parts).require_feeds()


def test_silent_chain_does_not_delay_the_start(parts, operator, monkeypatch):
    ending = threading.Event()
    monkeypatch.setattr(operator.chains[0], "require_feed", lambda feed, config_digest: ending.wait(30))
    monkeypatch.setattr("zkinfer.oracle.daemon.MOST_PATIENCE", 0.1)
    began = time.monotonic()
    Daemon(parts).require_feeds()
    assert time.monotonic() - began < 10
    ending.set()


async def test_known_failure_does_not_end_the_daemon(parts, operator):
    operator.chains[0].down = True
    daemon = Daemon(parts)
    running = asyncio.create_task(daemon.run(lambda address: None))
    await asyncio.sleep(1.0)
    assert daemon._is_healthy()
    daemon._ending.set()
    await asyncio.wait_for(running, 10)


def test_one_pass_makes_the_round_that_is_due_and_delivers_it(parts, operator):
    assert Daemon(parts).once() == 1
    (number, _), *_ = operator.chains[0].sent
    assert operator.store.rounds.find(RoundKey(operator.feed.id, number)).payload is not None
    assert operator.store.deliveries.open("base") == []


def test_one_pass_with_a_silent_chain_ends_with_its_error_and_keeps_the_round(parts, operator):
    operator.chains[0].down = True
    with pytest.raises(ChainError):
        Daemon(parts).once()
    assert operator.store.deliveries.open("base") != []
    operator.chains[0].down = False
    Daemon(parts).once()
    assert operator.chains[0].sent
