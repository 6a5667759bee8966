"""A feed's circuit, recipe and source together: all that a daemon needs to know of how answers are made."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from zkinfer.circuits.engines import engine_named
from zkinfer.oracle import observations, reports
from zkinfer.oracle.answers import answer_of, require_fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.contracts.feed_formats import FeedPayload
    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.recipes import Recipe
    from zkinfer.oracle.specs import FeedFile
    from zkinfer.prover.prover import Prover


class Source(Protocol):
    """Where the numbers of a series come from."""

    def observe(self, recipe: Recipe, now: int) -> Observation:
        """The series at a time in Unix seconds; raises SourceError, or ChainError for a source on a chain."""
        ...


@dataclass(frozen=True, slots=True)
class CircuitModel:
    """What answers a feed.

    Args:
        feed: the feed.
        circuit: the feed's circuit, opened.
        source: the series.
        prover: makes the proofs.
        engine: the circuit's; by default the registered one.
        clock: Unix seconds.

    Raises:
        RecipeError: the circuit does not fit the feed.
    """

    feed: FeedFile
    circuit: Circuit
    source: Source
    prover: Prover
    engine: Engine | None = None
    clock: Callable[[], float] = field(default=time.time)

    def __post_init__(self) -> None:
        require_fit(self.circuit, self.feed.spec, self.feed.recipe)

    def observe(self, number: int) -> Observation:
        """Ask the source now, or for a source on a chain as it was at the beginning of this round.

        Raises SourceError or ChainError.
        """
        now = int(self.clock()) if self.feed.spec.signed else number * self.feed.spec.tick
        return self.source.observe(self.feed.recipe, now)

    def reconstruct(self, source_file: bytes) -> Observation:
        """The observation in a peer's source file; raises SourceError if it is not of the feed's recipe."""
        return observations.replay(self.feed.recipe, source_file)

    def require_agreement(self, own: Observation, other: Observation) -> None:
        """Return if two observations agree within the recipe's tolerance; raises SourceError, which says where not."""
        observations.require_agreement(self.feed.recipe, own, other)

    def answer(self, observed: Observation) -> int:
        """The circuit's answer in the feed's decimals; raises as `zkinfer.oracle.answers.answer_of`."""
        engine = self.engine or engine_named(self.circuit.manifest.recipe.engine)
        return answer_of(self.circuit, engine, self.feed.spec, observed.inputs).value

    def prove(self, payload: FeedPayload) -> FeedPayload:
        """The payload with outputs and proof; raises as `zkinfer.oracle.reports.prove`."""
        return reports.prove(self.feed.spec, self.circuit, self.prover, payload)
