"""A report server on a real port, over a store that tests fill."""

from contextlib import asynccontextmanager

import httpx2
from prometheus_client import CollectorRegistry
from tests.unit.oracle.fakes import START

from zkinfer.oracle.adapter import Adapter
from zkinfer.oracle.metrics import OracleMetrics
from zkinfer.oracle.server import application, serving
from zkinfer.oracle.states import RoundState
from zkinfer.oracle.store.rounds import RoundKey
from zkinfer.oracle.streams_api import StreamsApi
from zkinfer.service.addresses import Address
from zkinfer.service.rest.tls import ReloadingContext

TICK = START // 10
RECIPE = "0x" + "22" * 32


@asynccontextmanager
async def opened(operator, *, callback_hosts=(), transport=None, metrics=True, healthy=True, local=True, tls=None):
    """A client of the report server of an operator."""
    streams = StreamsApi([operator.feed.id], operator.store, operator.clock)
    loops = {operator.feed.name: operator.loop}
    adapter = Adapter(loops, operator.store, callback_hosts, operator.clock, transport)
    registry = CollectorRegistry()
    if metrics:
        parts = [operator.feed], operator.store, operator.deliveries, operator.alerts, operator.clock
        found = OracleMetrics(*parts, spreads=operator.voter.spreads)
        registry = found.registry
    app = application(
        streams=streams,
        adapter=adapter,
        voter=operator.voter,
        store=operator.store,
        documents={RECIPE: b'{"recipe":1}'},
        registry=registry if metrics else None,
        healthy=lambda: healthy,
        local=local,
    )
    async with (
        serving(app, Address.parse("127.0.0.1:0"), None if tls is None else ReloadingContext(tls)) as address,
        httpx2.AsyncClient(base_url=f"{'http' if tls is None else 'https'}://{address}", trust_env=False) as client,
    ):
        await adapter.resume()
        yield client
    await adapter.stop()


def signed_round(operator, number=TICK, *, proven=False, value=100):
    """A round with a report; its signatures are those of the operator's peers."""
    at = number * 10 + 3
    observed = operator.model.observed(at, value)
    new = operator.feed.new_round(observed, value, operator.feed.address)
    stored = operator.store.rounds.record(new)
    payload = operator.feed.unsigned(observed, value)
    operator.store.rounds.advance(stored.key, RoundState.SIGNED, payload=payload.encode())
    if proven:
        prove(operator, number)
    return stored


def prove(operator, number=TICK):
    """Give a signed round its proof."""
    stored = operator.store.rounds.find(RoundKey(operator.feed.id, number))
    payload = operator.model.prove(operator.feed.unsigned_of(stored))
    operator.store.rounds.advance(stored.key, RoundState.PROVEN, payload=payload.encode(), milliseconds=1500)
