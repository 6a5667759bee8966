"""Sources on a chain, as the daemon reads them: once they are settled, and without waiting for a silent node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from zkinfer.oracle.chains import ImpatientState
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.sources.aggregator import AggregatorSource, ChainAggregator

if TYPE_CHECKING:
    from zkinfer.oracle.hub_chain import HubChain
    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.recipes import Recipe
    from zkinfer.oracle.sources.aggregator import Aggregator, ForeignRound


@dataclass(frozen=True, slots=True)
class ImpatientAggregator:
    """Another feed, whose chain's node must answer each question in time; else RpcError is raised.

    Args:
        aggregator: the feed.
        state: its chain.
    """

    aggregator: Aggregator
    state: ImpatientState

    def decimals(self) -> int:
        """As the feed's."""
        return self.state.ask(self.aggregator.decimals)

    def newest(self) -> int:
        """As the feed's."""
        return self.state.ask(self.aggregator.newest)

    def round(self, number: int) -> ForeignRound:
        """As the feed's."""
        return self.state.ask(lambda: self.aggregator.round(number))


@dataclass(frozen=True, slots=True)
class SettledSource:
    """A source on a chain that is read only once the chain has a block after the time: then nothing changes.

    Args:
        source: reads the other feed.
        chain: of that feed.
        state: the same chain, whose node must answer each question in time.
    """

    source: AggregatorSource
    chain: HubChain
    state: ImpatientState

    @classmethod
    def of(cls, address: str, chain: HubChain, *, max_age: int, seconds: float) -> Self:
        """The feed at an address, whose last answer may have an age; the node answers within so many seconds."""
        state = ImpatientState(chain, seconds)
        aggregator = ImpatientAggregator(ChainAggregator(chain.reader, address), state)
        return cls(AggregatorSource(aggregator, max_age), chain, state)

    def observe(self, recipe: Recipe, now: int) -> Observation:
        """The series at a time.

        Raises SourceError before there is such a block, RpcError if the node is silent, and as
        `AggregatorSource.observe`.
        """
        if self.state.ask(self.chain.time) <= now:
            raise SourceError(f"{self.chain.name} has no block after {now} yet.", "It is asked again.")
        return self.source.observe(recipe, now)
