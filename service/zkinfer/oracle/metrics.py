"""Prometheus metrics of the daemon, read from the store when they are asked for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from zkinfer.oracle.states import DeliveryState, RoundState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from fractions import Fraction

    from prometheus_client import Metric

    from zkinfer.oracle.alerts import Alerts
    from zkinfer.oracle.delivery import DeliveryLoop
    from zkinfer.oracle.feed import Feed
    from zkinfer.oracle.store import Store


class OracleMetrics:
    """The metrics of a daemon.

    Args:
        feeds: that it makes.
        store: of the daemon.
        deliveries: one for each chain.
        alerts: to the operator.
        clock: Unix seconds.
        spreads: of answers, by feed; see `Voter`.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        store: Store,
        deliveries: Sequence[DeliveryLoop],
        alerts: Alerts,
        clock: Callable[[], float] = time.time,
        spreads: Mapping[str, Fraction] | None = None,
    ) -> None:
        self._feeds = feeds
        self._store = store
        self._deliveries = deliveries
        self._alerts = alerts
        self._clock = clock
        self._spreads = {} if spreads is None else spreads
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def describe(self) -> list[Metric]:
        """None in advance: the store need not be open yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics now; raises StoreError."""
        yield from self._of_feeds()
        yield from self._of_states()
        balance = GaugeMetricFamily("zkinfer_oracle_balance_wei", "Balance of the posting account.", labels=["chain"])
        for loop in self._deliveries:
            if loop.balance is not None:
                balance.add_metric([loop.chain.name], loop.balance)
        yield balance
        active = GaugeMetricFamily("zkinfer_oracle_alerts", "Alerts that hold now.", labels=["kind", "about"])
        for kind, about in sorted(self._alerts.active):
            active.add_metric([str(kind), about], 1)
        yield active
        yield CounterMetricFamily(
            "zkinfer_oracle_alerts_dropped", "Alerts that were not delivered.", value=self._alerts.dropped
        )

    def _of_feeds(self) -> Iterator[Metric]:
        newest = GaugeMetricFamily("zkinfer_oracle_round", "Newest round that a chain has.", labels=["feed", "chain"])
        age = GaugeMetricFamily(
            "zkinfer_oracle_age_seconds", "Age of the newest observation that a chain has.", labels=["feed", "chain"]
        )
        proof = GaugeMetricFamily("zkinfer_oracle_proof_seconds", "Duration of the last proof.", labels=["feed"])
        spread = GaugeMetricFamily(
            "zkinfer_oracle_spread", "Distance of the last peer's answer from this operator's own.", labels=["feed"]
        )
        for feed in self._feeds:
            if feed.id in self._spreads:
                spread.add_metric([feed.name], float(self._spreads[feed.id]))
            for chain in feed.chains:
                found = self._store.deliveries.newest(feed.id, chain, DeliveryState.SEEN, DeliveryState.FINAL)
                stored = None if found is None else self._store.rounds.find(found.key.round)
                if stored is not None:
                    newest.add_metric([feed.name, chain], stored.key.number)
                    age.add_metric([feed.name, chain], self._clock() - stored.observed_at)
            proven = self._store.rounds.newest(feed.id, RoundState.PROVEN)
            if proven is not None and proven.milliseconds is not None:
                proof.add_metric([feed.name], proven.milliseconds / 1000)
        yield from (newest, age, proof, spread)

    def _of_states(self) -> Iterator[Metric]:
        names = {feed.id: feed.name for feed in self._feeds}
        rounds = GaugeMetricFamily("zkinfer_oracle_rounds", "Rounds on record.", labels=["feed", "state"])
        for (feed, state), count in self._store.rounds.counts().items():
            if feed in names:
                rounds.add_metric([names[feed], str(state)], count)
        yield rounds
        posts = GaugeMetricFamily("zkinfer_oracle_deliveries", "Deliveries on record.", labels=["chain", "state"])
        for (chain, outcome), count in self._store.deliveries.counts().items():
            posts.add_metric([chain, str(outcome)], count)
        yield posts
