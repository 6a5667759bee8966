"""Observations of feeds whose inputs a contract gives, again from the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.oracle.errors import AuditError
from zkinfer.oracle.proposals import source_part
from zkinfer.oracle.sources.aggregator import AggregatorSource, ChainAggregator

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.feed_events import ReportedRound
    from zkinfer.contracts.feed_formats import FeedSpec
    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.recipes import Recipe


def chain_observation(chain: Chain, spec: FeedSpec, recipe: Recipe) -> Callable[[ReportedRound], Observation]:
    """What gives the observation of a reported round again, from the feed that the specification's source reads.

    Raises:
        AuditError: the source is not the contract that this version ships, with the recipe's arguments.
        ChainError: the node failed.
    """
    aggregator = str(chain.read("AggregatorSource", spec.source, "AGGREGATOR")).lower()
    if source_part(aggregator, recipe, spec.tick, spec.max_age).address != spec.source:
        raise AuditError(
            f"{spec.source}, which gives the feed's inputs, is not the contract that follows its recipe.",
            "Read its code before you rely on the feed.",
        )
    source = AggregatorSource(ChainAggregator(chain, aggregator), spec.max_age)
    return lambda reported: source.observe_from(recipe, reported.observed_at, int(reported.source_digest, 16))
